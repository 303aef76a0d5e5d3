package store

import (
	"bytes"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// After rows were given up, what counts them is made anew from those that are left: usage,
// versions of keys, pointers to null rows, who holds an extent, holds of epoch keys.

// recountExtents is how many extents one pass over the rows counts.
const recountExtents = 1 << 18

// recount makes the counts anew. A row that needs an extent which is no more is given up, too.
func (d *drop) recount() error {
	for {
		d.lost = lostBodies{}
		if err := d.references(); err != nil {
			return err
		}
		if len(d.lost) == 0 {
			break
		}
		if err := d.rowsOfLost(); err != nil {
			return err
		}
	}
	n := &recount{d: d, usage: map[ID]*Usage{}}
	err := firstOf(n.rows(), n.stale(tagOlder), n.stale(tagNull), n.staleLists(), n.writeUsage(), d.epochs())
	if err != nil {
		return err
	}
	d.s.ledger.forgetWhere(func(one *Damage) bool { return one.Kind != DamagedSegment && one.Kind != DamagedFile })
	return firstOf(d.s.guarded(d.s.db.Flush), d.s.saveLedger())
}

// references counts who needs each extent, so many extents at a time.
func (d *drop) references() error {
	for from := []byte{tagExtent}; from != nil; {
		var next []byte
		n := 0
		err := d.s.walkFrom(from, after([]byte{tagExtent}), func(*Damaged) {}, func(k, _ []byte) error {
			if n++; n > recountExtents && next == nil {
				next = bytes.Clone(k)
			}
			return d.ctx.Err()
		})
		if err == nil {
			err = d.referencesIn(from, next)
		}
		if err != nil {
			return err
		}
		from = next
	}
	return nil
}

// referencesIn corrects the claims on the extents in a range; a nil end is that of all.
func (d *drop) referencesIn(from, end []byte) error {
	claims := map[claim]int64{}
	in := func(id ID) bool {
		k := idKey(tagExtent, id)
		return bytes.Compare(from, k) <= 0 && (end == nil || bytes.Compare(k, end) < 0)
	}
	err := d.s.walk([]byte{tagRow}, func(*Damaged) {}, func(k, v []byte) error {
		var r row
		if r.parse(v) != nil {
			return nil //nolint:nilerr // it was deleted, or reported as one that stays
		}
		_ = eachRef(d.s.db, k, &r, func(e extentRef) { // a row that has not all of its lists was deleted
			if in(e.id) {
				claims[claim{e.id, ID(k[1:spaceLen]), e.slot}]++
			}
		})
		return d.ctx.Err()
	})
	if err != nil {
		return err
	}
	stop := end
	if stop == nil {
		stop = after([]byte{tagExtent})
	}
	err = d.s.walkFrom(from, stop, func(*Damaged) {}, func(k, v []byte) error {
		return firstOf(d.correct(ID(k[1:]), v, claims), d.ctx.Err())
	})
	for c := range claims { // a row needs an extent, or a key to it, that is no more
		d.lost[c] = &Damaged{Thing: Thing{Kind: DamagedExtent, Extent: c.id}, claim: c}
	}
	return err
}

// correct writes an extent with the claims that rows have on it, and takes those out of claims.
func (d *drop) correct(id ID, v []byte, claims map[claim]int64) error {
	var x extent
	if err := x.parse(v); err != nil {
		return d.s.write(func() error { return d.s.db.Delete(idKey(tagExtent, id), pebble.NoSync) })
	}
	kept := x.holds[:0]
	changed := false
	for _, h := range x.holds {
		c := claim{id, h.space, h.slot}
		n := claims[c]
		delete(claims, c)
		changed = changed || n != h.references
		if h.references = n; n > 0 {
			kept = append(kept, h)
		}
	}
	x.holds = kept
	if !changed {
		return nil
	}
	batch := d.s.db.NewBatch()
	defer batch.Close()
	if len(kept) > 0 {
		_ = batch.Set(idKey(tagExtent, id), x.append(nil), nil) // never fails before its commit
	} else {
		_ = batch.Delete(idKey(tagExtent, id), nil) // nor does this
		_ = batch.Delete(placeKey(id), nil)         // nor does this
		if x.inline {
			_ = batch.Delete(inlineKey(x.index, x.number), nil) // nor does this
		}
	}
	return d.s.write(func() error { return batch.Commit(pebble.NoSync) })
}

// epochs makes the holds of epoch keys anew.
func (d *drop) epochs() error {
	holds := map[epochID]int64{}
	err := d.s.walk([]byte{tagExtent}, func(*Damaged) {}, func(_, v []byte) error {
		var x extent
		if x.parse(v) == nil {
			for i := range x.holds {
				h := &x.holds[i]
				holds[epochID{h.space, h.name, h.epoch}]++
			}
		}
		return d.ctx.Err()
	})
	if err != nil {
		return err
	}
	return d.s.walk([]byte{tagEpoch}, func(*Damaged) {}, func(k, v []byte) error {
		id, e, err := readEpoch(k, v)
		if err != nil || e.holds == holds[id] {
			return nil //nolint:nilerr // the scrub told of it
		}
		e.holds = holds[id]
		return d.s.write(func() error { return d.s.db.Set(k, e.append(nil), pebble.NoSync) })
	})
}

// recount is a pass over the rows of all spaces.
type recount struct {
	d     *drop
	usage map[ID]*Usage
	key   []byte // of the key that rows are counted of, as appendKey gives it
	n     uint32 // its rows so far
	null  Version
}

func (n *recount) rows() error {
	err := n.d.s.walk([]byte{tagRow}, func(*Damaged) {}, func(k, v []byte) error {
		var r row
		_, version, ok := rowKey(k)
		if !ok || r.parse(v) != nil {
			return nil //nolint:nilerr // reported as one that stays
		}
		if prefix := k[:len(k)-versionLen]; !bytes.Equal(prefix, n.key) {
			if err := n.endKey(); err != nil {
				return err
			}
			n.key, n.n, n.null = append(n.key[:0], prefix...), 0, 0
		}
		if n.n++; n.n > 1 && r.is(bitNull) {
			n.null = version
		}
		n.count(ID(k[1:spaceLen]), &r)
		return n.d.ctx.Err()
	})
	return firstOf(err, n.endKey())
}

func (n *recount) count(space ID, r *row) {
	u := n.usage[space]
	if u == nil {
		u = &Usage{}
		n.usage[space] = u
	}
	u.Bytes += r.size
	if r.is(bitCounts) {
		u.Rows++
	} else {
		u.Others++
	}
}

// endKey writes how many older rows a key has, and which of them is the null one.
func (n *recount) endKey() error {
	if n.n > 1 {
		if err := n.set(tagOlder, n.key, binary.BigEndian.AppendUint32(nil, n.n-1)); err != nil {
			return err
		}
	}
	if n.null != 0 {
		return n.set(tagNull, n.key, binary.BigEndian.AppendUint64(nil, uint64(n.null)))
	}
	return nil
}

// set writes a record beside a key's rows where it is another.
func (n *recount) set(tag byte, key, value []byte) error {
	k := append([]byte{tag}, key[1:]...)
	is, err := get(n.d.s.db, k)
	if err == nil && bytes.Equal(is, value) {
		return nil
	}
	return n.d.s.write(func() error { return n.d.s.db.Set(k, value, pebble.NoSync) })
}

// stale deletes the records of a kind whose keys have no older row, or no such null row.
func (n *recount) stale(tag byte) error {
	return n.d.s.walk([]byte{tag}, func(*Damaged) {}, func(k, _ []byte) error {
		prefix := append([]byte{tagRow}, k[1:]...)
		rows, null := 0, false
		err := eachKey(n.d.s.db, prefix, func(k, v []byte) error {
			var r row
			rows++
			null = null || rows > 1 && r.parse(v) == nil && r.is(bitNull)
			return nil
		})
		if err != nil || rows > 1 && (tag == tagOlder || null) {
			return err
		}
		return n.d.s.write(func() error { return n.d.s.db.Delete(k, pebble.NoSync) })
	})
}

// staleLists deletes the lists whose rows are gone.
func (n *recount) staleLists() error {
	return n.d.s.walk([]byte{tagList}, func(*Damaged) {}, func(k, _ []byte) error {
		var r row
		of := append([]byte{tagRow}, k[1:max(1, len(k)-4)]...)
		v, err := get(n.d.s.db, of)
		if err != nil {
			return err
		}
		if v != nil && r.parse(v) == nil && binary.BigEndian.Uint32(k[len(k)-4:]) < uint32(r.listed) {
			return n.d.ctx.Err()
		}
		return n.d.row(k)
	})
}

func (n *recount) writeUsage() error {
	err := n.d.s.walk([]byte{tagUsage}, func(*Damaged) {}, func(k, v []byte) error {
		var u, want Usage
		space := ID(k[1:])
		if w := n.usage[space]; w != nil {
			want = *w
		}
		delete(n.usage, space)
		if err := u.parse(v); err == nil && u == want {
			return nil
		}
		return n.d.s.write(func() error { return n.d.s.db.Set(k, want.append(nil), pebble.NoSync) })
	})
	for space, u := range n.usage {
		k := idKey(tagUsage, space)
		err = firstOf(err, n.d.s.write(func() error { return n.d.s.db.Set(k, u.append(nil), pebble.NoSync) }))
	}
	return err
}
