package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// emptyBatch is how many rows of an erased space one command deletes.
const emptyBatch = 512

// Erase deletes a space for good: its keys at once, rows and bodies in the background.
// The identity is never used again.
func (s *Store) Erase(ctx context.Context, space ID) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if s.isErased(space) {
		return nil
	}
	if _, err := s.propose(ctx, &storev1.Op{Space: space[:], Op: &storev1.Op_Erase{Erase: true}}); err != nil {
		return fmt.Errorf("erase space %x: %w", space, err)
	}
	s.chain.forget(space, "", true)
	s.look()
	return nil
}

// empty deletes what erased spaces still have.
func (s *Store) empty(ctx context.Context) error {
	var spaces []ID
	err := eachKey(s.db, []byte{tagErased}, func(k, v []byte) error {
		if len(v) == 1 && v[0] == 1 {
			spaces = append(spaces, ID(k[1:]))
		}
		return nil
	})
	if err != nil || len(spaces) == 0 {
		return err
	}
	if err := s.vacuumErased(ctx, spaces); err != nil {
		return err
	}
	var errs []error
	for _, space := range spaces {
		if err := s.emptyOne(ctx, space); err != nil {
			errs = append(errs, fmt.Errorf("empty space %x: %w", space, s.hurt(err)))
		}
	}
	return errors.Join(errs...)
}

// vacuumErased makes the keys of erased spaces leave the disk, once for each space: one that
// cannot be emptied is met again in each round.
func (s *Store) vacuumErased(ctx context.Context, spaces []ID) error {
	if !slices.ContainsFunc(spaces, func(id ID) bool { return !s.vacuumed[id] }) {
		return nil
	}
	if err := s.vacuum(ctx); err != nil {
		return err
	}
	for _, id := range spaces {
		s.vacuumed[id] = true
	}
	return nil
}

func (s *Store) emptyOne(ctx context.Context, space ID) error {
	s.chain.forget(space, "", true)
	for {
		_, err := s.propose(ctx, &storev1.Op{Space: space[:], Op: &storev1.Op_Empty{Empty: emptyBatch}})
		if err != nil {
			return err
		}
		v, err := get(s.db, idKey(tagErased, space))
		if err != nil {
			return err
		}
		if len(v) != 1 || v[0] != 1 {
			delete(s.vacuumed, space)
			s.mendedSpace(space)
			return nil
		}
	}
}
