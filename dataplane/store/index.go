package store

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// The index of this member: where each extent lies, a segment.Ref. It is written without
// a sync, before the command that needs it: both are in Pebble's log in that order, so
// that a row that is there has its places, too. Rebuild makes it anew.

// place is where an extent lies; ok is false where this member has none.
func (s *Store) place(id ID) (r segment.Ref, ok bool, err error) {
	v, closer, err := s.db.Get(placeKey(id))
	if errors.Is(err, pebble.ErrNotFound) {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	defer closer.Close()
	r, err = segment.ParseRef(v)
	return r, err == nil, err
}

func (s *Store) setPlace(id ID, r segment.Ref, how *pebble.WriteOptions) error {
	if err := s.writable(); err != nil {
		return err
	}
	return s.write(func() error {
		return s.db.Set(placeKey(id), r.Append(make([]byte, 0, segment.RefSize)), how)
	})
}

// free gives back the places of extents whose deletion is durable.
func (s *Store) free(removed []ID) {
	for _, id := range removed {
		if err := s.freeOne(id); err != nil {
			s.opt.Logger.Warn("an extent's place was not given back; the next start does",
				"extent", fmt.Sprintf("%x", id), "error", err)
		}
	}
}

// freeOne holds placing, so that the extent is not being moved meanwhile.
func (s *Store) freeOne(id ID) error {
	s.placing.Lock()
	defer s.placing.Unlock()
	r, ok, err := s.place(id)
	if err != nil || !ok {
		return err
	}
	if err := s.write(func() error { return s.db.Delete(placeKey(id), pebble.NoSync) }); err != nil {
		return err
	}
	s.files.Free(r)
	return nil
}

// discard frees the extents of a body that were never committed, and says whether that is
// all of them.
func (s *Store) discard(b Body) (all bool) {
	all = true
	for _, f := range b.fresh {
		if f.adopt || f.inline != nil {
			continue
		}
		// From now on nobody can commit it.
		if f.committed.CompareAndSwap(false, true) {
			s.free([]ID{f.id})
		} else {
			all = false
		}
	}
	return all
}

// syncBodies makes extents durable.
func (s *Store) syncBodies(ctx context.Context, refs []segment.Ref) error {
	if s.control.noBodySync || s.control.early {
		return nil
	}
	err := s.files.Sync(ctx, refs...)
	if errors.Is(err, segment.ErrReadOnly) {
		return s.fail(err)
	}
	return err
}

// syncLate is of the control build that syncs bodies when their command is durable.
func (s *Store) syncLate(ctx context.Context, fresh []*freshExtent) error {
	if !s.control.early {
		return nil
	}
	for _, f := range fresh {
		if f.inline != nil || f.adopt {
			continue
		}
		if err := s.files.Sync(ctx, f.at); err != nil {
			return err
		}
	}
	return nil
}

// diskError says what a failed write of a segment means.
func (s *Store) diskError(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		s.disk.Full()
		return fmt.Errorf("%w: %w", ErrFull, err)
	case errors.Is(err, segment.ErrReadOnly):
		return s.fail(err)
	}
	return err
}
