package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// durable is the index up to which all commands are synced. Rows can be found before that,
// as soon as their command is applied: who is shown one waits until it is durable, so that
// nobody acts on what a power cut takes back. Others, who find nothing, wait for nothing.
type durable struct {
	index   atomic.Uint64
	waiting atomic.Int64
	mu      struct {
		sync.Mutex
		risen chan struct{} // closed when index rises; nil until someone waits
	}
}

func (d *durable) load() uint64 { return d.index.Load() }

func (d *durable) raise(n uint64) {
	raise(&d.index, n)
	d.wake()
}

// wake has those who wait look again.
func (d *durable) wake() {
	if d.waiting.Load() == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.risen != nil {
		close(d.mu.risen)
		d.mu.risen = nil
	}
}

func (d *durable) next() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.risen == nil {
		d.mu.risen = make(chan struct{})
	}
	return d.mu.risen
}

// synced returns when the command that wrote a row last is durable. ErrReadOnly where it
// never was; *Damaged where there was no such command.
func (s *Store) synced(ctx context.Context, space ID, key []byte, r *row, v Version) error {
	index := uint64(v) + r.amended
	d := &s.durable
	if index <= d.load() || s.control.dirty {
		return nil
	}
	if index > s.log.applied() {
		return damagedRow(space, key, v, errors.New("it was written by a command that is still to come"))
	}
	d.waiting.Add(1)
	defer d.waiting.Add(-1)
	for {
		risen := d.next()
		if index <= d.load() {
			return nil
		}
		if err := s.fault.reason(); err != nil {
			return err
		}
		select {
		case <-risen:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
