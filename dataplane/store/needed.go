package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// maxMissing bounds how many extents are looked for at a start, some 16 MiB of their ids.
const maxMissing = 1 << 18

// missing are extents that rows need and that are not where the index says, or have no place.
type missing struct {
	ids  map[ID]bool
	more bool // there are others: a table could not be read, or there are too many
}

func (m *missing) add(id ID) {
	if len(m.ids) >= maxMissing {
		m.more = true
		return
	}
	m.ids[id] = true
}

// adoptAll tells the segments which extents are needed, and has those that are missing looked
// for. Until then segments that were found at this start are not written over.
func (s *Store) adoptAll() error {
	var m missing
	err := s.untilReadable(func() (err error) {
		m, err = s.adopt()
		return err
	})
	if pebble.IsCorruptionError(err) {
		_ = s.hurt(err)
		m.more = true // what can be read is
	} else if err != nil {
		return err
	}
	for id := range m.ids {
		if s.ledger.isLost(Thing{Kind: DamagedExtent, Extent: id}) {
			delete(m.ids, id) // it was looked for at a start before
		}
	}
	switch {
	case m.more:
		s.opt.Logger.Error("bodies are not where the index says; no segment is used again before `darkd rebuild`",
			"store", s.opt.Dir)
	case len(m.ids) == 0:
		s.files.Resume()
	default:
		s.seek = func(ctx context.Context) { s.seekMissing(ctx, m.ids) }
	}
	return nil
}

// tablesReported says whether there is a table to set aside.
func (s *Store) tablesReported() bool {
	s.ailing.mu.Lock()
	defer s.ailing.mu.Unlock()
	return len(s.ailing.mu.tables) > 0 && !s.control.calm
}

// adopt tells the segments which extents are needed and forgets places that nothing needs.
// Where a table cannot be read no place is forgotten: Rebuild may find it yet.
func (s *Store) adopt() (m missing, err error) {
	m.ids = map[ID]bool{}
	n, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tagExtent}, UpperBound: []byte{tagExtent + 1}})
	if err != nil {
		return m, err
	}
	defer n.Close()
	needed := neededExtents{Iterator: n, missing: &m}
	needed.First()
	batch := s.db.NewBatch()
	defer batch.Close()
	prefix := []byte{tagLocal, localExtent}
	err = eachKey(s.db, prefix, func(k, v []byte) error {
		id := k[len(prefix):]
		if !needed.reach(id) {
			return batch.Delete(k, nil)
		}
		s.adoptOne(ID(id), v, &m)
		needed.Next()
		return nil
	})
	needed.reach(nil)
	if err := firstOf(err, needed.Error()); err != nil {
		return m, err
	}
	return m, batch.Commit(pebble.NoSync)
}

// neededExtents goes over the extents that rows need, beside the index.
type neededExtents struct {
	*pebble.Iterator
	missing *missing
}

// reach goes on to an extent, or with nil to the end, and says whether it is needed.
func (n *neededExtents) reach(id []byte) bool {
	for n.Valid() && (id == nil || string(n.Key()[1:]) < string(id)) {
		if v, err := n.ValueAndErr(); err == nil && (len(v) < 2 || v[1]&bitInline == 0) {
			n.missing.add(ID(n.Key()[1:]))
		}
		n.Next()
	}
	return n.Valid() && string(n.Key()[1:]) == string(id)
}

// adoptOne keeps an extent; one that is not where the index says is told of.
func (s *Store) adoptOne(id ID, place []byte, m *missing) {
	r, err := segment.ParseRef(place)
	if err == nil {
		err = s.files.Adopt(r)
	}
	thing := Thing{Kind: DamagedExtent, Extent: id}
	if err == nil {
		if s.ledger.isLost(thing) {
			s.ledger.forget(thing) // its segment is back
		}
		return
	}
	_ = s.hurt(&Damaged{Thing: thing, What: fmt.Sprintf("extent %x in %s", id, r), Err: err})
	m.add(id)
}

// seekMissing looks for extents in all segments, by what these hold alone. What it does not
// find is lost for good, and recorded as such: nothing waits for it any more, so that what
// the segments do not need is used again.
func (s *Store) seekMissing(ctx context.Context, ids map[ID]bool) {
	s.opt.Logger.Warn("bodies are not where the index says, and are looked for", "extents", len(ids))
	all := len(ids)
	rotten := map[ID]copyAt{}
	err := s.files.Walk(func(r segment.Ref, h segment.Header) error {
		if ids[h.ID] {
			found, err := s.putBack(r, h)
			if err != nil {
				return err
			}
			if found {
				delete(ids, h.ID)
			}
		}
		return ctx.Err()
	}, func(r segment.Ref, h segment.Header) error {
		if ids[h.ID] && len(rotten) < maxSpoilt {
			rotten[h.ID] = copyAt{r, h}
		}
		return ctx.Err()
	})
	if err == nil {
		err = s.putBackRotten(ids, rotten)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.opt.Logger.Error("bodies were not looked for; no segment is used again before the next start",
				"error", err)
		}
		return
	}
	now := s.now()
	for id := range ids {
		if _, err := s.extent(id); !errors.Is(err, ErrGone) {
			s.ledger.lose(Thing{Kind: DamagedExtent, Extent: id}, "it lies in no segment", now)
		}
	}
	s.opt.Logger.Warn("bodies were looked for", "found", all-len(ids), "lost", len(ids))
	s.files.Resume()
}

// copyAt is a copy of an extent that was found.
type copyAt struct {
	at     segment.Ref
	header segment.Header
}

// putBackRotten gives those extents their places of which only a rotten copy was found, and tells of them.
func (s *Store) putBackRotten(ids map[ID]bool, rotten map[ID]copyAt) error {
	for id, c := range rotten {
		if !ids[id] {
			continue // a whole copy was found
		}
		found, err := s.putBack(c.at, c.header)
		if err != nil {
			return err
		}
		if found {
			_ = s.hurt(damagedExtent(id, errRotten))
			delete(ids, id)
		}
	}
	return nil
}

// putBack gives an extent the place where it was found, unless it was deleted meanwhile.
func (s *Store) putBack(r segment.Ref, h segment.Header) (bool, error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	x, err := s.extent(h.ID)
	if err != nil || x.inline || x.length != h.Clear || x.hash != h.Hash {
		return false, nil //nolint:nilerr // it is not the one that is needed
	}
	if err := s.files.Adopt(r); err != nil {
		return false, nil //nolint:nilerr // its segment is being used again
	}
	if err := s.setPlace(h.ID, r, pebble.NoSync); err != nil {
		return false, err
	}
	s.ledger.forget(Thing{Kind: DamagedExtent, Extent: h.ID})
	return true, nil
}
