package store

import (
	"context"
	"errors"
	"fmt"
	"math"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// raise makes writers that are gone unwelcome: what they wrote and did not commit may then
// be deleted.
func (s *Store) raise(ctx context.Context, gone []uint64) error {
	for _, w := range gone {
		if err := s.raiseTo(ctx, w, math.MaxUint64); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) raiseTo(ctx context.Context, writer, sequence uint64) error {
	h := &storev1.Horizon{Writer: writer, Sequence: sequence}
	if _, err := s.propose(ctx, &storev1.Op{Op: &storev1.Op_Horizon{Horizon: h}}); err != nil {
		return fmt.Errorf("raise the horizon of writer %x: %w", writer, err)
	}
	return nil
}

// sweep deletes bodies of this incarnation that were finished and for an hour neither
// committed nor aborted. First the horizon rises over them, so that no command can bring
// them in any more; then those that no row brought in before are deleted.
func (s *Store) sweep(ctx context.Context) error {
	horizon, expired := s.intents.expire(s.opt.Clock.Now())
	if len(expired) == 0 {
		return nil
	}
	if err := s.raiseTo(ctx, s.writer, horizon); err != nil {
		return err
	}
	for _, i := range expired {
		for _, id := range i.extents {
			if _, err := s.extent(id); errors.Is(err, ErrGone) {
				s.free([]ID{id})
			} else if d := (*Damaged)(nil); errors.As(s.hurt(err), &d) {
				continue // it may be needed; it costs the others nothing
			} else if err != nil {
				return err
			}
		}
		s.intents.end(i)
	}
	return nil
}
