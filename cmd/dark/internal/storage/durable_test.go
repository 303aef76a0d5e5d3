package storage

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// cuttable is a disk that knows what a power cut would leave: a file's octets where it was synced before
// it had its name, and a name where its directory was synced after. It can forget either sort of sync.
type cuttable struct {
	systemDisk
	forgetFiles, forgetDirectories bool

	mu       sync.Mutex
	synced   map[string]int64 // sizes, by path
	durable  map[string]bool  // names that last, by path
	problems []string
}

func (c *cuttable) syncFiles(files []*os.File) []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range files {
		if st, err := f.Stat(); err == nil && !c.forgetFiles {
			c.synced[f.Name()] = st.Size()
		}
	}
	return c.systemDisk.syncFiles(files)
}

func (c *cuttable) rename(root *os.Root, from, to string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := filepath.Join(root.Name(), from)
	st, err := root.Stat(from)
	if size, ok := c.synced[path]; err != nil || !ok || size != st.Size() {
		c.problems = append(c.problems, to+" is named before its octets are synced")
	}
	delete(c.durable, filepath.Join(root.Name(), to))
	return c.systemDisk.rename(root, from, to)
}

func (c *cuttable) syncDirectory(root *os.Root, dir string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	path := filepath.Join(root.Name(), dir)
	list, err := os.ReadDir(path)
	for _, e := range list {
		if !c.forgetDirectories {
			c.durable[filepath.Join(path, e.Name())] = true
		}
	}
	return err
}

// Write is the command's output with -o name: what it tells of must last, with all directories above it.
func (c *cuttable) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for path := strings.TrimSpace(string(line)); filepath.Base(path) != "target"; path = filepath.Dir(path) {
		if !c.durable[path] {
			c.problems = append(c.problems, path+" is told of before its name is synced")
			break
		}
	}
	return len(line), nil
}

// TestDownloadsAreToldOfWhenAPowerCutWouldLeaveThem, also decrypted ones. A disk that forgets one sort of
// sync must be noticed, so that the test is known to notice one that is left out.
func TestDownloadsAreToldOfWhenAPowerCutWouldLeaveThem(t *testing.T) {
	f, env, out, _ := newFake(t)
	const files = 40
	for i := range files {
		f.objects[fmt.Sprintf("tree/d%d/e/%d", i%3, i)] = noise(100 + i)
	}
	env.Output = func() string { return "name" }
	key := filepath.Join(t.TempDir(), "key")
	if err := dark(env, "keygen", key); err != nil {
		t.Fatal(err)
	}
	secret := put(t, filepath.Join(t.TempDir(), "secret"), noise(3000))
	if err := dark(env, "cp", secret, "s3://box/secret", "--encrypt", recipientIn(t, key)); err != nil {
		t.Fatal(err, out)
	}
	for _, args := range [][]string{
		{"cp", "-r", "s3://box/tree/"}, {"sync", "s3://box/tree/"}, {"cp", "s3://box/secret", "--decrypt", "-i", key},
	} {
		for _, c := range []*cuttable{{}, {forgetFiles: true}, {forgetDirectories: true}} {
			c.synced, c.durable = map[string]int64{}, map[string]bool{}
			target := filepath.Join(t.TempDir(), "target")
			if err := os.Mkdir(target, 0o700); err != nil {
				t.Fatal(err)
			}
			env.Out, env.disk = c, c
			if err := dark(env, append(args, target)...); err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			if forgets := c.forgetFiles || c.forgetDirectories; forgets != (len(c.problems) > 0) {
				t.Errorf("%v, forgetting files %v, directories %v: %d problems: %q", args, c.forgetFiles,
					c.forgetDirectories, len(c.problems), c.problems[:min(3, len(c.problems))])
			}
			if n := filesIn(t, target); n != map[bool]int{true: 1, false: files}[args[1] == "s3://box/secret"] {
				t.Errorf("%v: %d files", args, n)
			}
		}
	}
}

func recipientIn(t *testing.T, identity string) string {
	t.Helper()
	b, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := bytes.Cut(b, []byte("recipient: "))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if !ok {
		t.Fatalf("no recipient in %q", b)
	}
	return string(line)
}

func filesIn(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
