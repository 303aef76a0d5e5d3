package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// keyRange is a range of the database's keys; to is not in it.
type keyRange struct{ from, to []byte }

// openTable opens a table of the rows' database beside Pebble.
func openTable(fs vfs.FS, path string) (*sstable.Reader, error) {
	file, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return sstable.NewReader(context.Background(), readable, tableOptions().MakeReaderOptions())
}

// tableOptions are what tables are read and written with outside of Pebble.
func tableOptions() *pebble.Options {
	o := &pebble.Options{Comparer: comparer, FormatMajorVersion: pebble.FormatNewest}
	o.EnsureDefaults()
	return o
}

// rottenIn names the blocks of a table that cannot be read, by their ranges of keys. whole is
// true where the table's own index is one of them, and so all of it is lost.
func rottenIn(fs vfs.FS, path string) (rotten []keyRange, whole bool, err error) {
	r, err := openTable(fs, path)
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = r.Close() }() // it was only read
	ends, err := blockEnds(fs, path, r)
	if err != nil {
		return nil, true, err
	}
	from := []byte{}
	for _, last := range ends {
		to := append(bytes.Clone(last), 0)
		if e := eachIn(r, from, to, func(*sstableKV) error { return nil }); e != nil {
			err = e
			if n := len(rotten); n > 0 && bytes.Equal(rotten[n-1].to, from) {
				rotten[n-1].to = to
			} else {
				rotten = append(rotten, keyRange{from, to})
			}
		}
		from = to
	}
	return rotten, false, err
}

// blockEnds is the last key of each of a table's blocks: our comparer shortens no separators.
func blockEnds(fs vfs.FS, path string, r *sstable.Reader) (ends [][]byte, err error) {
	layout, err := r.Layout() // which reads the index, and judges its checksums
	if err != nil {
		return nil, err
	}
	file, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for _, h := range layout.Index {
		b := make([]byte, h.Length)
		if _, err := file.ReadAt(b, int64(h.Offset)); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		var i colblk.IndexIter
		if err := i.Init(comparer, b, block.NoTransforms); err != nil {
			return nil, err
		}
		for ok := i.First(); ok; ok = i.Next() {
			ends = append(ends, bytes.Clone(i.Separator()))
		}
	}
	return ends, nil
}

// sstableKV is one entry of a table.
type sstableKV struct {
	key   []byte
	value []byte
	set   bool // false: a deletion
}

// eachIn goes over a table's entries in a range, newest first where a key has several.
func eachIn(r *sstable.Reader, from, to []byte, f func(*sstableKV) error) (err error) {
	iter, err := r.NewIter(sstable.NoTransforms, from, to, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, iter.Close()) }()
	for kv := iter.SeekGE(from, 0); kv != nil; kv = iter.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			return err
		}
		kind := kv.K.Kind()
		e := sstableKV{
			key: kv.K.UserKey, value: value,
			set: kind == pebble.InternalKeyKindSet || kind == pebble.InternalKeyKindSetWithDelete,
		}
		if err := f(&e); err != nil {
			return err
		}
	}
	return iter.Error()
}

// hasRangeDeletions says whether a table deletes ranges, as rebuilding the index does.
func hasRangeDeletions(r *sstable.Reader) bool {
	layout, err := r.Layout()
	return err != nil || layout.RangeDel.Length > 0
}

// errTooRotten is the reason for reading only where more than mostAside tables have rotten.
var errTooRotten = fmt.Errorf("more than %d tables of the rows cannot be read: the disk itself may be the cause; "+
	"look at it, then start again", mostAside)
