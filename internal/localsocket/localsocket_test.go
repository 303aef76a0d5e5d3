package localsocket

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheSocketIsTheOwnersAlone: it has mode 0600, takes the place of an old one, and serves
// profiles beside what is its process's own.
func TestTheSocketIsTheOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for range 2 {
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Lstat(path); err != nil || st.Mode().Type() != os.ModeSocket || st.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", st.Mode(), err)
		}
		h := &http.Server{Handler: Profiles(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "own "+r.URL.Path)
		}))}
		go func() { _ = h.Serve(l) }()
		dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }
		web := &http.Client{Transport: &http.Transport{DialContext: dial}}
		for at, want := range map[string]string{"/debug/pprof/": "goroutine", "/a//b": "own /a//b"} {
			r, err := web.Get("http://here" + at)
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(r.Body)
			r.Body.Close()
			if !strings.Contains(string(b), want) {
				t.Errorf("%s: %.100s", at, b)
			}
		}
		web.CloseIdleConnections()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}
