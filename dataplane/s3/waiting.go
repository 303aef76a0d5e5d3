package s3

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// places are slots that requests wait for. They come in the order in which they were asked
// for; whoever's share is taken is passed over, so that one organization's slow uploads make
// only its own others wait.
type places struct {
	slots *slots
	mu    struct { // before that of slots
		sync.Mutex
		waiting []*waiter
	}
}

// waiter is a request that waits for a place; given is closed when it has one.
type waiter struct {
	holder holder
	given  chan struct{}
}

func newPlaces(bound int) *places { return &places{slots: newSlots(bound)} }

// enter waits for a place as long as patience says.
func (p *places) enter(ctx context.Context, h holder, patience time.Duration) error {
	w := p.join(h)
	if w == nil {
		return nil
	}
	end := time.NewTimer(patience)
	defer end.Stop()
	var err error
	select {
	case <-w.given:
		return nil
	case <-end.C:
		err = s3xml.SlowDown
	case <-ctx.Done():
		err = ctx.Err()
	}
	if p.quit(w) {
		return err
	}
	return nil // it was given the place at the last moment
}

// join takes a place, or returns how it is waited for.
func (p *places) join(h holder) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slots.take(h, 1) {
		return nil
	}
	w := &waiter{holder: h, given: make(chan struct{})}
	p.mu.waiting = append(p.mu.waiting, w)
	return w
}

// quit ends the waiting. It says false of one who has a place by now.
func (p *places) quit(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.mu.waiting, w)
	if i >= 0 {
		p.mu.waiting = slices.Delete(p.mu.waiting, i, i+1)
	}
	return i >= 0
}

// leave gives a place back, which goes to the first who may have it.
func (p *places) leave(h holder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots.give(h, 1)
	for i, w := range p.mu.waiting {
		if p.slots.take(w.holder, 1) {
			p.mu.waiting = slices.Delete(p.mu.waiting, i, i+1)
			close(w.given)
			return
		}
	}
}
