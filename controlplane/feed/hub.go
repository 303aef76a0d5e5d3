package feed

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
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

// carried is a stream that some connection is subscribed to, guarded by hub.mu.
type carried struct {
	connections int
	at          frame.Position // the last frame read into the ring, or the one it began after
	began       uint64         // revision after which the ring has it
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
	if err == nil {
		err = <-failed
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watch tells of each advance; those that come while one is worked on are told as one.
func (h *hub) watch(ctx context.Context, news chan<- uint64) error {
	after, _ := h.published()
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
		from, _ := h.published()
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
func (h *hub) readStream(stream string, at frame.Position, to uint64) (entries []entry, end frame.Position, deny bool, err error) {
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
			entries = append(entries, entry{stream: stream, revision: f.Revision, part: f.Part, wire: frame.AppendFrame(nil, f.Data)})
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

// release opens what was read: at once when it is urgent or there is no canary apart
// from those waiting; else the canary reads first and the answer is true.
func (h *hub) release(urgent bool) (wait bool) {
	h.mu.Lock()
	alone := h.mu.canary == nil || len(h.mu.conns) < 2
	if !urgent && !alone {
		close(h.mu.ahead)
		h.mu.ahead = make(chan struct{})
		h.mu.Unlock()
		return true
	}
	h.mu.Unlock()
	h.releaseAll(false)
	return false
}

// releaseAcked opens what the canary has acked, and reports whether more is waiting.
func (h *hub) releaseAcked() (more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.openRev == h.mu.revision {
		return false
	}
	acked := uint64(math.MaxUint64)
	if h.mu.canary != nil {
		acked = h.mu.canary.acked.Load()
	}
	for i := len(h.mu.ring) - 1; i >= 0; i-- {
		e, seq := h.mu.ring[i], h.mu.first+uint64(i)+1
		if seq <= h.mu.open {
			break
		}
		if e.stream == "" && e.revision <= acked {
			h.mu.open, h.mu.openRev, h.mu.openAt = seq, e.revision, e.at
			h.wakeLocked()
			break
		}
	}
	return h.mu.openRev != h.mu.revision
}

// releaseAll opens everything. A canary that was too slow gives way to another edge.
func (h *hub) releaseAll(slow bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.open == h.endLocked() {
		return
	}
	h.mu.open, h.mu.openRev, h.mu.openAt = h.endLocked(), h.mu.revision, h.mu.at
	if slow {
		h.electLocked(h.mu.canary)
	}
	h.wakeLocked()
}

// electLocked makes another connection than old the canary, old if there is none.
func (h *hub) electLocked(old *conn) {
	for c := range h.mu.conns {
		if c != old {
			h.mu.canary = c
			return
		}
	}
	if _, ok := h.mu.conns[old]; !ok {
		h.mu.canary = nil
	}
}

func (h *hub) wakeLocked() {
	close(h.mu.wake)
	h.mu.wake = make(chan struct{})
	close(h.mu.ahead)
	h.mu.ahead = make(chan struct{})
}

func (h *hub) endLocked() uint64 { return h.mu.first + uint64(len(h.mu.ring)) }

// published is the revision at the ring's end.
func (h *hub) published() (uint64, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.revision, h.mu.at
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

// join counts a connection in, leave out again. The first to come is the canary.
func (h *hub) join(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.conns[c] = struct{}{}
	if h.mu.canary == nil {
		h.mu.canary = c
	}
}

func (h *hub) leave(c *conn, streams []string) {
	h.mu.Lock()
	delete(h.mu.conns, c)
	if h.mu.canary == c {
		h.mu.canary = nil
		h.electLocked(nil)
		h.wakeLocked() // the next canary may read on
	}
	h.unsubscribeLocked(streams)
	h.mu.Unlock()
	h.ackedBy(nil)
}

// subscribe makes the ring carry streams from where they are now on.
func (h *hub) subscribe(streams []string) {
	heads := map[string]frame.Position{}
	for {
		at, _ := h.published()
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

// ackedBy tells the hub of an ack; nil stands for a connection that went.
func (h *hub) ackedBy(c *conn) {
	h.mu.Lock()
	tell := c == nil || c == h.mu.canary
	h.mu.Unlock()
	if !tell {
		return
	}
	select {
	case h.acked <- struct{}{}:
	default:
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
