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

// horizon is the greatest sequence that no body will be committed with any more. Bodies
// that waited longer than their life are given up.
func (n *intents) horizon(now time.Time) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	least := n.mu.last + 1
	for i := range n.mu.open {
		if !i.finished.IsZero() && now.Sub(i.finished) > intentLife {
			delete(n.mu.open, i)
			continue
		}
		least = min(least, i.sequence)
	}
	return least - 1
}
