package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// A scrub, a check and a rebuild go on behind what cannot be read: a block that has rotten is
// told with its range of keys, and the next key behind it is read. Nothing of the range is
// called whole.

// walk goes over all records whose keys begin with prefix. What cannot be read is handed to
// skipped, by its range, and passed over.
func (s *Store) walk(prefix []byte, skipped func(*Damaged), f func(k, v []byte) error) error {
	return s.walkFrom(prefix, after(prefix), skipped, f)
}

func (s *Store) walkFrom(from, end []byte, skipped func(*Damaged), f func(k, v []byte) error) error {
	for from != nil {
		var own error // of f, which is not about the walk
		next, err := someKeys(s.db, from, end, stepKeys, func(k, v []byte) error {
			own = f(k, v)
			return own
		})
		if own != nil {
			return own
		}
		if err != nil {
			d, behind, serr := s.skip(err, next, end)
			if serr != nil {
				return serr
			}
			if bytes.Compare(next, d.From) < 0 { // other tables have records before the block
				if err := s.walkFrom(next, d.From, skipped, f); err != nil {
					return err
				}
			}
			skipped(d)
			next = behind
		}
		from = next
	}
	return nil
}

// errNoWay ends a walk that could not pass what it could not read.
var errNoWay = errors.New("what cannot be read has no end that is known")

// skip finds where the records go on behind an error at a key: behind the table's block that
// cannot be read, or behind the table where it is its index. behind is nil at the end.
func (s *Store) skip(err error, at, end []byte) (d *Damaged, behind []byte, _ error) {
	info := pebble.ExtractDataCorruptionInfo(err)
	if info == nil || !pebble.IsCorruptionError(err) {
		return nil, nil, err
	}
	thing := tableThing(info)
	rotten, whole, cause := rottenIn(s.rowsFS(), info.Path)
	if whole {
		rotten = []keyRange{{thing.From, thing.To}}
	}
	for _, r := range rotten {
		if bytes.Compare(r.to, at) <= 0 {
			continue
		}
		thing = Thing{Kind: DamagedRange, From: latest(r.from, thing.From, at), To: r.to, File: thing.File}
		if cause == nil {
			cause = err
		}
		d = &Damaged{Thing: thing, Err: fmt.Errorf("it cannot be read: %w", cause)}
		if end != nil && bytes.Compare(r.to, end) >= 0 {
			return d, nil, nil
		}
		return d, r.to, nil
	}
	return nil, nil, fmt.Errorf("%w: %w", errNoWay, err)
}

// latest is the greatest of keys.
func latest(keys ...[]byte) []byte { return bytes.Clone(slices.MaxFunc(keys, bytes.Compare)) }
