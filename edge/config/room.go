package config

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// An edge whose disk is full takes nothing in, as if no control node could be reached, and
// serves what it has: what it acknowledged would not be kept. It starts then without a
// single write.

var errFull = errors.New("the disk is full")

// followPart is the part of the disk's reserve down to which the feed is followed: what
// the control plane says goes on when users' data may not, and when it writes no more
// itself.
const followPart = 8

// roomEvery is how often an edge with a full disk looks at it.
const roomEvery = time.Second

func (s *store) full() bool { return s.disk.Below(s.disk.Reserve() / followPart) }

// waitRoom returns when there is space for what a control node may say, or ctx ends.
func (c *Config) waitRoom(ctx context.Context) error {
	if c.store.full() {
		avail, _ := c.disk.Avail()
		c.o.Log.Error("config: the disk is full; the edge serves what it has and hears no control node until there "+
			"is space",
			"free", avail, "kept", c.disk.Reserve()/followPart)
		for c.store.full() && ctx.Err() == nil {
			pause(ctx, roomEvery)
		}
		if ctx.Err() == nil {
			c.o.Log.Info("config: there is space again")
			if !c.store.readOnly {
				c.store.respare()
			}
		}
	}
	if ctx.Err() != nil || !c.store.readOnly {
		return nil //nolint:nilerr // the follower looks at ctx itself
	}
	if err := c.store.wake(); err != nil {
		return broken{err}
	}
	if c.store.lost.Load() { // what was salvaged is not in memory yet
		all, err := load(c.store.live.db)
		if err != nil {
			return broken{err}
		}
		c.adopt(all)
	}
	if err := c.tidy(); err != nil {
		return broken{err}
	}
	return nil
}

// wake opens what was opened for reading alone, for writing.
func (s *store) wake() error {
	name, seq := s.live.name, s.live.seq
	if err := s.live.close(); err != nil {
		return err
	}
	s.readOnly = false
	switch {
	case s.lost.Load():
		return s.anew()
	case seq == 0: // begun in memory
		return s.create()
	}
	live, err := s.openGeneration(name, false)
	if err != nil {
		return err
	}
	if live == nil || live.seq != seq {
		return errors.Join(fmt.Errorf("generation %s is not what it was at the start", name), live.close())
	}
	other, err := s.openGeneration(otherName(name), false)
	if err != nil {
		s.damages.Add(1)
		s.log.Error("config: the spare generation cannot be read and is made anew", "error", err)
	}
	return s.begin(live, other, false)
}
