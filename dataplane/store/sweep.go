package store

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"

	"github.com/dark-ecosystem/dark/dataplane/store/segment"
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
			} else if err != nil {
				return err
			}
		}
		s.intents.end(i)
	}
	return nil
}

// adopt tells the segments which extents are needed and forgets places that nothing needs.
// It is whole where every extent that rows need is where the index says. Where one is not,
// nothing may be written over, and no place is forgotten where a table is damaged: Rebuild
// may find it yet.
func (s *Store) adopt() (whole bool, err error) {
	n, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagExtent}, UpperBound: []byte{tagExtent + 1}})
	if err != nil {
		return false, err
	}
	defer n.Close()
	needed := neededExtents{Iterator: n, whole: true}
	needed.First()
	batch := s.db.NewBatch()
	defer batch.Close()
	prefix := []byte{tagLocal, localExtent}
	err = eachKey(s.db, prefix, func(k, v []byte) error {
		id := k[len(prefix):]
		if !needed.reach(id) {
			return batch.Delete(k, nil)
		}
		if !s.adoptOne(ID(id), v) {
			needed.whole = false
		}
		needed.Next()
		return nil
	})
	needed.reach(nil)
	if err := firstOf(err, needed.Error()); pebble.IsCorruptionError(err) {
		_ = s.hurt(err)
		return false, nil // what can be read is
	} else if err != nil {
		return false, err
	}
	return needed.whole, batch.Commit(pebble.NoSync)
}

// neededExtents goes over the extents that rows need, beside the index.
type neededExtents struct {
	*pebble.Iterator
	whole bool // none that should have a place was passed over
}

// reach goes on to an extent, or with nil to the end, and says whether it is needed.
func (n *neededExtents) reach(id []byte) bool {
	for n.Valid() && (id == nil || string(n.Key()[1:]) < string(id)) {
		if v, err := n.ValueAndErr(); err != nil || len(v) < 2 || v[1]&bitInline == 0 {
			n.whole = false
		}
		n.Next()
	}
	return n.Valid() && string(n.Key()[1:]) == string(id)
}

// adoptOne keeps an extent; one that is not where the index says is told of, and stays for
// reading to refuse and Rebuild to find.
func (s *Store) adoptOne(id ID, place []byte) bool {
	r, err := segment.ParseRef(place)
	if err == nil {
		err = s.files.Adopt(r)
	}
	if err != nil {
		_ = s.hurt(&Damaged{
			Thing: Thing{Kind: DamagedExtent, Extent: id}, What: fmt.Sprintf("extent %x in %s", id, r), Err: err,
		})
	}
	return err == nil
}
