package segment

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Limits.
const (
	DefaultSize = 256 << 20
	maxSegment  = 4 << 30
	maxSealed   = 1 << 30
	maxActive   = 4 // segments that take extents at a time
	maxSurplus  = 2 // recycled segments kept beyond Options.Spare
)

// Errors, which are wrapped in what was tried.
var (
	// ErrReadOnly: a sync failed. What was not acknowledged may be lost, and only a
	// restart tells; nothing is written before.
	ErrReadOnly = errors.New("a sync failed; segments are only read until a restart")
	// ErrStale: the extent was freed and its segment recycled, or it never was there.
	ErrStale = errors.New("the extent is no longer there")
	// ErrDamaged: the extent's header or hash is wrong.
	ErrDamaged = errors.New("the extent is damaged")
	// ErrTooLarge: the extent fits in no segment, or is larger than was reserved.
	ErrTooLarge = errors.New("the extent is too large")
	// ErrClosed: the Files were closed.
	ErrClosed = errors.New("the segments are closed")
	// ErrNoRoom: the disk is so full that what a segment holds cannot be moved.
	ErrNoRoom = errors.New("there is no room to move what is needed")
)

// Options of Open.
type Options struct {
	FS  vfs.FS // vfs.Default for nil
	Dir string
	// Size of new segments in octets, a multiple of 4 KiB; DefaultSize for 0.
	Size int64
	// Spare is how many segments are kept ready, filled with zeros or recycled: 1 for 0,
	// none for a negative number.
	Spare int
	// FillRate is how fast new segments are filled, octets a second; 128 MiB for 0.
	FillRate int64
	// Room is asked before a segment of so many octets is made; nil: the disk decides.
	Room func(octets int64) error
	// MoveRoom is how many octets a segment may have that moves need and Room refuses: they
	// give back more than they take. nil: none.
	MoveRoom func() int64
	Logger   *slog.Logger // nobody for nil

	// blind is a build without the generation check, which tests must tell.
	blind bool
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	if o.Spare == 0 {
		o.Spare = 1
	}
	if o.FillRate == 0 {
		o.FillRate = 128 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Files are the segments of a directory. All methods may be called by any goroutine.
type Files struct {
	opt Options
	dir vfs.File

	// table is replaced, never changed: readers find a segment without a lock.
	table atomic.Pointer[map[uint32]*segment]
	// poison is why nothing is written any more.
	poison atomic.Pointer[error]

	growing chan struct{} // held by the one writer who adds a segment, while others wait
	wake    chan struct{} // work for the preparer
	stop    context.CancelFunc
	ctx     context.Context
	done    sync.WaitGroup

	mu struct {
		sync.Mutex
		active []*segment
		ready  []*segment
		empty  []*segment // dead, to be recycled
		demand demand
		next   uint32 // number of the next new segment
		closed bool
		// resumed says that Resume was called. Before, what is empty is not known, and a
		// new segment would take room on the disk that an old one has.
		resumed bool
	}
}

// Open opens the segments of a directory, which it makes where it is not there. What they
// hold is neither overwritten nor recycled before Resume.
func Open(opt Options) (*Files, error) {
	opt = opt.withDefaults()
	if opt.Size < 2*page || opt.Size%page != 0 || opt.Size > maxSegment {
		return nil, fmt.Errorf("segment size %d: not a multiple of 4096 from 8192 to 4 GiB", opt.Size)
	}
	f := &Files{opt: opt, growing: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
	f.mu.next = 1
	if err := f.load(); err != nil {
		f.closeFiles()
		return nil, fmt.Errorf("open segments in %s: %w", opt.Dir, err)
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	f.done.Go(f.prepare)
	f.nudge()
	return f, nil
}

// Close ends the background work and closes the files; what was not synced may be lost.
// Nobody may write or hold a Pin.
func (f *Files) Close() error {
	f.mu.Lock()
	closed := f.mu.closed
	f.mu.closed = true
	f.mu.Unlock()
	if closed {
		return nil
	}
	f.stop()
	f.done.Wait()
	f.closeFiles()
	return nil
}

func (f *Files) closeFiles() {
	for _, s := range f.segments() {
		_ = s.file.Close()
	}
	if f.dir != nil {
		_ = f.dir.Close()
	}
}

// Err is nil, or the reason why nothing is written any more: an ErrReadOnly.
func (f *Files) Err() error {
	if p := f.poison.Load(); p != nil {
		return *p
	}
	return nil
}

// fail makes the Files read-only for good. After a failed sync the kernel may have
// dropped the pages and says nothing the second time, so no sync is ever tried again.
func (f *Files) fail(err error) error {
	err = fmt.Errorf("%w: %w", ErrReadOnly, err)
	if f.poison.CompareAndSwap(nil, &err) {
		f.opt.Logger.Error("segments are read-only", "dir", f.opt.Dir, "error", err)
	}
	return f.Err()
}

func (f *Files) segments() map[uint32]*segment {
	if t := f.table.Load(); t != nil {
		return *t
	}
	return nil
}

// enter adds segments to the table.
func (f *Files) enter(some ...*segment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := maps.Clone(f.segments())
	if t == nil {
		t = map[uint32]*segment{}
	}
	for _, s := range some {
		s.blind = f.opt.blind
		f.mu.next = max(f.mu.next, s.number+1)
		t[s.number] = s
	}
	f.table.Store(&t)
}

func (f *Files) leave(s *segment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := maps.Clone(f.segments())
	delete(t, s.number)
	f.table.Store(&t)
}

// find is the segment of a ref that still holds.
func (f *Files) find(r Ref) (*segment, error) {
	s := f.segments()[r.Segment]
	if s == nil || !s.holds(r) {
		return nil, fmt.Errorf("%v: %w", r, ErrStale)
	}
	return s, nil
}

func (f *Files) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
