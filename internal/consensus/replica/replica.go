// Package replica keeps the Pebble of a replicated state machine in a directory that
// can be replaced as a whole: a numbered directory is live, the file CURRENT names it,
// and Restore makes the next one and switches.
//
// The Pebble is written without sync (pebble.NoSync): what a crash takes comes again
// from the Raft log. Its WAL is kept nevertheless. Without one, a killed process would
// come back at its last flush, which may be hours old where little is written, and
// show that until a leader lets it replay the rest; reading, backup and recovery
// without a quorum would see it. With one it comes back short of the 32 KiB block that
// Pebble had not handed to the kernel, at the price of a second, sequential, buffered
// write. Power loss may take any tail of it, never a middle: Pebble replays a WAL up
// to the first bad record.
//
// The apply goroutine alone writes, and calls Checkpoint and Restore; readers hold the
// Pebble through With or Acquire, and one that Restore replaced is closed after its
// last reader.
package replica

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/compaction"
)

const (
	currentName = "CURRENT"
	category    = vfs.WriteCategoryUnspecified
)

// ErrClosed is returned to readers after Close.
var ErrClosed = errors.New("replica is closed")

// Replica is a state machine's directory.
type Replica struct {
	fs   vfs.FS
	dir  string
	opts *pebble.Options

	mu struct {
		sync.Mutex
		live   *handle // nil after Close
		number uint64
	}
	closing sync.WaitGroup // replaced Pebbles that still have readers
}

// handle counts who uses a Pebble: the Replica while it is live, and its readers.
type handle struct {
	db     *pebble.DB
	refs   int           // under Replica.mu
	unused chan struct{} // closed when refs is 0
}

// Open opens the live Pebble below dir, or makes an empty one, and removes what an
// interrupted Restore left. opts may be nil; its FS is replaced by fsys. Without a
// Logger in it, complaints go to slog, and what Pebble calls fatal, a write of the
// state machine that failed, ends the process.
func Open(fsys vfs.FS, dir string, opts *pebble.Options) (*Replica, error) {
	if opts == nil {
		opts = &pebble.Options{}
	}
	opts = opts.Clone()
	opts.FS = fsys
	if opts.Logger == nil {
		opts.Logger = logger{dir}
	}
	if opts.FormatMajorVersion < pebble.FormatTableFormatV6 {
		opts.FormatMajorVersion = pebble.FormatTableFormatV6
	}
	r := &Replica{fs: fsys, dir: dir, opts: opts}
	if err := r.open(); err != nil {
		return nil, fmt.Errorf("open replica %s: %w", dir, err)
	}
	return r, nil
}

func (r *Replica) open() error {
	if err := makeDir(r.fs, r.dir); err != nil {
		return err
	}
	number, err := r.readCurrent()
	if err != nil {
		return err
	}
	if err := r.sweep(number); err != nil {
		return err
	}
	first := number == 0
	if first {
		number = 1
	}
	db, err := r.openNumber(number)
	if err != nil {
		return err
	}
	if first {
		if err := r.writeCurrent(number); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	r.mu.live, r.mu.number = newHandle(db), number
	return nil
}

func newHandle(db *pebble.DB) *handle { return &handle{db: db, refs: 1, unused: make(chan struct{})} }

// openNumber opens a numbered directory; its name is durable when it returns.
func (r *Replica) openNumber(n uint64) (*pebble.DB, error) {
	dir := r.path(n)
	if err := r.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syncDir(r.fs, r.dir); err != nil {
		return nil, err
	}
	o := r.opts.Clone()
	o.Experimental.CompactionScheduler = compaction.New() // one for each database
	return pebble.Open(dir, o)
}

func (r *Replica) path(n uint64) string { return r.fs.PathJoin(r.dir, fmt.Sprintf("%06d", n)) }

// readCurrent returns the number of the live directory, 0 when there is none yet.
func (r *Replica) readCurrent() (uint64, error) {
	f, err := r.fs.Open(r.fs.PathJoin(r.dir, currentName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	b, err := io.ReadAll(io.LimitReader(f, 64))
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(b), "\n"), 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%s holds %q, want the number of a directory", currentName, b)
	}
	return n, nil
}

// writeCurrent makes directory n the live one, durably and at once.
func (r *Replica) writeCurrent(n uint64) error {
	name := r.fs.PathJoin(r.dir, currentName)
	f, err := r.fs.Create(name+".tmp", category)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%06d\n", n)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := r.fs.Rename(name+".tmp", name); err != nil {
		return err
	}
	return syncDir(r.fs, r.dir)
}

// sweep removes every numbered directory but the live one.
func (r *Replica) sweep(live uint64) error {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		n, err := strconv.ParseUint(name, 10, 64)
		if err != nil || n == live {
			continue
		}
		if err := r.fs.RemoveAll(r.fs.PathJoin(r.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// DB returns the live Pebble, for the apply goroutine alone: others use With. It is
// nil after Close.
func (r *Replica) DB() *pebble.DB {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.live == nil {
		return nil
	}
	return r.mu.live.db
}

// Acquire returns the live Pebble and a function that gives it back, to be called once
// after every iterator and snapshot made of it is closed.
func (r *Replica) Acquire() (*pebble.DB, func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.mu.live
	if h == nil {
		return nil, nil, ErrClosed
	}
	h.refs++
	return h.db, func() { r.release(h) }, nil
}

// With calls f with the live Pebble, which stays open until f returns.
func (r *Replica) With(f func(*pebble.DB) error) error {
	db, release, err := r.Acquire()
	if err != nil {
		return err
	}
	defer release()
	return f(db)
}

func (r *Replica) release(h *handle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.refs--
	if h.refs == 0 {
		close(h.unused)
	}
}

// Close waits for the readers, flushes and closes.
func (r *Replica) Close() error {
	r.mu.Lock()
	h := r.mu.live
	r.mu.live = nil
	r.mu.Unlock()
	if h == nil {
		return nil
	}
	r.release(h)
	<-h.unused
	err := h.db.Flush() // so that a clean start replays nothing
	r.closing.Wait()
	return errors.Join(err, h.db.Close())
}

// logger is the pebble.Logger for those who bring none.
type logger struct{ dir string }

func (logger) Infof(string, ...any) {}

func (l logger) Errorf(format string, args ...any) {
	slog.Error("replica", "dir", l.dir, "error", fmt.Sprintf(format, args...))
}

func (l logger) Fatalf(format string, args ...any) {
	l.Errorf(format, args...)
	os.Exit(1)
}
