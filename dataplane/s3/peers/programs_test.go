package peers

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// program is a client as a process, with an environment of its own.
type program struct {
	path string
	env  []string
	dir  string
}

// installed returns a program by its path: what is first on PATH may not be Debian's.
func installed(t *testing.T, path string, env ...string) *program {
	t.Helper()
	if _, err := exec.LookPath(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", path)
		}
		t.Skipf("%s is not installed", path)
	}
	home := t.TempDir()
	env = append([]string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "HOME=" + home,
		"TMPDIR=" + home,
	}, env...)
	return &program{path: path, env: env, dir: home}
}

const runTimeout = 3 * time.Minute

// try runs the program and returns what it wrote.
func (p *program) try(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env, cmd.Dir = p.env, p.dir
	cmd.WaitDelay = 5 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// run is try for what must work.
func (p *program) run(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := p.try(t, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", p.path, strings.Join(args, " "), err, tail(out), tail(errs))
	}
	return out
}

// fails is try for what must not work; it returns both outputs.
func (p *program) fails(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := p.try(t, args...)
	if err == nil {
		t.Fatalf("%s %s: worked and should not have\n%s", p.path, strings.Join(args, " "), tail(out))
	}
	return out + errs
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// has fails unless the text contains all the parts.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in %s", p, tail(text))
		}
	}
}
