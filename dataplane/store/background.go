package store

import (
	"context"
	"time"
)

// start runs the background work until Close.
func (s *Store) start() {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	if s.opt.Quiet {
		return
	}
	s.done.Go(func() { s.run(ctx) })
}

// every is how often the background work looks whether there is some.
const every = time.Minute

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
		}
	}
}

// Maintain runs one round of background work and returns when it is done.
func (s *Store) Maintain(ctx context.Context) error { return nil }

// Erase deletes a space for good: its keys at once, rows and bodies in the background.
// The identity is never used again.
func (s *Store) Erase(ctx context.Context, space ID) error { return nil }
