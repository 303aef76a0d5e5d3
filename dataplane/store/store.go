package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/dataplane/store/sealedfs"
	"github.com/dark-ecosystem/dark/dataplane/store/segment"
	"github.com/dark-ecosystem/dark/internal/diskroom"
)

// Store keeps the spaces of one member. All methods may be called by any goroutine.
//
// Lock order: the log's turn, then writes, then Store.mu; placing, then writes; placing, which
// is held while an extent's place changes, before segment's own; none of them while Keys are asked.
type Store struct {
	opt         Options
	fs          vfs.FS
	db          *pebble.DB
	files       *segment.Files
	machine     *machine // the log's
	log         Log
	chain       *keychain
	writer      uint64 // this incarnation: random
	extents     atomic.Uint64
	intents     intents
	disk        *diskroom.Disk
	fault       *fault
	damages     damages
	pressure    pressure
	compactions compactions
	works       works
	ailing      ailing       // tables that cannot be read
	writes      sync.RWMutex // held by who sets a range aside: nobody writes meanwhile
	gate        gate
	control     control
	ledger      damageLedger
	durable     durable
	floor       floor
	placing     sync.Mutex
	scrubbing   sync.Mutex
	offline     bool          // opened by a tool
	round       sync.Mutex    // of background work
	emptying    emptying      // owned by who holds round
	wake        chan struct{} // there is background work
	wals        *walFS
	shredded    time.Time // when keys were last looked through; owned by who holds round
	// vacuumed are erased spaces whose keys have left the disk; owned by who holds round.
	vacuumed map[ID]bool
	// seek looks for bodies that were missing at the start; nil where none was.
	seek func(context.Context)

	stop context.CancelFunc
	done sync.WaitGroup

	mu struct {
		sync.Mutex
		generations map[ID]uint64
		shredAfter  map[ID]time.Duration
	}
}

// gate keeps Close from pulling the database away under those who use it.
type gate struct {
	mu     sync.RWMutex
	closed atomic.Bool
}

func (g *gate) enter() error {
	if g.closed.Load() {
		return ErrClosed
	}
	g.mu.RLock()
	if g.closed.Load() {
		g.mu.RUnlock()
		return ErrClosed
	}
	return nil
}

func (g *gate) leave() { g.mu.RUnlock() }

// close says whether all others have left, within the given time. first is true for the first
// to call it.
func (g *gate) close(within time.Duration) (first, empty bool) {
	if g.closed.Swap(true) {
		return false, false
	}
	left := make(chan struct{})
	go func() { // ends when the last has left
		g.mu.Lock()
		defer g.mu.Unlock()
		close(left)
	}()
	wait := time.NewTimer(within)
	defer wait.Stop()
	select {
	case <-left:
		return true, true
	case <-wait.C:
		return true, false
	}
}

// Open opens the store in Dir, or begins one. It fails where the directory is held by
// another process, or its rows cannot be read.
func Open(o Options) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		_ = s.shut()
		return nil, fmt.Errorf("open store %s: %w", s.opt.Dir, s.hurt(err))
	}
	return s, nil
}

// OpenReadOnly opens the store in Dir to be read, as the one process that holds it, and changes nothing.
func OpenReadOnly(o Options) (*Store, error) {
	o.Quiet = true
	return openOffline(o, true)
}

// openOffline opens a store for people's tools: nothing is swept or written by itself.
func openOffline(o Options, readOnly bool) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, err
	}
	s.offline = true
	if err = s.openFiles(readOnly); err == nil {
		s.machine, err = newMachine(s.db, &s.ledger)
	}
	if err == nil {
		err = s.openFloor(true)
	}
	if err != nil {
		_ = s.shut()
		return nil, fmt.Errorf("open store %s: %w", s.opt.Dir, s.hurt(err))
	}
	s.log = newLocalLog(s, s.machine)
	s.durable.raise(s.machine.applied)
	return s, nil
}

func newStore(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{opt: o, fault: newFault(), control: o.control, vacuumed: map[ID]bool{}, wake: make(chan struct{}, 1)}
	s.ailing.wake = make(chan struct{}, 1)
	s.wals = &walFS{FS: o.FS}
	s.disk = diskroom.New(o.FS, o.Dir, o.Reserve)
	s.fs = s.disk.Relieve(s.wals)
	s.mu.generations = map[ID]uint64{}
	s.chain = newKeychain(s)
	return s, nil
}

func (s *Store) open() (err error) {
	if err := s.openFiles(false); err != nil {
		return err
	}
	if err := s.openMachine(); err != nil {
		return err
	}
	if err := s.openFloor(false); err != nil {
		return err
	}
	s.log = newLocalLog(s, s.machine)
	if s.fault.reason() == nil {
		if err := s.takeUp(); err != nil {
			return err
		}
	}
	s.durable.raise(s.machine.applied) // begin synced the log behind all that was replayed
	s.start()
	return nil
}

func (s *Store) openFiles(readOnly bool) (err error) {
	spare := 0
	if readOnly {
		spare = -1
	} else if err := makeDir(s.fs, s.opt.Dir); err != nil {
		return err
	}
	s.fit()
	s.loadLedger()
	rows := s.fs.PathJoin(s.opt.Dir, "rows")
	if !s.control.unchecked {
		if err := s.rowsAreThere(rows); err != nil {
			return err
		}
		if err := checkManifest(s.rowsFS(), rows); err != nil {
			return fmt.Errorf("open rows: %w", err)
		}
		if err := s.judgeRows(rows); err != nil {
			return err
		}
	}
	if s.db, err = openRows(s.rowsFS(), rows, pebbleLog{s}, readOnly); err != nil {
		return tablesGone(rows, err)
	}
	s.files, err = segment.Open(segment.Options{
		FS: s.fs, Dir: s.fs.PathJoin(s.opt.Dir, "segments"), Size: s.opt.SegmentSize, Spare: spare, Room: s.segmentRoom,
		MoveRoom: s.moveRoom,
		Logger:   s.opt.Logger,
	})
	return err
}

// rowsFS is what the rows' database writes through. Segments hold sealed octets only and
// need no second encryption.
func (s *Store) rowsFS() vfs.FS {
	if s.opt.DiskKey == nil {
		return s.fs
	}
	return sealedfs.New(s.fs, *s.opt.DiskKey)
}

// makeDir makes a directory and its name durable.
func makeDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for d := dir; ; d = fs.PathDir(d) {
		f, err := fs.OpenDir(d)
		if err != nil {
			return err
		}
		err = f.Sync()
		f.Close()
		if err != nil || d == fs.PathDir(d) {
			return err
		}
		if d != dir {
			return nil
		}
	}
}

// Close ends background work and syncs. Readers, cursors and writers must have been closed.
func (s *Store) Close() error {
	first, empty := s.gate.close(closeWithin)
	switch {
	case !first:
		return nil
	case !empty: // somebody is in Pebble, or reads from it, and does not come back
		if s.stop != nil {
			s.stop()
		}
		return firstOf(s.fail(errors.New("not all who use the store have left")), s.saveLedger())
	}
	return s.shut()
}

// closeWithin is how long Close waits for those who use the store.
const closeWithin = time.Minute

func (s *Store) shut() (err error) {
	if s.stop != nil {
		s.stop()
	}
	s.done.Wait()
	close(s.fault.closing)
	if !s.offline {
		err = s.saveLedger()
	}
	if s.files != nil {
		err = errors.Join(err, s.files.Close())
	}
	if s.db == nil {
		return err
	}
	select {
	case <-s.fault.fatal: // Pebble holds its locks for ever
		return errors.Join(err, s.fault.reason())
	default:
	}
	if s.machine != nil && s.fault.reason() == nil && !s.offline {
		// The tables' checksums tell what rots; a log's end does not.
		err = errors.Join(err, s.guarded(s.db.Flush), s.syncFloor())
	}
	s.closeFloor()
	return errors.Join(err, s.guarded(s.db.Close))
}

// At gives the space of a placement. It is cheap: a service may ask for each request.
// Errors: ErrMoved, ErrErased, ErrClosed.
func (s *Store) At(p Placement) (*Space, error) {
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if p.Cell != s.opt.Cell {
		return nil, fmt.Errorf("space %x is in cell %q, not in %q: %w", p.Space, p.Cell, s.opt.Cell, ErrMoved)
	}
	if s.isErased(p.Space) {
		return nil, fmt.Errorf("space %x: %w", p.Space, ErrErased)
	}
	if known := s.generation(p); p.Generation < known {
		return nil, fmt.Errorf("space %x is in generation %d, not in %d: %w", p.Space, known, p.Generation, ErrMoved)
	}
	return &Space{s: s, id: p.Space, tenant: p.Tenant}, nil
}

// generation keeps the greatest that anybody asked for.
func (s *Store) generation(p Placement) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Generation > s.mu.generations[p.Space] {
		s.mu.generations[p.Space] = p.Generation
	}
	return s.mu.generations[p.Space]
}

func (s *Store) isErased(space ID) bool { return s.machine.erased.has(space) }
