package controlplane

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/consensus"
)

func TestNoNodeBeginsOverWhatIsLeftOfAnother(t *testing.T) {
	for _, name := range []string{"raft", "state", "root.age", "node.pem"} {
		t.Run(name, func(t *testing.T) {
			dir := begun(t)
			for _, other := range kept {
				if other != name {
					if err := os.RemoveAll(filepath.Join(dir, other)); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, err := Init(t.Context(), InitConfig{
				Dir: dir, Name: "c1", Transport: "127.0.0.1:0", Timing: consensus.CI, Clock: clock.Clock{},
				Logger: slog.New(slog.DiscardHandler),
			})
			for whose, err := range map[string]error{"init": err, "join": Enrol(t.Context(), dir, "", "127.0.0.1:1",
				nil), "start": open(dir)} {
				if err == nil || !strings.Contains(err.Error(), "put the file back from a copy") ||
					strings.Contains(err.Error(), "run `darkd init`") {
					t.Errorf("%s: %v", whose, err)
				}
			}
			if left, err := leftOf(dir); err != nil || left != name {
				t.Errorf("left is %q, %v", left, err)
			}
		})
	}
}

func TestANodeThatRunsIsNotWiped(t *testing.T) {
	dir := begun(t)
	root, err := os.ReadFile(filepath.Join(dir, fileRoot))
	if err != nil {
		t.Fatal(err)
	}
	k, err := openCore(coreConfig{
		dir: dir, listen: "127.0.0.1:0", timing: consensus.CI,
		logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := Wipe(dir); err == nil || !strings.Contains(err.Error(), "stop the control node first") {
		t.Errorf("a node that runs: %v", err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, fileRoot)); err != nil || !bytes.Equal(b, root) {
		t.Errorf("its root key is gone: %v", err)
	}
	if err := k.close(); err != nil {
		t.Fatal(err)
	}
	if err := Wipe(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := leftOf(dir); err != nil || left != "" {
		t.Errorf("%s is left, %v", left, err)
	}
	if err := Wipe(dir); err != nil {
		t.Errorf("once more: %v", err)
	}
}
