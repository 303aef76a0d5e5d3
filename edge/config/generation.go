package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/compaction"
)

// generation is one of the two databases. Its owner closes it; fault and damaged may be
// called from anywhere.
type generation struct {
	name string // "a" or "b"
	db   *pebble.DB
	seq  uint64 // number of the last commit when it was opened; 0: never finished

	marked  uint64          // number of the first commit with a mark; 0: none has one
	parts   uint64          // of the copy that it began as; 0: it is none
	commits int             // since tables were last begun to be made of the logs
	held    int             // those of which tables are being made since then
	flushed <-chan struct{} // closed when they are made; nil: none were yet

	reading sync.WaitGroup        // goroutines that read all of it
	dropped atomic.Bool           // they shall stop
	wrong   atomic.Pointer[error] // the first damage that was met
}

// damaged notes what is wrong with the files. Pebble reports it by this, too, for what it
// finds in the background.
func (g *generation) damaged(err error) { g.wrong.CompareAndSwap(nil, &err) }

// fault is the first damage that was met; nil when there is none.
func (g *generation) fault() error {
	if err := g.wrong.Load(); err != nil {
		return *err
	}
	return nil
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

// listener has damage noted. Pebble calls Fatalf for it otherwise: the panic left open
// iterators behind, which no database can be closed with.
func (g *generation) listener() *pebble.EventListener {
	return &pebble.EventListener{DataCorruption: func(i pebble.DataCorruptionInfo) {
		g.damaged(fmt.Errorf("%s: %w", i.Path, i.Details))
	}}
}

// unlocked is a file system without locks: the store's own keeps others out, and a
// database that panicked would keep its one until the process ends.
type unlocked struct{ vfs.FS }

func (unlocked) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

// openGeneration opens one database; nil without an error when it does not exist and
// shall not be made.
func (s *store) openGeneration(name string, create bool) (*generation, error) {
	if _, err := s.fs.Stat(s.path(name)); err != nil && !create {
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return s.openOn(s.fs, name, s.readOnly)
}

// openOn opens one database on a file system. Damage that makes Pebble panic is an error
// like any other.
func (s *store) openOn(fs vfs.FS, name string, readOnly bool) (*generation, error) {
	g := &generation{name: name}
	o := &pebble.Options{
		FS:                 unlocked{fs},
		ReadOnly:           readOnly,
		Cache:              s.cache,
		Logger:             pebbleLog{s.log},
		EventListener:      g.listener(),
		FormatMajorVersion: pebble.FormatWALSyncChunks,
		MemTableSize:       8 << 20,
		MaxOpenFiles:       500,
	}
	o.Experimental.CompactionScheduler = compaction.New()
	err := guard(func() (err error) {
		g.db, err = pebble.Open(s.path(name), o)
		if err == nil {
			err = g.readNumber()
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open generation %s: %w", name, err), g.close())
	}
	return g, nil
}

// guard makes a panic over damaged octets an error.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errDamaged, r)
		}
	}()
	return f()
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

// verify reads everything, so that every checksum is looked at, unless it is told to stop.
func (g *generation) verify(stop <-chan struct{}) error {
	return guard(func() error {
		return scan(g.db, nil, func([]byte, []byte) error {
			select {
			case <-stop:
				return errStopped
			default:
			}
			if g.dropped.Load() {
				return errStopped
			}
			return nil
		})
	})
}

// close closes the database when nothing reads it any more. One that is damaged may
// panic over it, which concerns nobody else.
func (g *generation) close() error {
	if g == nil || g.db == nil {
		return nil
	}
	g.dropped.Store(true)
	g.reading.Wait()
	if err := guard(g.db.Close); err != nil {
		return fmt.Errorf("close generation %s: %w", g.name, err)
	}
	return nil
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
