package store

import (
	"sync"
	"time"
)

// intentLife is how long a finished body may wait for its command.
const intentLife = time.Hour

// intents are the bodies that this incarnation writes or has written to segments and not
// committed yet. Their least sequence bounds the sweep horizon from above.
type intents struct {
	mu struct {
		sync.Mutex
		last uint64
		open map[*intent]struct{}
	}
}

// intent is one Writer's.
type intent struct {
	sequence uint64
	finished time.Time // zero while its Writer writes
	extents  []ID      // its Writer's until then
}

func (n *intents) begin() *intent {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.open == nil {
		n.mu.open = map[*intent]struct{}{}
	}
	n.mu.last++
	i := &intent{sequence: n.mu.last}
	n.mu.open[i] = struct{}{}
	return i
}

func (n *intents) finish(i *intent, now time.Time) {
	if i == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	i.finished = now
}

func (n *intents) end(i *intent) {
	if i == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.mu.open, i)
}

func (n *intents) committed(fresh []*freshExtent) {
	for _, f := range fresh {
		n.end(f.intent)
	}
}

// expire gives the bodies that waited longer than their life, and the horizon that shuts
// them out: the greatest sequence below all others that may still be committed.
func (n *intents) expire(now time.Time) (horizon uint64, expired []*intent) {
	n.mu.Lock()
	defer n.mu.Unlock()
	least := n.mu.last + 1
	for i := range n.mu.open {
		if i.finished.After(now) {
			i.finished = now // the clock was ahead: its hour begins anew
		}
		if i.finished.IsZero() || now.Sub(i.finished) <= intentLife {
			least = min(least, i.sequence)
		}
	}
	for i := range n.mu.open {
		if i.sequence < least {
			expired = append(expired, i)
		}
	}
	return least - 1, expired
}
