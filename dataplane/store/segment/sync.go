package segment

import (
	"context"
	"fmt"
	"slices"
)

// Sync makes finished extents durable; only then may they be acknowledged. All who wait
// for a segment share one fdatasync. A failed one is an ErrReadOnly for good. The context
// ends the wait, but not for the one caller who does the sync of all the others.
func (f *Files) Sync(ctx context.Context, refs ...Ref) error {
	var few [4]*segment
	segments := few[:0]
	for _, r := range refs {
		s, err := f.find(r)
		if err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		if !slices.Contains(segments, s) {
			segments = append(segments, s)
		}
	}
	for _, s := range segments {
		if err := f.flush(ctx, s); err != nil {
			return fmt.Errorf("sync segment %d: %w", s.number, err)
		}
	}
	return nil
}

// flush joins the next round of a segment. The first to come leads it: it waits for the
// round that runs, then syncs for all who came meanwhile.
func (f *Files) flush(ctx context.Context, s *segment) error {
	s.flush.mu.Lock()
	r, before := s.flush.next, s.flush.running
	leads := r == nil
	if leads {
		r = &round{done: make(chan struct{})}
		s.flush.next = r
	}
	s.flush.mu.Unlock()
	if !leads {
		select {
		case <-r.done:
			return r.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if before != nil {
		<-before.done
	}
	s.flush.mu.Lock()
	s.flush.next, s.flush.running = nil, r
	s.flush.mu.Unlock()
	r.err = f.syncFile(s)
	close(r.done)
	return r.err
}

// syncFile is the only place where a segment that holds extents is synced.
func (f *Files) syncFile(s *segment) error {
	if err := f.Err(); err != nil {
		return err
	}
	if err := s.file.SyncData(); err != nil {
		return f.fail(fmt.Errorf("fdatasync %08d.seg: %w", s.number, err))
	}
	return nil
}
