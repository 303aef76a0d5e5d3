package store

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// A gap is a range of the database's keys that was set aside, because blocks of a table in it
// cannot be read: see aside.go. Nothing in it is ever said not to be there: who looks for a
// key in a gap is told of damage, until the key is written or deleted, which takes it out of
// the gap, or the gap is given up.
type gap struct {
	*Damage
}

// errLost is why something in a gap cannot be had.
var errLost = errors.New("it may have been in blocks that cannot be read, and is lost")

// findGapsLocked keeps the gaps ready for those who read.
func (l *damageLedger) findGapsLocked() {
	var gaps []gap
	for _, d := range l.mu.things {
		if d.index != 0 {
			gaps = append(gaps, gap{d})
		}
	}
	slices.SortFunc(gaps, func(a, b gap) int {
		return cmp.Or(bytes.Compare(a.From, b.From), bytes.Compare(a.To, b.To))
	})
	l.gaps.Store(&gaps)
}

// gapIn is the first gap that meets the range from a key to another; nil for none. Without
// damage it costs one load.
func (l *damageLedger) gapIn(from, to []byte) *Damage {
	gaps := l.gaps.Load()
	if gaps == nil {
		return nil
	}
	for _, g := range *gaps {
		if bytes.Compare(g.From, to) < 0 && bytes.Compare(from, g.To) < 0 {
			return g.Damage
		}
	}
	return nil
}

// gapAt is the gap that a key is in.
func (l *damageLedger) gapAt(k []byte) *Damage { return l.gapIn(k, append(bytes.Clone(k), 0)) }

// lostBefore is the gap in which rows of a key may be lost that are newer than the row at a
// place; with a nil place, any rows of the key. prefix is of the rows' keys.
func (l *damageLedger) lostBefore(prefix, at []byte, v Version) *Damage {
	if at == nil {
		at = immediateSuccessor(nil, prefix)
	}
	if d := l.gapIn(prefix, at); d != nil && d.index >= uint64(v) {
		return d
	}
	return nil
}

// setGap enters a range that is being set aside.
func (l *damageLedger) setGap(d *Damage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.putLocked(d)
	l.findGapsLocked()
}

// heal takes a range out of the gaps: what was in it was overwritten or deleted. Where the
// ledger is full, a gap that it would cut in two stays whole.
func (l *damageLedger) heal(from, to []byte) {
	if l.gapIn(from, to) == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, d := range maps.Clone(l.mu.things) {
		if d.index == 0 || bytes.Compare(d.From, to) >= 0 || bytes.Compare(from, d.To) >= 0 {
			continue
		}
		left, right := *d, *d
		left.To, right.From = bytes.Clone(from), bytes.Clone(to)
		cuts := bytes.Compare(left.From, left.To) < 0 && bytes.Compare(right.From, right.To) < 0
		if cuts && len(l.mu.things) >= maxThings {
			continue
		}
		delete(l.mu.things, id)
		for _, part := range []*Damage{&left, &right} {
			if bytes.Compare(part.From, part.To) < 0 {
				l.putLocked(part)
			}
		}
		l.mu.changed = true
	}
	l.findGapsLocked()
}

// mended takes out of the ledger what a command has overwritten or deleted.
func (s *Store) mended(ops []*storev1.Op, out *outcome) {
	if s.ledger.empty() {
		return
	}
	for _, id := range out.removed {
		s.ledger.forget(Thing{Kind: DamagedExtent, Extent: id})
	}
	for i, op := range ops {
		if len(op.Space) != len(ID{}) {
			continue
		}
		space := ID(op.Space)
		switch do := op.Op.(type) {
		case *storev1.Op_Put:
			if !do.Put.Stack {
				s.mendedKey(space, op.Key)
			}
		case *storev1.Op_Delete:
			if v := Version(do.Delete.Version); v == Current || v == Null {
				s.mendedKey(space, op.Key)
			} else {
				at := appendVersion(appendKey(nil, tagRow, space, op.Key), v)
				s.ledger.heal(at, append(bytes.Clone(at), 0))
				s.ledger.heal(listKey(at, 0)[:len(at)], after(listKey(at, 0)[:len(at)]))
			}
			s.ledger.forget(Thing{Kind: DamagedRow, Space: space, Key: op.Key, Version: out.results[i].Version})
		case *storev1.Op_DropPrefix:
			from := beginning(space, op.Key)
			s.ledger.heal(from, after(from))
			from[0] = tagList
			s.ledger.heal(from, after(from))
		}
	}
}

// mendedKey: all rows of a key that were lost were overwritten or deleted with this one.
func (s *Store) mendedKey(space ID, key []byte) {
	prefix := appendKey(nil, tagRow, space, key)
	s.ledger.heal(prefix, immediateSuccessor(nil, prefix))
	lists := appendKey(nil, tagList, space, key)
	s.ledger.heal(lists, after(lists))
	s.ledger.forgetWhere(func(d *Damage) bool {
		return d.Kind == DamagedRow && d.Space == space && bytes.Equal(d.Key, key)
	})
}

// mendedSpace: a space that was erased is empty.
func (s *Store) mendedSpace(space ID) {
	for _, tag := range []byte{tagRow, tagList, tagNull, tagOlder, tagEpoch, tagUsage} {
		from := idKey(tag, space)
		s.ledger.heal(from, after(from))
	}
	s.ledger.forgetWhere(func(d *Damage) bool { return d.Space == space && d.index == 0 })
}
