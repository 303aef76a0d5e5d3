package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// tally counts what rows and extents say of one another. Of references it keeps a sum for
// each space: each reference adds a hash of space, extent and slot, and each hold takes
// as many away as it says it has. Memory is thus bounded by spaces and epochs.
type tally struct {
	c      *scrub
	usage  map[ID]*Usage
	lists  map[ID]uint64 // sum over the lists that rows name, less those that there are
	older  map[ID]uint64 // sum over rows that are not current, less what is counted of them
	last   []byte        // key of the last row, without its version
	refs   map[ID]uint64
	epochs map[epochID]int64
	buf    []byte
}

func newTally(c *scrub) *tally {
	t := &tally{
		c: c, usage: map[ID]*Usage{}, older: map[ID]uint64{}, lists: map[ID]uint64{}, refs: map[ID]uint64{},
		epochs: map[epochID]int64{},
	}
	c.each, c.held = t.row, t.extent
	return t
}

func (t *tally) reference(space, id ID, slot uint32) uint64 {
	t.buf = append(append(t.buf[:0], space[:]...), id[:]...)
	t.buf = append(t.buf, byte(slot>>24), byte(slot>>16), byte(slot>>8), byte(slot))
	return xxhash.Sum64(t.buf)
}

func (t *tally) row(k, _ []byte, r *row) {
	space := ID(k[1:spaceLen])
	prefix := k[:len(k)-versionLen]
	if bytes.Equal(prefix, t.last) {
		t.older[space] += xxhash.Sum64(prefix[1:])
	}
	t.last = append(t.last[:0], prefix...)
	u := t.usage[space]
	if u == nil {
		u = &Usage{}
		t.usage[space] = u
	}
	u.Bytes += r.size
	if r.is(bitCounts) {
		u.Rows++
	} else {
		u.Others++
	}
	_ = eachRef(t.c.s.db, k, r, func(e extentRef) { // what it cannot read the scrub tells
		t.refs[space] += t.reference(space, e.id, e.slot)
	})
	for i := range r.listed {
		t.lists[space] += xxhash.Sum64(listKey(k, i))
	}
}

func (t *tally) extent(id ID, x *extent) {
	for i := range x.holds {
		h := &x.holds[i]
		t.refs[h.space] -= t.reference(h.space, id, h.slot) * uint64(h.references)
		t.epochs[epochID{h.space, h.name, h.epoch}]++
	}
}

// compare tells what does not agree.
func (t *tally) compare() error {
	s := t.c.s
	for space, sum := range t.refs {
		if sum != 0 && !s.isErased(space) {
			t.tell("references of space %x", space)
		}
	}
	if err := firstOf(t.compareOlder(), t.compareLists()); err != nil {
		return err
	}
	err := eachKey(s.db, []byte{tagUsage}, func(k, v []byte) error {
		var u, want Usage
		space := ID(k[1:])
		if w := t.usage[space]; w != nil {
			want = *w
		}
		if err := u.parse(v); err != nil || u != want {
			t.tell("usage of space %x", space)
		}
		delete(t.usage, space)
		return nil
	})
	for space := range t.usage {
		t.tell("usage of space %x", space)
	}
	if err != nil {
		return err
	}
	return eachKey(s.db, []byte{tagEpoch}, func(k, v []byte) error {
		id, e, err := readEpoch(k, v)
		if err != nil {
			return nil //nolint:nilerr // told before
		}
		if e.holds != t.epochs[id] {
			t.tell("holds of epoch %d of space %x", id.epoch, id.space)
		}
		return nil
	})
}

func (t *tally) compareOlder() error {
	err := eachKey(t.c.s.db, []byte{tagOlder}, func(k, v []byte) error {
		if len(v) == 4 && len(k) > spaceLen {
			t.older[ID(k[1:spaceLen])] -= xxhash.Sum64(k[1:]) * uint64(binary.BigEndian.Uint32(v))
		}
		return nil
	})
	for space, sum := range t.older {
		if sum != 0 && !t.c.s.isErased(space) {
			t.tell("versions of keys of space %x", space)
		}
	}
	return err
}

func (t *tally) compareLists() error {
	err := eachKey(t.c.s.db, []byte{tagList}, func(k, _ []byte) error {
		if len(k) > spaceLen {
			t.lists[ID(k[1:spaceLen])] -= xxhash.Sum64(k)
		}
		return nil
	})
	for space, sum := range t.lists {
		if sum != 0 && !t.c.s.isErased(space) {
			t.tell("lists of extents of space %x", space)
		}
	}
	return err
}

func (t *tally) tell(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	thing := Thing{Kind: DamagedRecord, From: []byte(what)}
	t.c.report(&Damaged{Thing: thing, What: what, Err: errors.New("the counts do not agree")})
}
