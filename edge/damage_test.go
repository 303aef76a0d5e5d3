package edge

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ruinAll overwrites the middle of every file below a directory.
func ruinAll(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			ruinFile(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ruinFile overwrites the middle of a file.
func ruinFile(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := max(0, len(b)/2-32); i < min(len(b)/2+32, len(b)); i++ {
		b[i] = 0
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A node whose configuration is damaged throughout runs, is not ready and answers nothing;
// as soon as a control node is in reach it is told everything and answers.
func TestANodeWithADamagedConfigurationIsToldAnew(t *testing.T) {
	dir := t.TempDir()
	f := fakeControl(t, sealedFrame(t, zoneItems(t)...))
	cfg := settings(t, dir)
	cfg.Feeds = []string{f.addr}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start := func(cfg Config) (*Node, func()) {
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return n, run(t, n)
	}
	n, stop := start(cfg)
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	stop()
	ruinAll(t, filepath.Join(dir, "config", "a"))
	ruinAll(t, filepath.Join(dir, "config", "b"))

	n, stop = start(settings(t, dir))
	eventually(t, "it says why it is not ready", func() bool {
		err := n.Ready()
		return err != nil && strings.Contains(err.Error(), "were damaged")
	})
	at := n.Addresses("dns")[0].String()
	if s := n.Status(); !s.Lost || s.Damages != 2 || ask(t, "udp", at) != "REFUSED" {
		t.Errorf("lost %v, %d damages, answers %s", s.Lost, s.Damages, ask(t, "udp", at))
	}
	stop()

	n, stop = start(cfg)
	defer stop()
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	at = n.Addresses("dns")[0].String()
	if s := n.Status(); s.Lost || ask(t, "udp", at) != "192.0.2.1" || n.Ready() != nil {
		t.Errorf("lost %v, answers %s, ready: %v", s.Lost, ask(t, "udp", at), n.Ready())
	}
}

// What S3 needs on this machine is damaged, a file a run: DNS is served all the same, and
// the node says what is not.
func TestDamagedFilesOfS3LeaveDNSAlone(t *testing.T) {
	for _, file := range []string{fileMachine, fileDiskKey} {
		dir := t.TempDir()
		cfg := settings(t, dir)
		cfg.S3 = []string{"127.0.0.1:0"}
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		ruinFile(t, filepath.Join(dir, file))
		if n, err = New(cfg); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		stop := run(t, n)
		if got := ask(t, "udp", n.Addresses("dns")[0].String()); got != "REFUSED" {
			t.Errorf("%s: DNS answers %s", file, got)
		}
		if s := n.Status(); len(s.Failed) != 1 || s.Failed[0] != "s3" {
			t.Errorf("%s: failed %v", file, s.Failed)
		}
		wantS3Shut(t, n, "not as it left them")
		stop()
	}
}

func wantS3Shut(t *testing.T, n *Node, why string) {
	t.Helper()
	r, err := http.Get("http://" + n.Addresses("s3")[0].String() + "/bucket/key")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(b), why) {
		t.Errorf("S3 answers %d, %s, %v", r.StatusCode, b, err)
	}
}

// TestAStoreThatDoesNotOpenEndsNothingElse: its file that says what was durable is damaged.
// A node that has only S3 goes on, too: whoever asks is told why.
func TestAStoreThatDoesNotOpenEndsNothingElse(t *testing.T) {
	dir := t.TempDir()
	cfg := settings(t, dir)
	cfg.S3, cfg.DNS = []string{"127.0.0.1:0"}, nil
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, dirStore, "floor"), make([]byte, 1024), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	defer run(t, n)()
	wantS3Shut(t, n, "on its disk is damaged")
	if s := n.Status(); len(s.Failed) != 1 {
		t.Errorf("failed %v", s.Failed)
	}
}
