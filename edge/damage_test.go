package edge

import (
	"context"
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
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			return err
		}
		for i := max(0, len(b)/2-32); i < min(len(b)/2+32, len(b)); i++ {
			b[i] = 0
		}
		return os.WriteFile(path, b, 0o600)
	})
	if err != nil {
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
