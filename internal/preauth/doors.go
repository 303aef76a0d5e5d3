package preauth

import (
	"net"
	"sync"
)

// Doors are the listeners of one service, which its metrics count together. The zero value
// has none. A listener stays counted when it is closed: counters never fall.
type Doors struct {
	mu struct {
		sync.Mutex
		all []*Listener
	}
}

// Listen is the function Listen, and counts the listener.
func (d *Doors) Listen(l net.Listener, limits Limits) *Listener {
	b := Listen(l, limits)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.all = append(d.mu.all, b)
	return b
}

// Stats are the sums of all listeners.
func (d *Doors) Stats() (sum Stats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.mu.all {
		s := l.Stats()
		sum.Accepted += s.Accepted
		sum.ClosedByFull += s.ClosedByFull
		sum.ClosedByDeadline += s.ClosedByDeadline
		sum.Waiting += s.Waiting
	}
	return sum
}
