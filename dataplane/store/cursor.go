package store

import (
	"bytes"
	"context"

	"github.com/cockroachdb/pebble/v2"
)

// ScanOptions say what a Cursor goes over.
type ScanOptions struct {
	Prefix []byte // keys begin with it
	// Versions: all versions, newest first, and markers; otherwise each key's current row,
	// and none where that is a marker.
	Versions bool
}

// Cursor goes over rows in bytewise order of their keys. One goroutine may use it.
type Cursor struct {
	p        *Space
	versions bool
	iter     *pebble.Iterator
	row      row
	refs     []extentRef
	last     []byte // the row's key in the database, without its version
	key      []byte // the row's key
	v        Version
	current  bool
	begun    bool
	err      error
	from     []byte  // where the last move began, as a key of the database
	end      []byte  // where the rows that it goes over end
	gap      *Damage // that ended the walk

	unescaped []byte // key, where it had to be unescaped
}

// Scan gives a cursor over the rows as they are now; changes after that are not seen. It
// stands before the first row; each that it comes to is durable. Close it. ErrErased, ErrClosed.
func (p *Space) Scan(o ScanOptions) (*Cursor, error) {
	if err := p.s.gate.enter(); err != nil {
		return nil, err
	}
	defer p.s.gate.leave()
	if p.s.isErased(p.id) {
		return nil, ErrErased
	}
	from := beginning(p.id, o.Prefix)
	iter, err := p.s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: after(from)})
	if err != nil {
		return nil, err
	}
	return &Cursor{p: p, versions: o.Versions, iter: iter, from: bytes.Clone(from), end: after(from)}, nil
}

// Seek goes to the first row whose key is key or after it, also where rows that may be lost
// ended the walk.
func (c *Cursor) Seek(key []byte) bool {
	c.begun = true
	if c.gap != nil {
		c.gap, c.err = nil, nil
	}
	c.last = c.last[:0]
	c.from = appendKey(c.from[:0], tagRow, c.p.id, key)
	c.iter.SeekGE(c.from)
	return c.settle()
}

// SeekVersion goes to the first row that is key's version v or after it: an older version
// of key, or a later key.
func (c *Cursor) SeekVersion(key []byte, v Version) bool {
	c.begun = true
	k := appendKey(nil, tagRow, c.p.id, key)
	at := appendVersion(k, v)
	// Whether it is current shows only from the row before it.
	if v != Current && c.iter.SeekLT(at) && sameKey(c.iter, k) {
		c.last = append(c.last[:0], k...)
	} else {
		c.last = c.last[:0]
	}
	c.from = append(c.from[:0], at...)
	c.iter.SeekGE(at)
	return c.settle()
}

// Next goes to the next row.
func (c *Cursor) Next() bool {
	switch {
	case c.err != nil:
		return false
	case !c.begun:
		c.begun = true
		c.iter.First()
	default:
		c.iter.Next()
	}
	return c.settle()
}

// settle makes the row where the iterator stands, or the next that is wanted, the
// cursor's. NextPrefix passes over the versions of a key, however many there are.
func (c *Cursor) settle() bool {
	for ; c.err == nil && c.iter.Valid(); c.iter.NextPrefix() {
		k := c.iter.Key()
		if c.passes(k) {
			return false
		}
		prefix := k[:max(0, len(k)-versionLen)]
		c.current = !bytes.Equal(prefix, c.last)
		if !c.current && !c.versions {
			continue
		}
		c.last = append(c.last[:0], prefix...)
		if !c.parse(k) {
			return false
		}
		c.from = append(c.from[:0], k...)
		if !c.versions {
			c.from = immediateSuccessor(c.from[:0], prefix)
		}
		if c.versions || !c.row.is(bitMarker) {
			c.err = c.p.s.hurt(c.p.s.synced(context.Background(), c.p.id, c.key, &c.row, c.v))
			return c.err == nil
		}
	}
	if c.err == nil {
		c.err = c.p.s.hurt(c.iter.Error())
	}
	if c.err == nil {
		c.passes(c.end)
	}
	return false
}

// passes ends the walk where it would pass over rows that may be lost, and says so: the list
// would look whole, and not be. Who seeks to a key behind them goes on there.
func (c *Cursor) passes(to []byte) bool {
	d := c.p.s.ledger.gapIn(c.from, to)
	if d == nil {
		return false
	}
	c.gap = d
	c.err = c.p.s.hurt(&Damaged{Thing: d.Thing, Err: errLost})
	return true
}

// Behind is where a walk goes on that rows ended which may be lost: the first key behind them.
// It is nil where they go up to the end of the space.
func (c *Cursor) Behind() (key []byte, lost bool) {
	if c.gap == nil {
		return nil, false
	}
	to := c.gap.To
	if len(to) < spaceLen || !bytes.HasPrefix(to, idKey(tagRow, c.p.id)) {
		return nil, true
	}
	end := keyEnd(to[spaceLen:])
	if end < 0 {
		return nil, true
	}
	key = unescape(nil, bytes.Clone(to[spaceLen:spaceLen+end]))
	if len(to) > spaceLen+end+endLen { // versions of the key may be lost, too
		key = append(key, 0)
	}
	return key, true
}

func (c *Cursor) parse(k []byte) bool {
	key, v, ok := rowKey(k)
	if !ok {
		c.err = c.p.s.hurt(&Damaged{Thing: recordThing(k), Err: errRow})
		return false
	}
	value, err := c.iter.ValueAndErr()
	if err == nil {
		err = c.row.parse(value)
	}
	if err != nil {
		c.err = c.p.s.hurt(damagedRow(c.p.id, unescape(nil, key), v, err))
		return false
	}
	c.v = v
	if c.key = key; bytes.IndexByte(key, 0) >= 0 {
		c.unescaped = unescape(c.unescaped[:0], key)
		c.key = c.unescaped
	}
	return true
}

// Row is the row where the cursor stands, without Value. Its Key, Tag and Body are valid
// until the cursor moves; Clone keeps them.
func (c *Cursor) Row() Row {
	c.refs = c.row.refs(c.refs[:0])
	r := c.row.public(c.key, c.v, c.refs, c.row.far(c.iter.Key()))
	r.Current = c.current
	return r
}

// Value opens the row's Value. *Damaged, ErrKey.
func (c *Cursor) Value() ([]byte, error) {
	v, err := c.p.s.openValue(c.p.id, &c.row, c.key, c.v)
	return v, c.p.s.hurt(err)
}

// Err is what ended the walk, if it was not its end.
func (c *Cursor) Err() error { return c.err }

// Close ends the cursor.
func (c *Cursor) Close() error { return c.iter.Close() }
