package feed

import (
	"context"
	"errors"
	"fmt"
	"math"
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
		streams  map[string]int
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
	h.mu.streams = map[string]int{}
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
	done := map[string]bool{}
	var batch []entry
	for {
		from, _ := h.published()
		if to <= from {
			return false, nil
		}
		streams, version := h.subscribed(done)
		for _, s := range streams {
			done[s] = true
			entries, deny, err := h.readStream(s, from, to)
			if errors.Is(err, ErrCompacted) {
				h.reset(to, at)
				return true, nil
			}
			if err != nil {
				return false, err
			}
			batch = append(batch, entries...)
			urgent = urgent || deny
		}
		if h.append(append(batch, entry{revision: to, at: at}), version) {
			return urgent, nil
		}
	}
}

// reset gives up the ring: frames were compacted away before they were read here. Every
// connection goes back to reading from the state.
func (h *hub) reset(to uint64, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.first = h.endLocked() + 1
	h.mu.ring, h.mu.bytes = nil, 0
	h.mu.revision, h.mu.at = to, at
	h.mu.open, h.mu.openRev, h.mu.openAt = h.mu.first, to, at
	h.wakeLocked()
}

// readStream reads the frames of a stream in revisions above from, up to to.
func (h *hub) readStream(stream string, from, to uint64) (entries []entry, deny bool, err error) {
	head, _, _, ok := h.src.Head(stream)
	if !ok || head <= from {
		return nil, false, nil
	}
	rev, part := from, uint32(math.MaxUint32)
	for {
		frames, err := h.src.Frames(stream, rev, part, 64)
		if err != nil {
			return nil, false, fmt.Errorf("read frames of %s after revision %d: %w", stream, rev, err)
		}
		for _, f := range frames {
			if f.Revision > to {
				return entries, deny, nil
			}
			deny = deny || frame.HasDeny(f.Data)
			entries = append(entries, entry{stream: stream, revision: f.Revision, part: f.Part, wire: frame.AppendFrame(nil, f.Data)})
			rev, part = f.Revision, f.Part
		}
		if len(frames) == 0 {
			return entries, deny, nil
		}
	}
}

// append adds a batch, unless streams were subscribed to since version, whose frames
// would be missing in it.
func (h *hub) append(batch []entry, version uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mu.version != version {
		return false
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

// subscribed lists the streams some edge wants that are not in done.
func (h *hub) subscribed(done map[string]bool) ([]string, uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list []string
	for s := range h.mu.streams {
		if !done[s] {
			list = append(list, s)
		}
	}
	slices.Sort(list)
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
	}
	h.unsubscribeLocked(streams)
	h.mu.Unlock()
	h.ackedBy(nil)
}

// subscribe makes the ring carry streams from its end on.
func (h *hub) subscribe(streams []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range streams {
		if h.mu.streams[s] == 0 {
			h.mu.version++
		}
		h.mu.streams[s]++
	}
}

func (h *hub) unsubscribe(streams []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unsubscribeLocked(streams)
}

func (h *hub) unsubscribeLocked(streams []string) {
	for _, s := range streams {
		if h.mu.streams[s]--; h.mu.streams[s] == 0 {
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
}

// tip returns where c may read to; streams must be subscribed to before.
func (h *hub) tip(c *conn) tip {
	h.mu.Lock()
	defer h.mu.Unlock()
	return tip{h.mu.open, h.mu.openRev, h.mu.openAt}
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
