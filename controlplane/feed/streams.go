package feed

import (
	"slices"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/internal/frame"
)

// carried is a stream that some connection is subscribed to, guarded by hub.mu.
type carried struct {
	connections int
	at          frame.Position // the last frame read into the ring, or the one it began after
	began       uint64         // revision after which the ring has it
}

// unread is a stream to read from where the ring is in it.
type unread struct {
	*carried
	name string
	at   frame.Position
}

// unread lists the streams that some edge wants and that are not in read.
func (h *hub) unread(read map[*carried]frame.Position) ([]unread, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []unread
	for name, c := range h.mu.streams {
		if _, done := read[c]; !done {
			list = append(list, unread{c, name, c.at})
		}
	}
	slices.SortFunc(list, func(a, b unread) int { return strings.Compare(a.name, b.name) })
	return list, h.mu.version
}

// subscribe makes the ring carry streams from where they are now on.
func (h *hub) subscribe(streams []string) {
	heads := map[string]frame.Position{}
	for {
		at := h.published()
		for _, s := range streams {
			heads[s] = h.head(s)
		}
		if h.trySubscribe(heads, streams, at) {
			return
		}
	}
}

// trySubscribe fails when the ring went past the revision at which heads were read: what
// came between them would be missing.
func (h *hub) trySubscribe(heads map[string]frame.Position, streams []string, at uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.revision != at {
		return false
	}
	for _, s := range streams {
		c := h.mu.streams[s]
		if c == nil {
			c = &carried{at: heads[s], began: heads[s].Revision}
			h.mu.streams[s] = c
			h.mu.version++
		}
		c.connections++
	}
	return true
}

func (h *hub) unsubscribe(streams []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unsubscribeLocked(streams)
}

func (h *hub) unsubscribeLocked(streams []string) {
	for _, s := range streams {
		if h.mu.streams[s].connections--; h.mu.streams[s].connections == 0 {
			delete(h.mu.streams, s)
		}
	}
}

// tip is the state of the ring as one connection may see it.
type tip struct {
	end      uint64 // sequence number
	revision uint64
	at       time.Time
	streams  map[string]uint64 // where the ring is in a stream, if that is later
}

// tip returns where to go on in the ring; streams must be subscribed to before.
func (h *hub) tip(streams []string) tip {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := tip{h.mu.open, h.mu.openRev, h.mu.openAt, map[string]uint64{}}
	for _, s := range streams {
		// A stream that began to be carried at a later revision than the tip's: what was
		// before that is not in the ring.
		if at := h.mu.streams[s].began; at > h.mu.openRev {
			t.streams[s] = at
		}
	}
	return t
}
