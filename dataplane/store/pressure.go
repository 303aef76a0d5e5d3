package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Tables of the first level, one over the other, that the rows' database may have. Pebble
// itself would stop a write in the middle, for as long as its compactions fail. So writes
// are refused before they reach it: from mostSublevels on, which pressEvery leaves far below
// stopSublevels.
const (
	mostSublevels = 40
	stopSublevels = 400
	pressEvery    = time.Second
)

// pressure holds writes back while compactions do not keep up. mu guards open, which is
// closed when writes may go on, and nil while they may.
type pressure struct {
	mu struct {
		sync.Mutex
		open  chan struct{}
		cause error
	}
}

// set says how many tables lie over one another, and what compactions failed with last.
func (p *pressure) set(sublevels int, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	high := sublevels >= mostSublevels
	switch {
	case high && p.mu.open == nil:
		p.mu.open = make(chan struct{})
	case !high && p.mu.open != nil:
		close(p.mu.open)
		p.mu.open = nil
	}
	p.mu.cause = cause
}

func (p *pressure) state() (open chan struct{}, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.open, p.mu.cause
}

// wait waits until writes may go on. ErrBusy where that takes too long.
func (p *pressure) wait(ctx context.Context, late <-chan time.Time) error {
	open, cause := p.state()
	if open == nil {
		return nil
	}
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
	}
	if cause == nil {
		return fmt.Errorf("%w: compactions do not keep up", ErrBusy)
	}
	return fmt.Errorf("%w: compactions fail: %w", ErrBusy, cause)
}

// press looks at the first level of the rows' database until the store is closed.
func (s *Store) press(ctx context.Context) {
	tick := time.NewTicker(pressEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.pressure.set(int(s.db.Metrics().Levels[0].Sublevels), s.compactions.last())
		}
	}
}

// compactions is what became of Pebble's own work.
type compactions struct {
	mu struct {
		sync.Mutex
		err error // of the last that ended; nil: it succeeded
	}
}

func (c *compactions) ended(i pebble.CompactionInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.err = i.Err
}

func (c *compactions) last() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.err
}
