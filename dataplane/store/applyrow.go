package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// stored is a row as it lies in the database.
type stored struct {
	row
	v     Version
	there bool
	// lost: it is damaged, or rows that were newer may be in a gap. Such a row can be deleted
	// and overwritten; no condition is judged on it.
	lost bool
}

// versions are the rows of one key, as an op finds them.
type versions struct {
	c       *change
	space   ID
	key     []byte
	prefix  []byte // of the rows' keys
	iter    *pebble.Iterator
	current stored // shares the iterator's octets
}

// versions finds a key's current row. Close it.
func (c *change) versions(space ID, key []byte) (*versions, error) {
	s := &versions{c: c, space: space, key: key}
	s.prefix = appendKey(make([]byte, 0, spaceLen+len(key)+endLen+versionLen), tagRow, space, key)
	iter, err := c.read.NewIter(nil)
	if err != nil {
		return nil, err
	}
	s.iter = iter
	if !iter.SeekPrefixGE(s.prefix) {
		s.current.lost = c.ledger.lostBefore(s.prefix, nil, 0) != nil
		return s, s.closeIf(iter.Error())
	}
	err = s.parse(&s.current)
	if d := (*Damaged)(nil); errors.As(err, &d) && s.current.there {
		s.current.row, s.current.lost = row{bits: bitNull}, true
		return s, nil
	}
	if s.current.there {
		s.current.lost = c.ledger.lostBefore(s.prefix, iter.Key(), s.current.v) != nil
	} else {
		s.current.lost = c.ledger.lostBefore(s.prefix, nil, 0) != nil
	}
	return s, s.closeIf(err)
}

func (s *versions) closeIf(err error) error {
	if err != nil {
		s.close()
	}
	return err
}

func (s *versions) close() { s.iter.Close() }

// parse reads the row where the iterator stands.
func (s *versions) parse(to *stored) error {
	if !sameKey(s.iter, s.prefix) {
		return s.iter.Error()
	}
	value, err := s.iter.ValueAndErr()
	if err != nil {
		return err
	}
	_, to.v, to.there = rowKey(s.iter.Key())
	return s.c.parsed(to, value, s.space, s.key)
}

func (c *change) parsed(to *stored, value []byte, space ID, key []byte) error {
	if err := to.row.parse(value); err != nil {
		return damagedRow(space, key, to.v, err)
	}
	return nil
}

func damagedRow(space ID, key []byte, v Version, err error) *Damaged {
	return &Damaged{Thing: Thing{Kind: DamagedRow, Space: space, Key: bytes.Clone(key), Version: v}, Err: err}
}

func (s *versions) rowKey(v Version) []byte {
	return appendVersion(s.prefix[:len(s.prefix):len(s.prefix)], v)
}

func (s *versions) pointerKey() []byte { return appendKey(nil, tagNull, s.space, s.key) }

// pointer is the version of the null row where that is not current; 0 where there is none.
func (s *versions) pointer() (Version, error) {
	v, err := get(s.c.read, s.pointerKey())
	if err != nil || len(v) != 8 {
		return 0, err
	}
	return Version(binary.BigEndian.Uint64(v)), nil
}

// named finds the row that an op names: Null, Current or a version.
func (s *versions) named(v Version) (found stored, err error) {
	if !s.current.there {
		return found, nil
	}
	if v == Current || v == s.current.v || v == Null && s.current.is(bitNull) {
		return s.current, nil
	}
	if v == Null {
		if v, err = s.pointer(); err != nil || v == 0 {
			return found, err
		}
	}
	value, err := get(s.c.read, s.rowKey(v))
	if err != nil || value == nil {
		return found, err
	}
	found.v, found.there = v, true
	return found, s.c.parsed(&found, value, s.space, s.key)
}

// put writes a row: a new version, or one in place of the null version.
func (c *change) put(space ID, op *storev1.Op, p *storev1.Put) (res Result, err error) {
	s, err := c.versions(space, op.Key)
	if err != nil {
		return res, err
	}
	defer s.close()
	if err := c.judge(op, space, &s.current, &s.current); err != nil {
		return res, err
	}
	t := c.time
	if s.current.there {
		t = max(t, s.current.time)
	}
	was, err := s.makeRoom(p.Stack)
	if err == nil && s.current.there && !was.there {
		err = s.older(1)
	}
	if err != nil {
		return res, err
	}
	if was.there {
		res.Replaced, res.Marker = true, was.is(bitMarker)
		if err := c.drop(s, &was); err != nil {
			return res, err
		}
	}
	row := row{flags: p.Flags, size: uint64(p.Size), time: t, tag: p.Tag, n: len(p.Extents), sealed: p.Value}
	row.bits = rowBits(p)
	if row.extents, err = c.take(space, p); err != nil {
		return res, err
	}
	res.Version, res.Time = Version(c.index), unix(t)
	for i, list := range row.apart() {
		if err := c.batch.Set(listKey(s.rowKey(res.Version), i), list, nil); err != nil {
			return res, err
		}
	}
	return res, c.write(space, s.rowKey(res.Version), &row)
}

func unix(nanoseconds int64) time.Time { return time.Unix(0, nanoseconds).UTC() }

func rowBits(p *storev1.Put) (bits byte) {
	if p.Marker {
		bits |= bitMarker
	}
	if !p.Stack {
		bits |= bitNull
	}
	if p.Counts {
		bits |= bitCounts
	}
	return bits
}

// makeRoom finds the row that a new one replaces, and keeps the pointer to a null row that
// the new one covers.
func (s *versions) makeRoom(stack bool) (was stored, err error) {
	switch {
	case !s.current.there:
		return was, nil
	case s.current.v == Version(s.c.index): // the same command wrote it
		if stack || s.current.is(bitNull) {
			return s.current, nil
		}
		return s.current, s.dropNull()
	case stack && s.current.is(bitNull):
		return was, s.c.batch.Set(s.pointerKey(), binary.BigEndian.AppendUint64(nil, uint64(s.current.v)), nil)
	case stack:
		return was, nil
	case s.current.is(bitNull):
		return s.current, nil
	}
	if was, err = s.named(Null); err != nil || !was.there {
		return was, err
	}
	return was, s.c.batch.Delete(s.pointerKey(), nil)
}

// dropNull deletes the null row that lies under others, where there is one.
func (s *versions) dropNull() error {
	null, err := s.named(Null)
	if err != nil || !null.there {
		return err
	}
	return firstOf(s.c.drop(s, &null), s.older(-1), s.c.batch.Delete(s.pointerKey(), nil))
}

// older counts a key's rows besides the current one. Only a row that comes over another,
// and a deletion, look at it: a key with one row has no count.
func (s *versions) older(by int) error {
	k := appendKey(nil, tagOlder, s.space, s.key)
	v, err := get(s.c.read, k)
	if err != nil {
		return err
	}
	n := by
	if len(v) == 4 {
		n += int(binary.BigEndian.Uint32(v))
	}
	switch {
	case n >= int(s.c.most):
		return fmt.Errorf("key %.200q has %d versions: %w", s.key, n, ErrTooLarge)
	case n > 0:
		return s.c.batch.Set(k, binary.BigEndian.AppendUint32(nil, uint32(n)), nil)
	case v != nil:
		return s.c.batch.Delete(k, nil)
	}
	return nil
}

// take counts the extents of a new row and gives them as they are stored.
func (c *change) take(space ID, p *storev1.Put) ([]byte, error) {
	for _, f := range p.Fresh {
		if err := c.fresh(space, f); err != nil {
			return nil, err
		}
	}
	for _, e := range p.Extents {
		x, err := c.load(ID(e.Id))
		if err != nil {
			return nil, err
		}
		h := x.hold(space, e.Slot)
		if h == nil {
			return nil, &Refused{Reason: Gone}
		}
		h.references++
	}
	return appendRefs(nil, p.Extents), nil
}

// write puts a row and counts it.
func (c *change) write(space ID, k []byte, r *row) error {
	u, err := c.used(space)
	if err != nil {
		return err
	}
	u.Bytes += r.size
	if r.is(bitCounts) {
		u.Rows++
	} else {
		u.Others++
	}
	c.buf = r.append(c.buf[:0])
	return c.batch.Set(k, c.buf, nil)
}

// drop deletes a row and gives back what it took.
func (c *change) drop(s *versions, r *stored) error {
	k := s.rowKey(r.v)
	return firstOf(c.release(s.space, k, &r.row), c.batch.Delete(k, nil))
}

// release gives back what a row took, whose key in the database is given.
func (c *change) release(space ID, k []byte, r *row) error {
	u, err := c.used(space)
	if err != nil {
		return err
	}
	u.Bytes -= min(r.size, u.Bytes)
	if r.is(bitCounts) {
		u.Rows -= min(1, u.Rows)
	} else {
		u.Others -= min(1, u.Others)
	}
	var failed error
	err = eachRef(c.read, k, r, func(e extentRef) {
		if failed == nil {
			failed = unlessDamaged(c.releaseOne(space, e))
		}
	})
	for i := range r.listed {
		failed = firstOf(failed, c.batch.Delete(listKey(k, i), nil))
	}
	return firstOf(unlessDamaged(err), failed)
}

func (c *change) releaseOne(space ID, e extentRef) error {
	x, err := c.load(e.id)
	if err != nil {
		return err
	}
	if h := x.hold(space, e.slot); h != nil {
		h.references--
	}
	return nil
}

// unlessDamaged passes over what is damaged: nobody can read it, and its space is for an offline
// repair to give back.
func unlessDamaged(err error) error {
	if d := (*Damaged)(nil); errors.As(err, &d) {
		return nil
	}
	return err
}

// delete deletes the row that the op names.
func (c *change) delete(space ID, op *storev1.Op, d *storev1.Delete) (res Result, err error) {
	s, err := c.versions(space, op.Key)
	if err != nil {
		return res, err
	}
	defer s.close()
	named, err := s.named(Version(d.Version))
	if err != nil {
		return res, err
	}
	if err := c.judge(op, space, &s.current, &named); err != nil {
		return res, err
	}
	if s.isLost(Version(d.Version), &named) {
		return res, nil // deleted: who proposed it takes it out of the gap
	}
	if !named.there {
		if d.Idempotent {
			return res, nil
		}
		return res, &Refused{Reason: Missing}
	}
	res = Result{Version: named.v, Time: unix(named.time), Replaced: true, Marker: named.is(bitMarker)}
	if err := firstOf(c.drop(s, &named), s.older(-1)); err != nil {
		return res, err
	}
	return res, s.uncover(&named)
}

// isLost says whether the row that an op names is in a gap, or may be.
func (s *versions) isLost(v Version, named *stored) bool {
	switch {
	case v == Current:
		return s.c.ledger.lostBefore(s.prefix, s.at(), named.v) != nil
	case named.there:
		return false
	case v == Null:
		return s.current.lost || s.c.ledger.gapAt(s.pointerKey()) != nil
	}
	return s.c.ledger.gapAt(s.rowKey(v)) != nil
}

// at is the current row's key in the database; nil where there is none.
func (s *versions) at() []byte {
	if !s.current.there {
		return nil
	}
	return s.rowKey(s.current.v)
}

// uncover keeps the pointer to the null row when another row is deleted: it is there only
// while the null row is not current.
func (s *versions) uncover(gone *stored) error {
	if gone.v == s.current.v && gone.is(bitNull) {
		return nil // a current null row has no pointer
	}
	pointer, err := s.pointer()
	if err != nil || pointer == 0 {
		return err
	}
	if gone.v == pointer {
		return s.c.batch.Delete(s.pointerKey(), nil)
	}
	if gone.v != s.current.v {
		return nil
	}
	var next stored
	if s.iter.Next() {
		if err := s.parse(&next); err != nil {
			return err
		}
	} else if err := s.iter.Error(); err != nil {
		return err
	}
	if next.v != pointer {
		return nil
	}
	return s.c.batch.Delete(s.pointerKey(), nil)
}

// amend replaces the value and the flags of the row that the op names.
func (c *change) amend(space ID, op *storev1.Op, a *storev1.Amend) (res Result, err error) {
	s, err := c.versions(space, op.Key)
	if err != nil {
		return res, err
	}
	defer s.close()
	named, err := s.named(Version(a.Version))
	if err != nil {
		return res, err
	}
	if err := c.judge(op, space, &s.current, &named); err != nil {
		return res, err
	}
	if named.lost || s.isLost(Version(a.Version), &named) {
		return res, damagedRow(space, op.Key, named.v, errLost)
	}
	if !named.there {
		return res, &Refused{Reason: Missing}
	}
	named.flags, named.sealed = a.Flags, a.Value
	named.amended = c.index - uint64(named.v)
	c.buf = named.row.append(c.buf[:0])
	return Result{Version: named.v, Time: unix(named.time)}, c.batch.Set(s.rowKey(named.v), c.buf, nil)
}

// require only judges.
func (c *change) require(space ID, op *storev1.Op) error {
	s, err := c.versions(space, op.Key)
	if err != nil {
		return err
	}
	defer s.close()
	return c.judge(op, space, &s.current, &s.current)
}

// dropPrefix deletes all rows whose keys begin with prefix.
func (c *change) dropPrefix(space ID, prefix []byte) error {
	n, err := c.dropRows(space, beginning(space, prefix), MaxOps+1)
	if err != nil {
		return err
	}
	if n > MaxOps {
		return fmt.Errorf("drop rows that begin with %q, of which there are more than %d: %w", prefix, MaxOps,
			ErrTooLarge)
	}
	return c.dropPointers(space, prefix)
}

// dropRows deletes up to so many rows and tells how many there were.
func (c *change) dropRows(space ID, from []byte, most int) (n int, err error) {
	iter, err := c.read.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: after(from)})
	if err != nil {
		return 0, err
	}
	defer iter.Close()
	for iter.First(); iter.Valid() && n < most; iter.Next() {
		value, err := iter.ValueAndErr()
		if err != nil {
			return n, err
		}
		var r stored
		key, v, _ := rowKey(iter.Key())
		r.v = v
		if err := c.parsed(&r, value, space, unescape(nil, key)); err != nil {
			r.row = row{} // it holds nothing that can be known
		}
		if err := c.release(space, iter.Key(), &r.row); err != nil {
			return n, err
		}
		if err := c.batch.Delete(bytes.Clone(iter.Key()), nil); err != nil {
			return n, err
		}
		n++
	}
	return n, iter.Error()
}

// dropPointers deletes what is kept beside the rows of keys that begin with prefix.
func (c *change) dropPointers(space ID, prefix []byte) error {
	from := beginning(space, prefix)
	from[0] = tagNull
	err := c.dropKeys(from)
	from[0] = tagOlder
	return firstOf(err, c.dropKeys(from))
}

func (c *change) dropKeys(from []byte) error {
	iter, err := c.read.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: after(from)})
	if err != nil {
		return err
	}
	defer iter.Close()
	for iter.First(); iter.Valid(); iter.Next() {
		if err := c.batch.Delete(bytes.Clone(iter.Key()), nil); err != nil {
			return err
		}
	}
	return iter.Error()
}

// erase destroys a space's keys; its rows go later, with empty.
func (c *change) erase(space ID) error {
	var gone []epochID
	err := eachKey(c.read, epochPrefix(space), func(k, _ []byte) error {
		_, name, number, ok := parseEpochKey(k)
		if ok {
			gone = append(gone, epochID{space, name, number})
		}
		return c.batch.Delete(bytes.Clone(k), nil)
	})
	for _, id := range gone {
		c.epochs[id] = &epochChange{}
	}
	c.outcome.erased = append(c.outcome.erased, space)
	return firstOf(err, c.batch.Set(idKey(tagErased, space), []byte{1}, nil))
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// empty deletes some rows of an erased space, and marks it when none are left.
func (c *change) empty(space ID, most int) error {
	if !c.machine.erased.has(space) {
		return nil
	}
	n, err := c.dropRows(space, beginning(space, nil), most)
	if err != nil {
		return err
	}
	if n < most {
		if err := c.dropPointers(space, nil); err != nil {
			return err
		}
		delete(c.usage, space)
		if err := c.batch.Delete(idKey(tagUsage, space), nil); err != nil {
			return err
		}
		return c.batch.Set(idKey(tagErased, space), []byte{2}, nil)
	}
	return nil
}
