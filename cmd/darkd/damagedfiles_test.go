package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestAnEdgeOutlivesItsOwnFiles: of the files that say who an edge is and what it may open,
// each is damaged in each way. DNS is answered from what the edge was told before wherever
// the file is not needed for that; the log names the file and what to do.
func TestAnEdgeOutlivesItsOwnFiles(t *testing.T) {
	in := newInstallation(t)
	e := in.join("e1", "127.0.0.1:0")
	in.importZone("acme", "kept.test", "@ 60 TXT \"here\"\n")
	in.eventually("the zone is served", func() bool { return text(t.Context(), e, "kept.test.") == "here" })
	in.endEdge()
	damages := map[string]func(whole []byte) []byte{
		"gone":      nil,
		"empty":     func([]byte) []byte { return nil },
		"cut":       func(b []byte) []byte { return b[:len(b)/2] },
		"no object": func([]byte) []byte { return []byte("null") },
		"empty too": func([]byte) []byte { return []byte("{}") },
		"garbage":   func(b []byte) []byte { return bytes.Repeat([]byte{0xA5, 0x00, 0xFF}, len(b)/3+1) },
	}
	for name, starts := range map[string]bool{
		"edge.json": false, "node.pem": true, "disk.key": true, "machine.key": true,
	} {
		for how, change := range damages {
			t.Run(name+" "+how, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "e1")
				if err := os.CopyFS(dir, os.DirFS(in.edgeDir)); err != nil {
					t.Fatal(err)
				}
				spoil(t, dir, name, change)
				in.startDamaged(t, dir, name, starts)
			})
		}
	}
}

// spoil damages one file of an edge; without a change it removes it.
func spoil(t *testing.T, dir, name string, change func([]byte) []byte) {
	t.Helper()
	for _, secret := range []string{"node.pem", "disk.key", "machine.key"} { // a copy is readable by all
		if err := os.Chmod(filepath.Join(dir, secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, name)
	whole, err := os.ReadFile(file)
	if err == nil && change == nil {
		err = os.Remove(file)
	} else if err == nil {
		err = os.WriteFile(file, change(whole), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (in *installation) startDamaged(t *testing.T, dir, name string, starts bool) {
	var log buffer
	s := edgeSettings{dir: dir, dns: []string{"127.0.0.1:0"}, objects: s3Settings{addresses: []string{"127.0.0.1:0"}}}
	e, err := s.open(slog.New(slog.NewTextHandler(&log, nil)), nil)
	if (err == nil) != starts {
		t.Fatalf("it starts: %v, want %v: %v", err == nil, starts, err)
	}
	if err != nil {
		if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "join") {
			t.Errorf("the error names neither the file nor a way on: %v", err)
		}
		return
	}
	inBackground(t, e.Run)
	in.eventually("DNS is answered", func() bool { return text(t.Context(), e, "kept.test.") == "here" })
	if got := log.String(); !strings.Contains(got, name) || !strings.Contains(got, "put the file back") {
		t.Errorf("the log names neither the file nor a way on: %s", got)
	}
	if name == "node.pem" {
		return
	}
	r, err := http.Get("http://" + e.Addresses("s3")[0].String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if body, _ := io.ReadAll(r.Body); r.StatusCode != http.StatusServiceUnavailable || strings.Contains(string(body),
		dir) {
		t.Errorf("S3 answers %d %s", r.StatusCode, body)
	}
}
