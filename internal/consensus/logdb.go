package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/compaction"
)

// logDB is the one Pebble with the logs and stable stores of all groups of a process,
// so that a commit of any of them is one sync of one WAL. Its keys:
//
//	'g' name            the group's number, u32; given once, never again
//	'f' number          first index of the group's log, u64; absent when it is empty
//	'l' number index    an entry
//	'q' number          count of writes to the group's stable store, u64
//	's' number name     a value of the stable store
type logDB struct {
	db    *pebble.DB
	dir   string
	fatal func(error)
	room  func() error // asked before entries are appended
	// synced is told how long each commit took; nil: nobody is.
	synced func(time.Duration)

	mu struct {
		sync.Mutex
		failed error // the first failed write or sync; nothing is written after it
	}
}

const (
	prefixGroup  = 'g'
	prefixFirst  = 'f'
	prefixLog    = 'l'
	prefixCount  = 'q'
	prefixStable = 's'
)

func openLogDB(fsys vfs.FS, dir string, logger *slog.Logger, fatal func(error)) (*logDB, error) {
	l := &logDB{dir: dir, fatal: fatal, room: func() error { return nil }}
	plog := pebbleLogger{logger, l}
	opts := &pebble.Options{
		FS: fsys,
		// WAL sync chunks (FormatWALSyncChunks) tell damage in the middle of a WAL from its
		// end; V6 has a checksum in the footer of tables too.
		FormatMajorVersion: pebble.FormatTableFormatV6,
		MemTableSize:       16 << 20,
		Logger:             plog,
		EventListener: &pebble.EventListener{BackgroundError: func(err error) {
			if errors.Is(err, syscall.ENOSPC) { // a flush or compaction, which Pebble begins again
				logger.Error("consensus: log store, in the background", "error", err)
				return
			}
			_ = l.fail(fmt.Errorf("log store, in the background: %w", err))
		}},
	}
	opts.Experimental.CompactionScheduler = compaction.New()
	db, err := pebble.Open(dir, opts)
	if err == nil {
		l.db = db
		return l, nil
	}
	if pebble.IsCorruptionError(err) {
		return nil, &CorruptError{Dir: dir, Text: "its store does not open", cause: err}
	}
	return nil, fmt.Errorf("open log store %s: %w", dir, err)
}

// fail records the first failure and reports it. Later writes get it back: after a
// failed sync the kernel may have dropped the pages, so a second try that succeeds
// proves nothing.
func (l *logDB) fail(err error) error {
	l.mu.Lock()
	first := l.mu.failed == nil
	if first {
		l.mu.failed = err
	}
	err = l.mu.failed
	l.mu.Unlock()
	if first {
		l.fatal(err)
	}
	return err
}

func (l *logDB) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.failed
}

// commit makes the batch durable, or the process is at its end.
func (l *logDB) commit(b *pebble.Batch) error {
	if err := l.failed(); err != nil {
		return err
	}
	begun := time.Now()
	if err := b.Commit(pebble.Sync); err != nil {
		return l.fail(fmt.Errorf("write log store %s: %w", l.dir, err))
	}
	if l.synced != nil {
		l.synced(time.Since(begun))
	}
	return l.failed() // Pebble reports a failed WAL to its logger
}

// group returns the number of a group, and gives it one where it is new.
func (l *logDB) group(name string) (uint32, error) {
	key := append([]byte{prefixGroup}, name...)
	v, err := l.get(key)
	if err != nil {
		return 0, err
	}
	if len(v) == 4 {
		return binary.BigEndian.Uint32(v), nil
	}
	next, err := l.countGroups()
	if err != nil {
		return 0, err
	}
	b := l.db.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.Set(key, binary.BigEndian.AppendUint32(nil, next+1), nil); err != nil {
		return 0, err
	}
	return next + 1, l.commit(b)
}

func (l *logDB) countGroups() (n uint32, err error) {
	it, err := l.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixGroup}, UpperBound: []byte{prefixGroup + 1}})
	if err != nil {
		return 0, err
	}
	for it.First(); it.Valid(); it.Next() {
		n++
	}
	return n, errors.Join(it.Error(), it.Close())
}

// get returns a copy of the value of key, nil where there is none.
func (l *logDB) get(key []byte) ([]byte, error) {
	v, closer, err := l.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := append([]byte{}, v...)
	return out, closer.Close()
}

func (l *logDB) close() error { return l.db.Close() }

// pebbleLogger sends Pebble's complaints to slog, and its fatal ones to fail.
type pebbleLogger struct {
	slog *slog.Logger
	l    *logDB
}

func (p pebbleLogger) Infof(string, ...any) {}

func (p pebbleLogger) Errorf(format string, args ...any) {
	p.slog.Error("consensus: log store", "error", fmt.Sprintf(format, args...))
}

func (p pebbleLogger) Fatalf(format string, args ...any) {
	_ = p.l.fail(fmt.Errorf(format, args...))
}
