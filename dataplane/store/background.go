package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// every is how often the background work looks whether there is some, and pause how long
// it rests when it is asked to look sooner.
const (
	every = time.Minute
	pause = time.Second
)

// compactShare is the share of a segment that may be needed for it to be worth emptying, and
// mostShare what it is on a full disk.
const compactShare, mostShare = 0.5, 31.0 / 32

// start runs the background work until Close.
func (s *Store) start() {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if !s.control.calm {
		s.ailing.turn()
		s.done.Go(func() { s.setTablesAside(ctx) })
		s.done.Go(func() { s.press(ctx) })
	}
	if s.seek != nil && s.opt.Quiet {
		s.seek(ctx)
	} else if s.seek != nil {
		s.done.Go(func() { s.seek(ctx) })
	}
	if !s.opt.Quiet {
		s.done.Go(func() { s.run(ctx) })
		s.done.Go(func() { s.syncFloors(ctx) })
	}
}

func (s *Store) run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.Maintain(ctx); err != nil && ctx.Err() == nil {
			s.opt.Logger.Warn("background work", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
			rest(ctx, pause)
		}
	}
}

func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// look asks the background work to look at once.
func (s *Store) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Maintain runs one round of background work and returns when it is done: erased spaces
// are emptied, bodies that nobody committed deleted, old keys destroyed, segments with
// little in them emptied, empty ones removed while the disk is full. One round runs at a time.
func (s *Store) Maintain(ctx context.Context) error {
	s.round.Lock()
	defer s.round.Unlock()
	var errs []error
	for _, work := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"give back", s.giveBack},
		{"empty", s.empty},
		{"sweep", s.sweep},
		{"shred", s.shred},
		{"compact", s.compact},
		{"give back", s.giveBack},
		{"restock", s.restock},
	} {
		if err := s.writable(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		errs = append(errs, s.works.run(ctx, work.name, s.now, work.do))
	}
	return errors.Join(errs...)
}

// emptying are the segments that compaction chose, and when it did. Only rounds of background work use it.
type emptying struct {
	chosen []uint32
	at     time.Time
}

// compact empties segments of which little is needed. One round moves about a segment's octets, so
// that all other background work has its turn; the next follows soon.
func (s *Store) compact(ctx context.Context) error {
	budget := segment.NewBudget(s.opt.MoveRate)
	s.choose()
	var errs []error
	for left := s.opt.SegmentSize; ; {
		c, ok := s.nextToEmpty()
		if !ok {
			return errors.Join(errs...)
		}
		if left <= 0 {
			s.look()
			return errors.Join(errs...)
		}
		// It may use what writers must leave, for it gives back more.
		if err := s.room(false); err != nil {
			return errors.Join(append(errs, err)...)
		}
		s.emptying.chosen = s.emptying.chosen[1:]
		left -= max(c.Live, 1)
		errs = append(errs, s.files.Compact(ctx, c.Number, budget, s.moved))
	}
}

// choose looks which segments are worth emptying, when those that it chose before are done. It looks no
// more often than each minute while there is space: the longer a segment is left alone, the less of it has
// to be moved.
func (s *Store) choose() {
	e, worth := &s.emptying, s.worthMoving()
	if len(e.chosen) > 0 || worth == compactShare && !e.at.IsZero() && time.Since(e.at) < every {
		return
	}
	e.at = time.Now()
	for _, c := range s.files.Candidates(worth) {
		e.chosen = append(e.chosen, c.Number)
	}
}

// nextToEmpty is the next that was chosen and is still worth it.
func (s *Store) nextToEmpty() (c segment.SegmentStats, ok bool) {
	worth := s.files.Candidates(s.worthMoving())
	for ; len(s.emptying.chosen) > 0; s.emptying.chosen = s.emptying.chosen[1:] {
		for _, c := range worth {
			if c.Number == s.emptying.chosen[0] {
				return c, true
			}
		}
	}
	return c, false
}

// moved gives extents their new places, unless they were deleted meanwhile. It is durable
// before the old places are used again.
func (s *Store) moved(moves []segment.Move) error {
	s.placing.Lock()
	defer s.placing.Unlock()
	batch := s.db.NewBatch()
	defer batch.Close()
	for i := range moves {
		m := &moves[i]
		at, ok, err := s.place(m.Header.ID)
		if err != nil {
			return err
		}
		if !ok || at != m.From {
			continue
		}
		m.Taken = true
		if err := batch.Set(placeKey(m.Header.ID), m.To.Append(nil), nil); err != nil {
			return err
		}
	}
	if err := s.write(func() error { return batch.Commit(pebble.Sync) }); err != nil {
		return s.fail(fmt.Errorf("sync the places of extents: %w", err))
	}
	return nil
}
