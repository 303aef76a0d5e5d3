package config

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/kind"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// takeSnapshot writes a part of a snapshot beside what is served. The last part makes
// it current: what differs becomes changes, what is the same stays as it is.
func (c *Config) takeSnapshot(st *stream, f *feedv1.Frame) error {
	b := c.open()
	if err := c.adoptEpoch(b, f); err != nil {
		return err
	}
	next := contentPrefix(f.GetStream(), st.content+1)
	if f.GetPart() == 0 {
		if err := b.DeleteRange(next, after(next), nil); err != nil {
			return err
		}
	}
	st.snapshot = st.snapshot.Next(f)
	if err := c.denyFrom(b, f); err != nil {
		return err
	}
	for _, item := range f.GetItems() {
		if !c.kept(item) {
			continue
		}
		if err := putItem(b, next, f.GetRevision(), item); err != nil {
			return err
		}
	}
	if !f.GetLast() {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	return c.finishSnapshot(st, f)
}

// finishSnapshot makes a complete snapshot current.
func (c *Config) finishSnapshot(st *stream, f *feedv1.Frame) error {
	b, before := c.open(), len(c.pending.changes)
	old, next := contentPrefix(f.GetStream(), st.content), contentPrefix(f.GetStream(), st.content+1)
	if err := c.difference(b, f.GetStream(), f.GetRevision(), old, next); err != nil {
		c.pending.changes = c.pending.changes[:before] // it is sent again
		return err
	}
	st.content++
	st.snapshot, st.staged, st.doubts = frame.Snapshot{}, nil, 0
	st.position = frame.Position{Revision: f.GetRevision(), Part: f.GetHeadPart(), Last: true, Hash: f.GetHeadHash()}
	from, to := stagedRange(f.GetStream())
	return errors.Join(
		b.DeleteRange(old, after(old), nil),
		b.DeleteRange(from, to, nil),
		b.Set(spaced(spacePosition, f.GetStream()), st.positionValue(f.GetStream()), nil),
	)
}

// difference adds the changes that lead from one content of a stream to another.
func (c *Config) difference(b *pebble.Batch, stream string, revision uint64, from, to []byte) error {
	old, err := contentOf(c.store.live.db, from)
	if err != nil {
		return err
	}
	defer old.Close()
	next, err := contentOf(c.store.live.db, to)
	if err != nil {
		return err
	}
	defer next.Close()
	r := itemReader{stream: stream, org: organization(stream)}
	old.First()
	next.First()
	for old.Valid() || next.Valid() {
		order := compareItems(old, next)
		if order < 0 {
			err = c.ended(b, &r, revision, old.Key())
		} else if order > 0 || !sameRecord(old.Value(), next.Value()) {
			err = c.arrived(b, &r, next.Key(), next.Value())
		}
		if err != nil {
			return err
		}
		if order <= 0 {
			old.Next()
		}
		if order >= 0 {
			next.Next()
		}
	}
	return errors.Join(old.Error(), next.Error())
}

func contentOf(db *pebble.DB, prefix []byte) (*pebble.Iterator, error) {
	return db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
}

// compareItems orders the two by kind and name; the end comes after everything.
func compareItems(old, next *pebble.Iterator) int {
	if !old.Valid() || !next.Valid() {
		if old.Valid() {
			return -1
		}
		return 1
	}
	_, _, okind, oname, _ := splitItem(old.Key())
	_, _, nkind, nname, _ := splitItem(next.Key())
	if c := bytes.Compare(okind, nkind); c != 0 {
		return c
	}
	return bytes.Compare(oname, nname)
}

// sameRecord compares lane and value; a snapshot says nothing of a record's revision.
func sameRecord(a, b []byte) bool {
	return len(a) >= itemHeader && len(b) >= itemHeader && a[0] == b[0] && bytes.Equal(a[itemHeader:], b[itemHeader:])
}

func (c *Config) ended(b *pebble.Batch, r *itemReader, revision uint64, key []byte) error {
	_, _, k, name, _ := splitItem(key)
	ch := r.change(k, name, itemValue(uint32(kind.LaneData), revision, nil))
	ch.Value = nil
	c.change(ch)
	return c.ownFrom(b, r.stream, &feedv1.Item{Kind: ch.Kind, Name: ch.Name, Deleted: true})
}

func (c *Config) arrived(b *pebble.Batch, r *itemReader, key, value []byte) error {
	_, _, k, name, _ := splitItem(key)
	ch := r.change(k, name, value)
	c.change(ch)
	return c.ownFrom(b, r.stream, &feedv1.Item{Kind: ch.Kind, Name: ch.Name, Value: ch.Value})
}

// follows begins to follow streams, and drops none.
func (c *Config) follows(names []string) {
	for _, name := range names {
		if plain(name) && c.streams[name] == nil {
			c.streams[name] = &stream{position: frame.Start}
		}
	}
}

// subscribe follows exactly the named streams; the records of others end.
func (c *Config) subscribe(names []string) error {
	c.follows(names)
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		wanted[name] = true
	}
	for name, st := range c.streams {
		if wanted[name] {
			continue
		}
		if err := c.drop(name, st); err != nil {
			return err
		}
	}
	return nil
}

// drop forgets a stream, but for its deny entries and publishing keys.
func (c *Config) drop(name string, st *stream) error {
	if err := c.flush(); err != nil {
		return err
	}
	b, before := c.open(), len(c.pending.changes)
	r := itemReader{stream: name, org: organization(name)}
	err := scan(c.store.live.db, contentPrefix(name, st.content), func(key, value []byte) error {
		_, _, k, n, _ := splitItem(key)
		c.change(view.Change{Stream: name, Lane: kind.LaneData, Change: kind.Change{
			Kind:         string(k),
			Organization: r.org, Name: string(n), Revision: c.revision.Load(),
		}})
		return nil
	})
	if err != nil {
		c.pending.changes = c.pending.changes[:before] // it is dropped later
		return err
	}
	delete(c.streams, name)
	ifrom, ito := itemsRange(name)
	sfrom, sto := stagedRange(name)
	return errors.Join(b.DeleteRange(ifrom, ito, nil), b.DeleteRange(sfrom, sto, nil),
		b.Delete(spaced(spacePosition, name), nil))
}
