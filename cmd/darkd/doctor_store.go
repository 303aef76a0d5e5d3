package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/dark-ecosystem/dark/edge"
)

// storePatience is how long doctor waits for an edge's answer about its store.
const storePatience = 5 * time.Second

// scrubLate is when a scrub is overdue: an edge begins one each week.
const scrubLate = 15 * 24 * time.Hour

// store asks the edge, where it runs, how its store does.
func (d *doctor) store(ctx context.Context) finding {
	const check = "store"
	if _, err := os.Stat(filepath.Join(d.dir, "store")); err != nil {
		return well(check, "this edge keeps no objects")
	}
	h, err := askStore(ctx, d.dir)
	if err != nil {
		return warn(check, "start the edge and ask again; or `darkd fsck --data "+d.dir+"` looks at the store of a "+
			"stopped one", "the edge does not tell how its store does: %v", err)
	}
	damage := "`dark storage damage` names it, docs/operations/disks.md says what to do"
	switch {
	case h.NotReady != "":
		return fail(check, "docs/operations/disks.md; "+damage, "it takes no writes: %s", h.NotReady)
	case h.Damaged > 0:
		return fail(check, damage, "%d damaged", h.Damaged)
	case h.Compaction != "":
		return warn(check, "docs/operations/disks.md", "the last compaction of its rows failed: %s", h.Compaction)
	case h.Segments["held"] > 0:
		return warn(check, "`darkd rebuild --data "+d.dir+"`, with the edge stopped",
			"%d segments are not used again, as bodies are missing that were not found yet", h.Segments["held"])
	}
	for _, w := range h.Works {
		if w.Failure != "" {
			return warn(check, "see the edge's log", "its background work %q failed %d times, last: %s",
				w.Name, w.Failed, w.Failure)
		}
	}
	if !h.Scrubbed.IsZero() && d.now.Sub(h.Scrubbed) > scrubLate {
		return warn(check, "`darkd fsck --data "+d.dir+"` begins one", "the last scrub ended on %s",
			h.Scrubbed.Format(time.DateOnly))
	}
	return well(check, "%d MiB in %d bodies, nothing known to be damaged, %s", h.LiveBytes>>20, h.Extents, scrubbed(&h))
}

func scrubbed(h *edge.StoreHealth) string {
	if h.Scrubbed.IsZero() {
		return "not scrubbed yet"
	}
	return "scrubbed on " + h.Scrubbed.Format(time.DateOnly)
}

// askStore asks on the edge's local socket.
func askStore(ctx context.Context, dir string) (h edge.StoreHealth, err error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", edge.LocalSocket(dir))
	if err != nil {
		return h, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://edge"+edge.PathStore, http.NoBody)
	if err != nil {
		return h, err
	}
	if err := req.Write(conn); err != nil {
		return h, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return h, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return h, fmt.Errorf("it answers %s", answer.Status)
	}
	return h, json.NewDecoder(answer.Body).Decode(&h)
}
