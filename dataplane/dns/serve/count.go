package serve

import (
	"sync"
	"sync/atomic"
)

// Counts are what a handler has counted since it began.
type Counts struct {
	Queries   uint64     // messages that were read as queries
	Dropped   uint64     // messages not worth an answer
	Truncated uint64     // answers with TC
	Tier1     uint64     // queries of the common form in a batched loop
	Tier2     uint64     // all other queries
	Via       [5]uint64  // queries by Transport
	Unsampled uint64     // samples lost because their reader was slow
	Limited   uint64     // answers over the rate limit, dropped or slipped
	Rcodes    [24]uint64 // answers by rcode
}

// counters belong to one loop (or to all streams together), so that cores do not write to each other's lines.
type counters struct {
	tier1, tier2, dropped, truncated, limited atomic.Uint64
	rcodes                                    [24]atomic.Uint64
	via                                       [5]atomic.Uint64
	unsampled                                 atomic.Uint64
	zones                                     [zoneChunks]atomic.Pointer[zoneChunk]
	_                                         [64]byte
}

// count counts the query in work.
func (c *counters) count(x *exchange) {
	if x.first {
		c.tier1.Add(1)
	} else {
		c.tier2.Add(1)
	}
	c.via[x.via].Add(1)
}

type counterSet struct {
	mu struct {
		sync.Mutex
		all []*counters
	}
}

func (s *counterSet) add() *counters {
	c := new(counters)
	s.mu.Lock()
	s.mu.all = append(s.mu.all, c)
	s.mu.Unlock()
	return c
}

// Counts sums the counters of all exchanges.
func (h *Handler) Counts() Counts {
	var t Counts
	s := &h.counters
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.all {
		t.Tier1 += c.tier1.Load()
		t.Tier2 += c.tier2.Load()
		t.Dropped += c.dropped.Load()
		t.Truncated += c.truncated.Load()
		t.Limited += c.limited.Load()
		t.Unsampled += c.unsampled.Load()
		for i := range c.via {
			t.Via[i] += c.via[i].Load()
		}
		for i := range c.rcodes {
			t.Rcodes[i] += c.rcodes[i].Load()
		}
	}
	t.Queries = t.Tier1 + t.Tier2
	return t
}
