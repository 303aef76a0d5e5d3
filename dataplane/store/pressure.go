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
// closed when writes may go on, and nil while they may; and since when no write came back
// though some are under way.
type pressure struct {
	mu struct {
		sync.Mutex
		open  chan struct{}
		cause error
		held  uint64 // times that writes were held back

		tables, sublevels uint64 // of the first level

		still time.Time
		at    [2]uint64 // what was applied and what was durable then
	}
}

// watch notes whether writes come back. busy: some are under way.
func (p *pressure) watch(now time.Time, busy bool, applied, durable uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := [2]uint64{applied, durable}
	if !busy {
		p.mu.still = time.Time{}
	} else if p.mu.still.IsZero() || at != p.mu.at {
		p.mu.still = now
	}
	p.mu.at = at
}

// level0 is what set was told last of the first level: Pebble itself may not answer.
func (p *pressure) level0() (tables, sublevels uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.tables, p.mu.sublevels
}

// tell says how often writes were held back, and how long none has come back.
func (p *pressure) tell(now time.Time) (held uint64, hanging time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.still.IsZero() {
		hanging = now.Sub(p.mu.still)
	}
	return p.mu.held, hanging
}

// set says how many tables the first level has, how many of them lie over one another, and what
// compactions failed with last.
func (p *pressure) set(tables, sublevels int, cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.tables, p.mu.sublevels = uint64(tables), uint64(sublevels)
	high := sublevels >= mostSublevels
	switch {
	case high && p.mu.open == nil:
		p.mu.open = make(chan struct{})
		p.mu.held++
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
			applied, durable := s.log.applied(), s.durable.load()
			s.pressure.watch(time.Now(), applied > durable || s.log.busy(), applied, durable)
			level := &s.db.Metrics().Levels[0]
			s.pressure.set(int(level.TablesCount), int(level.Sublevels), s.compactions.last())
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
