package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/diskroom"
)

// subdir of Options.Dir has all that the package keeps.
const subdir = "config"

// errDamaged is content that no version of ours wrote.
var errDamaged = errors.New("damaged")

// Commits and time after which the spare generation is synced too.
const (
	spareCommits = 64
	spareEvery   = 5 * time.Second
	// maxBacklog is how much may be committed while a spare is made; past it, it is
	// begun again.
	maxBacklog = 64 << 20
)

// store keeps the same content in two databases. Each commit is synced in the live one
// and then written to the spare, which is synced from time to time. The spare is written
// from the same changes and shares no file with the live one, as hard-linked files (a
// Pebble checkpoint) would share their damage.
//
// mu guards what follows it and changes of live, and is held while something is committed;
// only one goroutine commits, and it alone changes live.
type store struct {
	fs    vfs.FS
	disk  *diskroom.Disk
	dir   string
	log   *slog.Logger
	cache *pebble.Cache
	lock  io.Closer
	live  *generation
	// readOnly: the disk was full at the start, and wake was not called yet.
	readOnly bool
	lost     atomic.Bool    // both generations were damaged and nothing was told since
	damages  atomic.Uint64  // generations that were found damaged
	work     sync.WaitGroup // the goroutine that makes or verifies a spare
	stop     chan struct{}
	sync     *pebble.WriteOptions // of commits to the live generation; a test leaves it out

	mu struct {
		sync.Mutex
		seq      uint64
		spare    *generation // nil while it is made
		making   bool
		backlog  [][]byte // commits since the making began
		bytes    int
		since    int // commits since the spare was synced
		synced   time.Time
		restored uint64 // spares made since the start
	}
}

func (s *store) path(name string) string { return s.fs.PathJoin(s.dir, name) }

// openStore opens the configuration in dir, or begins one. What is read from the
// generation that is chosen is handed to read, which is called again for another should
// the first be damaged.
func openStore(disk *diskroom.Disk, dir string, log *slog.Logger, read func(*pebble.DB) error) (*store, error) {
	fs := disk.FS()
	s := &store{fs: fs, disk: disk, dir: dir, log: log, stop: make(chan struct{}), sync: pebble.Sync}
	s.readOnly = s.full()
	if err := makeDir(fs, dir); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	lock, err := fs.Lock(fs.PathJoin(dir, "LOCK"))
	if err != nil {
		return nil, fmt.Errorf("lock %s: is another edge running on it? %w", dir, err)
	}
	s.lock = lock
	s.cache = pebble.NewCache(16 << 20)
	if err := s.choose(read); err != nil {
		s.cache.Unref()
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// choose opens both generations and takes the newer one that can be read throughout. With
// neither it begins a new configuration.
func (s *store) choose(read func(*pebble.DB) error) error {
	a, aerr := s.openGeneration("a", false)
	b, berr := s.openGeneration("b", false)
	if a != nil && b != nil && b.seq > a.seq {
		a, b = b, a
	} else if a == nil {
		a, b = b, a
	}
	faults := []error{aerr, berr}
	for _, pair := range [2][2]*generation{{a, b}, {b, a}} {
		g, other := pair[0], pair[1]
		if g == nil || g.seq == 0 {
			continue
		}
		if err := guard(func() error { return errors.Join(read(g.db), g.fault()) }); err != nil {
			faults = append(faults, fmt.Errorf("generation %s: %w", g.name, err))
			continue
		}
		for _, f := range faults {
			if f != nil {
				s.damages.Add(1)
				s.log.Error("config: a generation cannot be read; serving from the other", "serving", g.name,
					"commit", g.seq, "error", f)
			}
		}
		return s.begin(g, other, other != nil && other.fault() != nil)
	}
	return s.without(read, errors.Join(faults...), a, b)
}

// without begins a configuration where no generation can be served.
func (s *store) without(read func(*pebble.DB) error, fault error, a, b *generation) error {
	fresh, err := unused(a, b)
	fault = errors.Join(fault, err)
	if err := errors.Join(a.close(), b.close()); err != nil {
		s.log.Warn("config: close", "error", err)
	}
	if passing(fault) {
		return fmt.Errorf("read %s: %w", s.dir, fault)
	}
	if fault == nil && fresh && !s.hasAside() {
		return s.create()
	}
	s.damages.Add(2)
	s.log.Error("config: both generations are damaged; the edge answers nothing until a control node has told it "+
		"everything again",
		"dir", s.dir, "error", fault)
	if err := s.anew(); err != nil {
		return err
	}
	return read(s.live.db)
}

// passing reports whether files may be whole that could not be read.
func passing(err error) bool {
	for _, e := range []error{
		fs.ErrPermission, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOSPC,
		syscall.EROFS,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// unused reports whether generations hold nothing at all, as after a first start that
// was interrupted.
func unused(gs ...*generation) (bool, error) {
	for _, g := range gs {
		if g == nil {
			continue
		}
		var empty bool
		err := guard(func() (err error) {
			empty, err = g.empty()
			return err
		})
		if !empty || err != nil {
			return false, err
		}
	}
	return true, nil
}

// create begins an empty configuration; on a full disk in memory, until wake.
func (s *store) create() error {
	if s.readOnly {
		live, err := s.openOn(vfs.NewMem(), "a", false)
		if err != nil {
			return err
		}
		return s.begin(live, nil, false)
	}
	live, err := s.openGeneration("a", true)
	if err != nil {
		return err
	}
	if err := syncDir(s.fs, s.dir); err != nil {
		return errors.Join(err, live.close())
	}
	return s.complete(live)
}

// complete makes a new generation one that a start may choose, and serves from it.
func (s *store) complete(live *generation) error {
	b := live.db.NewBatch()
	defer b.Close()
	if err := errors.Join(live.number(b, 1), b.Commit(pebble.Sync)); err != nil {
		return errors.Join(err, live.close())
	}
	live.seq = 1
	return s.begin(live, nil, false)
}

// begin serves from live. The other generation is the spare if it has the same commits,
// else it is made anew.
func (s *store) begin(live, other *generation, damaged bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = live
	s.mu.seq = live.seq
	s.mu.synced = time.Now()
	if other != nil && other.seq == live.seq && !damaged && !s.readOnly {
		s.mu.spare = other
		other.reading.Add(1)
		s.work.Go(func() { s.verifySpare(other) })
		return nil
	}
	if err := other.close(); err != nil {
		s.log.Warn("config: close the old generation", "error", err)
	}
	if !s.readOnly {
		s.startSpareLocked(nil)
	}
	return nil
}

// commit makes a batch durable in the live generation and writes it to the spare; it
// closes the batch. An urgent batch is durable in both.
func (s *store) commit(b *pebble.Batch, urgent bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer b.Close()
	s.mu.seq++
	if err := s.live.number(b, s.mu.seq); err != nil {
		return err
	}
	repr := append([]byte(nil), b.Repr()...)
	if err := b.Commit(s.sync); err != nil {
		return fmt.Errorf("commit to generation %s: %w", s.live.name, err)
	}
	s.mirrorLocked(repr, urgent)
	return s.live.committed()
}

// note writes what may be lost, to the live generation only.
func (s *store) note(key, value []byte) error { return s.live.db.Set(key, value, pebble.NoSync) }

// close makes both generations complete and closes them.
func (s *store) close() error {
	close(s.stop)
	s.work.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.mu.spare != nil {
		err = errors.Join(s.mu.spare.db.LogData(nil, pebble.Sync), s.mu.spare.close())
	}
	err = errors.Join(err, s.live.close())
	s.cache.Unref()
	return errors.Join(err, s.lock.Close())
}
