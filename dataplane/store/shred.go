package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// rewrapBatch is how many holds one command wraps again.
const rewrapBatch = 256

// shredEvery is how often keys are looked through, besides once when a day begins.
const shredEvery = time.Hour

// shred keeps deleted bodies from being opened: epoch keys that nothing needs are
// destroyed; what still needs one that grew old is wrapped under today's first. Epoch keys
// whose own key was rotated are wrapped again.
func (s *Store) shred(ctx context.Context) error {
	now := s.opt.Clock.Now()
	if last := s.shredded; !last.IsZero() && epochAt(last) == epochAt(now) && now.Sub(last) < shredEvery {
		return nil
	}
	old, err := s.lookThrough(ctx, now)
	if err != nil {
		return err
	}
	if len(old) > 0 {
		if err := s.rewrap(ctx, old); err != nil {
			return err
		}
		if _, err := s.lookThrough(ctx, now); err != nil {
			return err
		}
	}
	s.shredded = now
	return nil
}

// lookThrough destroys epoch keys that nothing needs, and gives those that are needed and
// old. A key of a day to come was made while the clock was ahead: it counts as old, because
// it would stay until that day.
func (s *Store) lookThrough(ctx context.Context, now time.Time) (map[epochID]bool, error) {
	old := map[epochID]bool{}
	var unused []epochID
	var rotated []epochID
	oldest := uint32(0)
	err := eachKey(s.db, []byte{tagEpoch}, func(k, v []byte) error {
		id, e, err := readEpoch(k, v)
		if err != nil {
			_ = s.hurt(err)
			return nil //nolint:nilerr // it costs the others nothing
		}
		if oldest == 0 || id.epoch < oldest {
			oldest = id.epoch
		}
		age := int64(epochAt(now)) - int64(id.epoch)
		switch {
		case age != 0 && e.holds <= 0 && s.ledger.gapAt(k) == nil: // in a gap it is a second, which holds do not count
			unused = append(unused, id)
		case age < 0, age > 0 && age >= s.shredDays(id.space)-1:
			old[id] = true
		case s.isRotated(id, e.keyVersion):
			rotated = append(rotated, id)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	s.works.sawOldest(oldest)
	for _, id := range rotated {
		if err := s.unlessKey(s.rotate(ctx, id)); err != nil {
			return nil, err
		}
	}
	return old, s.destroy(ctx, unused, len(rotated) > 0)
}

func readEpoch(k, v []byte) (id epochID, e epoch, err error) {
	space, name, number, ok := parseEpochKey(k)
	if !ok {
		return id, e, &Damaged{Thing: recordThing(k), Err: errRecord}
	}
	id = epochID{space, name, number}
	if err := e.parse(v); err != nil {
		return id, e, damagedEpoch(id, err)
	}
	return id, e, nil
}

// SetShredAfter sets how long the keys of deleted bodies may live on in some spaces, until
// this process ends; at least a day. For all others Options.ShredAfter holds, also for those
// that were named before.
func (s *Store) SetShredAfter(own map[ID]time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.shredAfter = own
}

func (s *Store) shredDays(space ID) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.opt.ShredAfter
	if own, ok := s.mu.shredAfter[space]; ok {
		d = max(own, day)
	}
	return int64(d / day)
}

func (s *Store) isRotated(id epochID, version uint32) bool {
	_, newest, err := s.opt.Keys.Key(id.space, id.name, 0)
	return err == nil && newest > version
}

// rotate wraps an epoch key under the newest version of its key.
func (s *Store) rotate(ctx context.Context, id epochID) error {
	v, err := get(s.db, epochKey(id.space, id.name, id.epoch))
	if err != nil || v == nil {
		return err
	}
	var e epoch
	if err := e.parse(v); err != nil {
		return s.hurt(damagedEpoch(id, err))
	}
	key, err := s.chain.unwrap(id, &e)
	if errors.Is(err, ErrKey) {
		return nil // the old version is not here: nothing to wrap
	}
	if err != nil {
		return s.hurt(err)
	}
	return s.chain.wrap(ctx, id, e.tenant, key, e.wrapped)
}

// destroy drops epoch keys, and makes them, and wrappings that were replaced, leave the
// disk.
func (s *Store) destroy(ctx context.Context, unused []epochID, replaced bool) error {
	for _, id := range unused {
		d := &storev1.DropEpoch{KeyName: id.name, Epoch: id.epoch}
		_, err := s.propose(ctx, &storev1.Op{Space: id.space[:], Op: &storev1.Op_DropEpoch{DropEpoch: d}})
		if r := (*Refused)(nil); errors.As(err, &r) || errors.Is(err, ErrErased) {
			continue // somebody needs it again, or it is gone already
		}
		if err != nil {
			return err
		}
		s.chain.forget(id.space, id.name, false)
	}
	if len(unused) == 0 && !replaced {
		return nil
	}
	return s.vacuum(ctx)
}

// vacuum makes epoch keys that were deleted leave the disk: out of the tables by compacting
// the few there are, out of the log by going through all of its files.
func (s *Store) vacuum(ctx context.Context) error {
	s.wals.shred.Store(true)
	defer s.wals.shred.Store(false)
	if err := s.guarded(s.db.Flush); err != nil {
		return fmt.Errorf("flush destroyed keys: %w", err)
	}
	if err := s.db.Compact(ctx, []byte{tagEpoch}, []byte{tagEpoch + 1}, false); err != nil {
		return fmt.Errorf("compact destroyed keys: %w", err)
	}
	// Pebble keeps one log file more than memtables for use again, and one is in use.
	for range memTables + 2 {
		err := s.write(func() error {
			if err := s.db.Set([]byte{tagLocal, localMeta}, []byte{recordFormat}, pebble.Sync); err != nil {
				return err
			}
			return s.db.Flush()
		})
		if err != nil {
			return fmt.Errorf("turn over the log: %w", err)
		}
	}
	return nil
}

// rewrap wraps all that old epochs' keys wrap under today's key.
func (s *Store) rewrap(ctx context.Context, old map[epochID]bool) error {
	batches := map[epochID][]*storev1.NewExtent{}
	err := eachKeyInSteps(s.db, []byte{tagExtent}, func(k, v []byte) error {
		var x extent
		id := ID(k[1:])
		if err := x.parse(v); err != nil {
			_ = s.hurt(damagedExtent(id, err))
			return nil //nolint:nilerr // it costs the others nothing
		}
		for i := range x.holds {
			h := &x.holds[i]
			from := epochID{h.space, h.name, h.epoch}
			if !old[from] {
				continue
			}
			n, err := s.rewrapOne(ctx, id, h)
			if err != nil {
				return err
			}
			if n == nil {
				continue
			}
			to := epochID{h.space, h.name, 0}
			if batches[to] = append(batches[to], n); len(batches[to]) < rewrapBatch {
				continue
			}
			if err := s.proposeRewrap(ctx, to.space, batches[to]); err != nil {
				return err
			}
			delete(batches, to)
		}
		return ctx.Err()
	})
	for to, batch := range batches {
		err = firstOf(err, s.proposeRewrap(ctx, to.space, batch))
	}
	return err
}

func (s *Store) proposeRewrap(ctx context.Context, space ID, batch []*storev1.NewExtent) error {
	_, err := s.propose(ctx, &storev1.Op{
		Space: space[:],
		Op:    &storev1.Op_Rewrap{Rewrap: &storev1.Rewrap{Extents: batch}},
	})
	if errors.Is(err, ErrErased) {
		return nil
	}
	return err
}

// rewrapOne is a hold under today's epoch key; nil where its key is not here, or it is
// damaged: that costs nobody else his.
func (s *Store) rewrapOne(ctx context.Context, id ID, h *hold) (*storev1.NewExtent, error) {
	old, err := s.chain.epoch(epochID{h.space, h.name, h.epoch})
	if err != nil {
		return nil, s.unlessKey(err)
	}
	today, err := s.chain.current(ctx, h.space, old.tenant, h.name)
	if err != nil {
		return nil, s.unlessKey(err)
	}
	wrapped, err := s.chain.rewrapped(h, id, today)
	if err != nil {
		return nil, s.unlessKey(err)
	}
	return &storev1.NewExtent{Id: append([]byte(nil), id[:]...), Hold: &storev1.Hold{
		Slot: h.slot, KeyName: h.name, Epoch: today.number, Wrapped: wrapped, Customer: h.customer,
	}}, nil
}

func (s *Store) unlessKey(err error) error {
	var d *Damaged
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrKey) || errors.Is(err, ErrErased) || errors.As(err, &d) {
		s.opt.Logger.Warn("a body's key was not wrapped again", "error", s.hurt(err))
		return nil
	}
	return err
}
