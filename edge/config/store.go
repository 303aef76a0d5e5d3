package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/diskroom"
)

// errDamaged is content that no version of ours wrote.
var errDamaged = errors.New("damaged")

// ErrLost: there is a configuration here and none of its generations can be read.
var ErrLost = errors.New("both generations of the configuration are unreadable")

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
// mu guards what follows it, and is held while something is committed; only one
// goroutine commits.
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
// generation that is chosen is handed to read, which is called again for the other
// should the first be damaged.
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

// choose opens both generations and takes the newer one that can be read throughout.
func (s *store) choose(read func(*pebble.DB) error) error {
	a, aerr := s.openGeneration("a", false)
	b, berr := s.openGeneration("b", false)
	if a != nil && b != nil && b.seq > a.seq {
		a, b = b, a
	} else if a == nil {
		a, b = b, a
	}
	var faults []error
	for _, pair := range [2][2]*generation{{a, b}, {b, a}} {
		g, other := pair[0], pair[1]
		if g == nil || g.seq == 0 {
			continue
		}
		if err := readAll(g, read); err != nil {
			faults = append(faults, fmt.Errorf("generation %s: %w", g.name, err))
			continue
		}
		for _, f := range append(faults, aerr, berr) {
			if f != nil {
				s.log.Error("config: a generation cannot be read; serving from the other", "serving", g.name, "revision commit", g.seq, "error", f)
			}
		}
		return s.begin(g, other, len(faults) > 0)
	}
	fresh, err := unused(a, b)
	faults = append(faults, aerr, berr, err)
	err = errors.Join(faults...)
	if err == nil && fresh {
		if s.readOnly {
			return errors.Join(fmt.Errorf("begin %s: %w", s.dir, errFull), a.close(), b.close())
		}
		return s.create(a, b)
	}
	return errors.Join(fmt.Errorf("%w in %s; move it away and start again, and the edge fetches everything from a control node", ErrLost, s.dir), err, a.close(), b.close())
}

// readAll reads a generation; damage that makes Pebble panic is an error like any other.
func readAll(g *generation, read func(*pebble.DB) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return read(g.db)
}

// unused reports whether generations hold nothing at all, as after a first start that
// was interrupted.
func unused(gs ...*generation) (bool, error) {
	for _, g := range gs {
		if g == nil {
			continue
		}
		if empty, err := g.empty(); !empty || err != nil {
			return false, err
		}
	}
	return true, nil
}

// create begins an empty configuration.
func (s *store) create(a, b *generation) error {
	if err := errors.Join(a.close(), b.close()); err != nil {
		return err
	}
	live, err := s.openGeneration("a", true)
	if err != nil {
		return err
	}
	if err := errors.Join(syncDir(s.fs, s.dir), live.db.Set(keySeq, number(1), pebble.Sync)); err != nil {
		return errors.Join(err, live.close())
	}
	live.seq = 1
	return s.begin(live, nil, false)
}

// begin serves from live. The other generation is the spare if it has the same commits,
// else it is made anew.
func (s *store) begin(live, other *generation, damaged bool) error {
	s.live = live
	s.mu.seq = live.seq
	s.mu.synced = time.Now()
	if s.readOnly {
		return other.close()
	}
	if other != nil && other.seq == live.seq && !damaged {
		s.mu.spare = other
		s.work.Go(func() { s.verifySpare(other) })
		return nil
	}
	if err := other.close(); err != nil {
		s.log.Warn("config: close the old generation", "generation", other.name, "error", err)
	}
	s.startSpare()
	return nil
}

// commit makes a batch durable in the live generation and writes it to the spare; it
// closes the batch. An urgent batch is durable in both.
func (s *store) commit(b *pebble.Batch, urgent bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer b.Close()
	s.mu.seq++
	if err := b.Set(keySeq, number(s.mu.seq), nil); err != nil {
		return err
	}
	repr := append([]byte(nil), b.Repr()...)
	if err := b.Commit(s.sync); err != nil {
		return fmt.Errorf("commit to generation %s: %w", s.live.name, err)
	}
	s.mirrorLocked(repr, urgent)
	return nil
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
