package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// TestErrorsOfThisMachineAreNotTheEndpoints: what the system says of a file is a net.Error too.
func TestErrorsOfThisMachineAreNotTheEndpoints(t *testing.T) {
	denied := &fs.PathError{Op: "open", Path: "/x/secret", Err: syscall.EACCES}
	for _, err := range []error{
		denied, fmt.Errorf("read directory: %w", denied), &url.Error{Op: "Put", URL: "http://s3", Err: denied},
		&fs.PathError{Op: "write", Path: "/x/secret", Err: syscall.ENOSPC},
		&os.LinkError{Op: "rename", Old: "/x/secret", New: "b", Err: syscall.EXDEV},
	} {
		got := exit.Of(explain(err))
		if got.Code != exit.Failed || strings.Contains(got.Error(), "endpoint") || !strings.Contains(got.Error(),
			"/x/secret") {
			t.Errorf("%v: %v, code %d", err, got, got.Code)
		}
		if full := errors.Is(err, syscall.ENOSPC); full != strings.Contains(got.Error(), "no room") {
			t.Errorf("%v: %v", err, got)
		}
	}
	if got := exit.Of(explain(&url.Error{
		Op: "Put", URL: "http://s3",
		Err: syscall.ECONNREFUSED,
	})); got.Code != exit.Unavailable {
		t.Errorf("%v", got)
	}
}

// TestWhatCannotBeReadIsNamedAndTheRestIsDone, by cp and sync; a sync then removes nothing.
func TestWhatCannotBeReadIsNamedAndTheRestIsDone(t *testing.T) {
	for _, args := range [][]string{{"cp", "-r"}, {"sync", "--delete", "--yes"}} {
		f, env, _, errs := newFake(t)
		dir := t.TempDir()
		put(t, filepath.Join(dir, "a"), []byte("a"))
		put(t, filepath.Join(dir, "z"), []byte("z"))
		if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
			t.Fatal(err)
		}
		f.objects["old"] = []byte("old")
		err := dark(env, append(args, dir, "s3://box/")...)
		if exit.Of(err).Code != exit.Failed || !strings.Contains(errs.String()+err.Error(), "loop") ||
			strings.Contains(errs.String(), "endpoint") {
			t.Errorf("%v: %v\n%s", args, err, errs)
		}
		if string(f.objects["a"])+string(f.objects["z"])+string(f.objects["old"]) != "azold" {
			t.Errorf("%v: %v", args, f.objects)
		}
	}
	f, env, _, _ := newFake(t)
	there := put(t, filepath.Join(t.TempDir(), "there"), []byte("x"))
	if err := dark(env, "cp", there+"-not", there, "s3://box/"); exit.Of(err).Code != exit.NotFound ||
		string(f.objects["there"]) != "x" {
		t.Errorf("%v, %v", err, f.objects)
	}
}

// TestAFileThatChangesWhileItIsReadIsToldAsThat, though the request fails by it.
func TestAFileThatChangesWhileItIsReadIsToldAsThat(t *testing.T) {
	for name, size := range map[string]int{"whole": 12 << 20, "in parts": 2*basePart + 1} {
		f, env, _, _ := newFake(t)
		file := put(t, filepath.Join(t.TempDir(), "log"), noise(size))
		f.before = func(line string) {
			if strings.HasPrefix(line, "PUT") {
				_ = os.Truncate(file, 1)
			}
		}
		if err := exit.Of(dark(env, "cp", file, "s3://box/log")); err.Code != exit.Conflict ||
			!strings.Contains(err.Error(), "changed while it was read") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestANameThatIsNotUTF8IsOneFailure, and no wrong use of the command.
func TestANameThatIsNotUTF8IsOneFailure(t *testing.T) {
	f, env, _, _ := newFake(t)
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a"), []byte("a"))
	if err := os.WriteFile(filepath.Join(dir, "caf\xe9"), nil, 0o600); err != nil {
		return // this system has no such names
	}
	if err := dark(env, "cp", "-r", dir, "s3://box/"); exit.Of(err).Code != exit.Failed ||
		!strings.Contains(err.Error(), "UTF-8") || f.objects["a"] == nil {
		t.Errorf("%v", err)
	}
}

// TestLinksToDirectories are named and skipped, counted with --strict, and followed with
// --follow, but not around in circles.
func TestLinksToDirectories(t *testing.T) {
	f, env, _, errs := newFake(t)
	dir, other := t.TempDir(), t.TempDir()
	put(t, filepath.Join(dir, "a"), []byte("a"))
	put(t, filepath.Join(other, "b"), []byte("b"))
	for name, to := range map[string]string{"link": other, "around": dir} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := dark(env, "cp", "-r", dir, "s3://box/"); err != nil || !strings.Contains(errs.String(), "--follow") ||
		len(f.objects) != 1 {
		t.Errorf("%v, %v\n%s", err, f.objects, errs)
	}
	if err := dark(env, "sync", "--strict", dir, "s3://box/"); exit.Of(err).Code != exit.Failed {
		t.Errorf("strict: %v", err)
	}
	if err := dark(env, "sync", "--follow", dir, "s3://box/"); err != nil || string(f.objects["link/b"]) != "b" ||
		len(f.objects) != 2 {
		t.Errorf("follow: %v, %v", err, f.objects)
	}
}

// TestTheProgressFitsTheTerminal.
func TestTheProgressFitsTheTerminal(t *testing.T) {
	text := progressLine(50<<20, 100<<20, 3, 7, 10*time.Second)
	for columns := 1; columns < 120; columns++ {
		if got := fit(text, columns); len(got) >= columns {
			t.Fatalf("%d columns: %q", columns, got)
		}
	}
	if fit(text, 60)[:5] != "50%  " || fit(text, 200) != text || fit(text, 0) == "" {
		t.Errorf("%q", fit(text, 60))
	}
}
