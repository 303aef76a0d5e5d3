package feed

import (
	"math"
)

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
