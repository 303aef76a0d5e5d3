package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/internal/ca"
)

// TestAnEdgeDoesNotJoinOverADamagedOne: the error names the file and the next step, and nothing
// in the directory is another than before.
func TestAnEdgeDoesNotJoinOverADamagedOne(t *testing.T) {
	for how, damage := range map[string]func(path string) error{
		"missing":    os.Remove,
		"empty":      func(path string) error { return os.Truncate(path, 0) },
		"cut":        func(path string) error { return os.Truncate(path, 20) },
		"wrong JSON": func(path string) error { return os.WriteFile(path, []byte(`{"name":"e1"}`), 0o600) },
		"unreadable": func(path string) error {
			return os.Rename(filepath.Join(filepath.Dir(path), "config"), path)
		},
	} {
		dir := aNode(t, ca.Edge, "edge.json")
		self := filepath.Join(dir, "edge.json")
		if err := os.Mkdir(filepath.Join(dir, "config"), 0o700); err != nil {
			t.Fatal(err)
		}
		if how == "unreadable" {
			if err := os.Remove(self); err != nil {
				t.Fatal(err)
			}
		}
		if err := damage(self); err != nil {
			t.Fatal(err)
		}
		before := everythingIn(t, dir)
		err := run(t.Context(), []string{
			"edge", "--dir", dir, "--join", "TOKEN", "--through", "127.0.0.1:1", "--dns", "127.0.0.1:0",
		})
		if err == nil || !strings.Contains(err.Error(), self) || !strings.Contains(err.Error(), "put the file back") ||
			!strings.Contains(err.Error(), "dark nodes token NAME") {
			t.Errorf("%s: %v", how, err)
		}
		if after := everythingIn(t, dir); after != before {
			t.Errorf("%s: the directory was\n%s\nand is\n%s", how, before, after)
		}
	}
}

// everythingIn lists what is in a directory, with the octets of each file.
func everythingIn(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		all.WriteString(e.Name() + "\n" + string(b) + "\n")
	}
	return all.String()
}
