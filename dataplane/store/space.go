package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Space is one space of a store: what a service works with. All its methods may be called
// by any goroutine.
type Space struct {
	s      *Store
	id     ID
	tenant string
}

// Versions that Get, Delete and Amend take besides a row's own.
const (
	Null    Version = 0         // the null version
	Current Version = 1<<64 - 1 // the newest row
)

// Usage is what the space holds now.
func (p *Space) Usage() (u Usage, err error) {
	if err := p.s.gate.enter(); err != nil {
		return u, err
	}
	defer p.s.gate.leave()
	return u, readUsage(p.s.db, p.id, &u)
}

// found is a row with octets of its own.
type found struct {
	row
	v       Version
	current bool
}

// Get reads a row with its Value: a version, Current or Null. A marker is a row like
// others. What it gives is durable. Errors: ErrNotFound, *Damaged, ErrKey, ErrErased,
// ErrReadOnly (of a row whose command could not be synced), ErrClosed, or the context's.
func (p *Space) Get(ctx context.Context, key []byte, v Version) (Row, error) {
	if err := p.s.gate.enter(); err != nil {
		return Row{}, err
	}
	defer p.s.gate.leave()
	if p.s.isErased(p.id) {
		return Row{}, ErrErased
	}
	f, err := p.find(key, v)
	if err != nil {
		return Row{}, p.s.hurt(err)
	}
	if err := p.s.synced(ctx, p.id, key, &f.row, f.v); err != nil {
		return Row{}, p.s.hurt(err)
	}
	var refs []extentRef
	if f.listed == 0 {
		refs = f.refs(make([]extentRef, 0, f.n))
	}
	out := f.public(key, f.v, refs, f.far(appendVersion(appendKey(nil, tagRow, p.id, key), f.v)))
	out.Current = f.current
	if out.Value, err = p.s.openValue(p.id, &f.row, key, f.v); err != nil {
		return Row{}, p.s.hurt(err)
	}
	return out, nil
}

// find reads a row, whose value stays sealed.
func (p *Space) find(key []byte, v Version) (f found, err error) {
	var space [256]byte
	prefix := appendKey(space[:0], tagRow, p.id, key)
	db := pebble.Reader(p.s.db)
	if v != Current {
		s := p.s.db.NewSnapshot()
		defer s.Close()
		db = s
	}
	iter, err := db.NewIter(nil)
	if err != nil {
		return f, err
	}
	defer iter.Close()
	ok := iter.SeekPrefixGE(prefix) && sameKey(iter, prefix)
	if !ok {
		return f, firstOf(iter.Error(), p.lostRow(prefix, nil, key, 0), notFound(key, v))
	}
	if err := f.read(p.id, key, iter); err != nil {
		return f, err
	}
	if v != f.v {
		if err := p.lostRow(prefix, iter.Key(), key, f.v); err != nil {
			return f, err
		}
	}
	f.current = true
	if v == Current || v == f.v || v == Null && f.is(bitNull) {
		return f, nil
	}
	return p.findOlder(db, iter, prefix, key, v)
}

// lostRow is a *Damaged where rows of a key may be lost that are newer than the row at a
// place in the database; with no place, any rows of it.
func (p *Space) lostRow(prefix, at, key []byte, v Version) error {
	if d := p.s.ledger.lostBefore(prefix, at, v); d != nil {
		return damagedRow(p.id, key, 0, fmt.Errorf("%w: %s", errLost, d.Thing.String()))
	}
	return nil
}

func notFound(key []byte, v Version) error {
	return fmt.Errorf("row %.200q version %d: %w", key, v, ErrNotFound)
}

// findOlder reads a row that is not current.
func (p *Space) findOlder(db pebble.Reader, iter *pebble.Iterator, prefix, key []byte, v Version) (f found, err error) {
	at := v
	if v == Null {
		pointer, err := get(db, appendKey(nil, tagNull, p.id, key))
		if err != nil {
			return f, err
		}
		if k := appendKey(nil, tagNull, p.id, key); len(pointer) != versionLen && p.s.ledger.gapAt(k) != nil {
			return f, damagedRow(p.id, key, v, errLost)
		}
		if len(pointer) != versionLen {
			return f, notFound(key, v)
		}
		at = Version(binary.BigEndian.Uint64(pointer))
	}
	k := appendVersion(prefix[:len(prefix):len(prefix)], at)
	if !iter.SeekPrefixGE(k) || !sameKey(iter, prefix) || !bytes.Equal(iter.Key(), k) {
		if err := iter.Error(); err != nil {
			return f, err
		}
		if p.s.ledger.gapAt(k) != nil {
			return f, damagedRow(p.id, key, v, errLost)
		}
		return f, notFound(key, v)
	}
	if err := f.read(p.id, key, iter); err != nil {
		return f, err
	}
	return f, nil
}

// read takes the row where the iterator stands, with octets of its own.
func (f *found) read(space ID, key []byte, iter *pebble.Iterator) error {
	_, f.v, _ = rowKey(iter.Key())
	value, err := iter.ValueAndErr()
	if err != nil {
		return err
	}
	if err := f.parse(append(make([]byte, 0, len(value)), value...)); err != nil {
		return damagedRow(space, key, f.v, err)
	}
	return nil
}
