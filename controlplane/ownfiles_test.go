package controlplane

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/keyring"
)

var ownFiles = []string{fileNode, fileMachine, fileRoot, fileCert}

// copyNode copies a control node's directory; secrets keep their mode.
func copyNode(t *testing.T, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "c1")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for _, name := range ownFiles {
		if err := os.Chmod(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// contents is a digest of all that is in a directory.
func contents(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %v\n", path, d.Type())
		if d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%d %s\n", len(b), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(h.Sum(nil))
}

// TestADamagedFileOfAControlNodesOwnIsNamed: whatever happened to it, the error names it and says
// what to do, and neither a start nor `darkd init` nor a join writes in the directory.
func TestADamagedFileOfAControlNodesOwnIsNamed(t *testing.T) {
	whole, other := begun(t), begun(t)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	damages := map[string]func(t *testing.T, path string){
		"missing":    func(_ *testing.T, path string) { ok(os.Remove(path)) },
		"empty":      func(_ *testing.T, path string) { ok(os.Truncate(path, 0)) },
		"wrong JSON": func(_ *testing.T, path string) { ok(os.WriteFile(path, []byte("{}\n"), 0o600)) },
		"cut": func(_ *testing.T, path string) {
			b, err := os.ReadFile(path)
			ok(err)
			ok(os.Truncate(path, int64(len(b)/2)))
		},
		"of another node": func(_ *testing.T, path string) {
			b, err := os.ReadFile(filepath.Join(other, filepath.Base(path)))
			ok(err)
			ok(os.WriteFile(path, b, 0o600))
		},
		"unreadable": func(_ *testing.T, path string) { // by root, too
			ok(os.Remove(path))
			ok(os.Mkdir(path, 0o700))
		},
	}
	for _, name := range ownFiles {
		for how, damage := range damages {
			t.Run(name+" "+how, func(t *testing.T) {
				dir := copyNode(t, whole)
				damage(t, filepath.Join(dir, name))
				before := contents(t, dir)
				err := open(dir)
				if !strings.Contains(err.Error(), filepath.Join(dir, name)) ||
					!strings.Contains(err.Error(), "put the file back from a copy") ||
					strings.Contains(err.Error(), "darkd init") {
					t.Errorf("the error names neither the file nor a way on: %v", err)
				}
				_, ierr := Init(t.Context(), InitConfig{
					Dir: dir, Name: "c1", Transport: "127.0.0.1:0", Timing: consensus.CI, Clock: clock.Clock{},
					Logger: slog.New(slog.DiscardHandler),
				})
				if jerr := Enrol(t.Context(), dir, "", "127.0.0.1:1", nil); ierr == nil || jerr == nil ||
					strings.Contains(jerr.Error(), "token") {
					t.Errorf("a node is begun over it: init %v, join %v", ierr, jerr)
				}
				if contents(t, dir) != before {
					t.Error("something was written")
				}
				ok(Wipe(dir))
				if _, err := keyring.LoadMachine(filepath.Join(dir, fileMachine)); err != nil {
					t.Errorf("after it was wiped it cannot join: %v", err)
				}
			})
		}
	}
	self, err := ReadSelf(whole)
	ok(err)
	self.Name = "c2" // of the same cluster
	if _, err := readCert(whole, self); err == nil || !strings.Contains(err.Error(), filepath.Join(whole, fileCert)) {
		t.Errorf("a certificate of another node of the cluster: %v", err)
	}
}

// saidLog is a log that a test reads while it is written.
type saidLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *saidLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was said since it was asked last.
func (l *saidLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// TestALostFileOfARunningNodeIsToldOnceAMinute, while it is lost.
func TestALostFileOfARunningNodeIsToldOnceAMinute(t *testing.T) {
	dir := copyNode(t, begun(t))
	cert, away := filepath.Join(dir, fileCert), filepath.Join(dir, "away")
	synctest.Test(t, func(t *testing.T) {
		var log saidLog
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			watchOwn(ctx, dir, slog.New(slog.NewTextHandler(&log, nil)))
		}()
		told := func(what string, times int) {
			t.Helper()
			time.Sleep(10*time.Minute - time.Second)
			synctest.Wait()
			said := log.take()
			if n := strings.Count(said, what); n != times {
				t.Errorf("%q was said %d times in ten minutes, want %d: %s", what, n, times, said)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			log.take()
		}
		told("level", 0) // the looks are at 0, 1, … 9 minutes, and the one at 10 is not counted
		if err := os.Rename(cert, away); err != nil {
			t.Error(err)
		}
		told(cert, 9)
		if err := os.Rename(away, cert); err != nil {
			t.Error(err)
		}
		told("whole again", 1)
		stop()
		<-ended
	})
}
