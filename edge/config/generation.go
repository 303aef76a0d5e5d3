package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// generation is one of the two databases.
type generation struct {
	name string // "a" or "b"
	db   *pebble.DB
	seq  uint64 // number of the last commit when it was opened; 0: never finished
}

// pebbleLog passes on what Pebble says. A failed write or sync stops the process and is
// never retried: what was acknowledged is on disk, the rest comes again.
type pebbleLog struct{ log *slog.Logger }

func (l pebbleLog) Infof(string, ...any) {}
func (l pebbleLog) Errorf(format string, args ...any) {
	l.log.Warn("config database: " + fmt.Sprintf(format, args...))
}

func (l pebbleLog) Fatalf(format string, args ...any) {
	panic("config database: " + fmt.Sprintf(format, args...))
}

// openGeneration opens one database; nil without an error when it does not exist and
// shall not be made. Damage that makes Pebble panic is an error like any other.
func (s *store) openGeneration(name string, create bool) (g *generation, err error) {
	dir := s.path(name)
	if _, serr := s.fs.Stat(dir); serr != nil && !create {
		if errors.Is(serr, os.ErrNotExist) {
			return nil, nil
		}
		return nil, serr
	}
	defer func() {
		if r := recover(); r != nil {
			g, err = nil, fmt.Errorf("open generation %s: %v", name, r)
		}
	}()
	db, err := pebble.Open(dir, &pebble.Options{
		FS:                 s.fs,
		ReadOnly:           s.readOnly,
		Cache:              s.cache,
		Logger:             pebbleLog{s.log},
		FormatMajorVersion: pebble.FormatWALSyncChunks,
		MemTableSize:       8 << 20,
		MaxOpenFiles:       500,
	})
	if err != nil {
		return nil, fmt.Errorf("open generation %s: %w", name, err)
	}
	g = &generation{name: name, db: db}
	if g.seq, err = getNumber(db, keySeq); err != nil {
		db.Close()
		return nil, fmt.Errorf("read generation %s: %w", name, err)
	}
	return g, nil
}

// empty reports whether there is nothing in it.
func (g *generation) empty() (bool, error) {
	it, err := g.db.NewIter(nil)
	if err != nil {
		return false, err
	}
	some := it.First()
	return !some, errors.Join(it.Error(), it.Close())
}

// verify reads everything, so that every checksum is looked at.
func (g *generation) verify() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	it, err := g.db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if _, err := it.ValueAndErr(); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Error(), it.Close())
}

func (g *generation) close() error {
	if g == nil {
		return nil
	}
	return g.db.Close()
}

// getNumber reads an 8-octet number; 0 when there is none.
func getNumber(r pebble.Reader, key []byte) (uint64, error) {
	v, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closer.Close()
	if len(v) != 8 {
		return 0, fmt.Errorf("%w: %q has %d octets", errDamaged, key, len(v))
	}
	return binary.BigEndian.Uint64(v), nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// makeDir makes a directory and those above it that are missing, durably.
func makeDir(fs vfs.FS, dir string) error {
	above := []string{fs.PathDir(dir)} // always: a start before may have ended here
	for d := dir; ; d = fs.PathDir(d) {
		if _, err := fs.Stat(d); err == nil || d == fs.PathDir(d) {
			break
		}
		above = append(above, fs.PathDir(d))
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range above {
		if err := syncDir(fs, d); err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes the entries of a directory durable.
func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
