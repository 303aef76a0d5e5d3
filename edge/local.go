package edge

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/dark-ecosystem/dark/internal/localsocket"
)

// LocalSocket is the socket of an edge that runs, below its directory: for the machine's own
// people, who may scrub the store and take profiles there.
func LocalSocket(dir string) string { return filepath.Join(dir, "edge.sock") }

// serveLocal answers on the local socket until ctx ends.
func (n *Node) serveLocal(ctx context.Context) error {
	l, err := localsocket.Listen(LocalSocket(n.cfg.Dir))
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	for _, p := range n.parts {
		if p.Local != nil {
			p.Local(mux)
		}
	}
	h := &http.Server{Handler: localsocket.Profiles(mux), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = h.Close() })
	defer stop()
	err = h.Serve(l)
	_ = os.Remove(LocalSocket(n.cfg.Dir)) // that it is there says that the edge runs
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}
