package feed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/frame"
)

// entry is one encoded frame of the ring, or the point where a view may be cut.
type entry struct {
	stream   string // empty: progress
	revision uint64
	part     uint32
	wire     []byte // shared by all connections
	at       time.Time
}

// hub reads what is published once, encodes it once, and lets every connection read it
// from one ring. A connection that is overtaken by the ring's start goes back to
// reading from the state, so that slow edges cost no memory of their own.
//
// Entries up to the ring's end are the canary's to read; the others read up to open.
type hub struct {
	src    Source
	limits Limits

	mu struct {
		sync.Mutex
		ring     []entry
		first    uint64 // sequence number of ring[0]
		bytes    int
		revision uint64 // published revision at the ring's end
		at       time.Time
		open     uint64 // sequence number up to which all may read
		openRev  uint64
		openAt   time.Time
		wake     chan struct{} // closed and replaced when there is more for all
		ahead    chan struct{} // the same for the canary
		streams  map[string]*carried
		version  uint64 // of streams
		canary   *conn
		conns    map[*conn]struct{}
	}
	acked chan struct{} // the canary acked something
}

func newHub(src Source, l Limits) *hub {
	h := &hub{src: src, limits: l, acked: make(chan struct{}, 1)}
	h.mu.wake = make(chan struct{})
	h.mu.ahead = make(chan struct{})
	h.mu.streams = map[string]*carried{}
	h.mu.conns = map[*conn]struct{}{}
	h.mu.revision, h.mu.at = src.Published()
	h.mu.openRev, h.mu.openAt = h.mu.revision, h.mu.at
	return h
}

// run reads what is published until ctx ends.
func (h *hub) run(ctx context.Context) error {
	news := make(chan uint64)
	failed := make(chan error, 1)
	waiting, stop := context.WithCancel(ctx)
	go func() { failed <- h.watch(waiting, news) }()
	err := h.loop(ctx, news, failed)
	stop()
	if werr := <-failed; err == nil {
		err = werr
	}
	if ctx.Err() != nil {
		err = nil // it ended because it was told to
	}
	return err
}

// watch tells of each advance; those that come while one is worked on are told as one.
func (h *hub) watch(ctx context.Context, news chan<- uint64) error {
	after := h.published()
	for {
		if err := h.src.WaitPublished(ctx, after); err != nil {
			return err
		}
		after, _ = h.src.Published()
		select {
		case news <- after:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (h *hub) loop(ctx context.Context, news <-chan uint64, failed chan error) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	waiting := false // for the canary; more news do not prolong it
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			failed <- err
			return nil
		case <-news:
			urgent, err := h.read()
			if err != nil {
				return err
			}
			wait := h.release(urgent)
			if wait && !waiting {
				timer.Reset(h.limits.Canary)
			}
			waiting = wait
		case <-h.acked:
			if waiting = h.releaseAcked(); waiting {
				timer.Reset(h.limits.Canary)
			}
		case <-timer.C:
			waiting = false
			h.releaseAll(true)
		}
	}
}

// read appends everything that is published since the ring's end.
func (h *hub) read() (urgent bool, err error) {
	to, at := h.src.Published()
	read := map[*carried]frame.Position{}
	var batch []entry
	for {
		from := h.published()
		if to <= from {
			return false, nil
		}
		streams, version := h.unread(read)
		for _, s := range streams {
			entries, end, deny, err := h.readStream(s.name, s.at, to)
			if errors.Is(err, ErrCompacted) {
				return true, h.reset(to, at)
			}
			if err != nil {
				return false, err
			}
			read[s.carried] = end
			batch = append(batch, entries...)
			urgent = urgent || deny
		}
		if h.append(append(batch, entry{revision: to, at: at}), version, read) {
			return urgent, nil
		}
	}
}

// reset gives up the ring: frames were compacted away before they were read here. Every
// connection goes back to reading from the state.
func (h *hub) reset(to uint64, at time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, c := range h.mu.streams {
		c.at = h.head(name)
		c.began = c.at.Revision
	}
	h.mu.first = h.endLocked() + 1
	h.mu.ring, h.mu.bytes = nil, 0
	h.mu.revision, h.mu.at = to, at
	h.mu.open, h.mu.openRev, h.mu.openAt = h.mu.first, to, at
	h.wakeLocked()
	return nil
}

// head is the position of a stream's last frame, Start when it has none.
func (h *hub) head(stream string) frame.Position {
	rev, part, hash, ok := h.src.Head(stream)
	if !ok {
		return frame.Start
	}
	return frame.Position{Revision: rev, Part: part, Hash: hash}
}

// readStream reads the frames of a stream after a position, in revisions up to to.
func (h *hub) readStream(stream string, at frame.Position,
	to uint64,
) (entries []entry, end frame.Position, deny bool, err error) {
	if head := h.head(stream); !at.Before(head.Revision, head.Part) {
		return nil, at, false, nil
	}
	for {
		frames, err := h.src.Frames(stream, at.Revision, at.Part, 64)
		if err != nil {
			return nil, at, false, fmt.Errorf("read frames of %s after revision %d: %w", stream, at.Revision, err)
		}
		for _, f := range frames {
			if f.Revision > to {
				return entries, at, deny, nil
			}
			deny = deny || frame.HasDeny(f.Data)
			entries = append(entries, entry{
				stream: stream, revision: f.Revision, part: f.Part,
				wire: frame.AppendFrame(nil, f.Data),
			})
			at = frame.Position{Revision: f.Revision, Part: f.Part, Hash: f.Hash}
		}
		if len(frames) == 0 {
			return entries, at, deny, nil
		}
	}
}

// append adds a batch, unless streams were subscribed to since version, whose frames
// would be missing in it.
func (h *hub) append(batch []entry, version uint64, read map[*carried]frame.Position) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.version != version {
		return false
	}
	for c, at := range read {
		c.at = at
	}
	for _, e := range batch {
		h.mu.ring = append(h.mu.ring, e)
		h.mu.bytes += len(e.wire)
	}
	last := batch[len(batch)-1]
	h.mu.revision, h.mu.at = last.revision, last.at
	drop := 0
	for h.mu.bytes > h.limits.RingBytes || len(h.mu.ring)-drop > h.limits.RingFrames {
		h.mu.bytes -= len(h.mu.ring[drop].wire)
		drop++
	}
	if drop > 0 {
		h.mu.ring = slices.Clone(h.mu.ring[drop:])
		h.mu.first += uint64(drop)
	}
	return true
}

func (h *hub) wakeLocked() {
	close(h.mu.wake)
	h.mu.wake = make(chan struct{})
	close(h.mu.ahead)
	h.mu.ahead = make(chan struct{})
}

func (h *hub) endLocked() uint64 { return h.mu.first + uint64(len(h.mu.ring)) }

// published is the revision at the ring's end.
func (h *hub) published() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.revision
}

// next returns the entries from cursor on that c may read, or a channel that is closed
// when there may be more; lost is set when they are no longer kept.
func (h *hub) next(c *conn, cursor uint64) (entries []entry, more <-chan struct{}, lost bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end, wake := h.mu.open, h.mu.wake
	if c == h.mu.canary {
		end, wake = h.endLocked(), h.mu.ahead
	}
	if cursor < h.mu.first {
		return nil, nil, true
	}
	if cursor >= end {
		return nil, wake, false
	}
	from := int(cursor - h.mu.first)
	to := min(int(end-h.mu.first), from+64)
	return h.mu.ring[from:to:to], nil, false
}

// connections are those that are served now.
func (h *hub) connections() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.mu.conns))
}
