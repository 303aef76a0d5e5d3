package store

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// fault is why the store only reads, once it does. After a failed sync nobody knows what
// is on the disk, so nothing is written, and no sync tried, until a restart has read it
// again. closing ends what Pebble cannot go on with.
type fault struct {
	mu struct {
		sync.RWMutex
		err error
	}
	fatal   chan struct{} // closed when Pebble cannot go on
	closing chan struct{} // closed by Close
	once    sync.Once
}

func newFault() *fault {
	return &fault{fatal: make(chan struct{}), closing: make(chan struct{})}
}

func (f *fault) reason() error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.mu.err
}

// fail makes the store read-only and gives the first reason.
func (s *Store) fail(err error) error {
	defer s.durable.wake()
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	if s.fault.mu.err == nil {
		s.fault.mu.err = fmt.Errorf("%w: %w", ErrReadOnly, err)
		s.opt.Logger.Error("the store only reads until it is restarted", "dir", s.opt.Dir, "error", err)
	}
	return s.fault.mu.err
}

// writable says whether anything may be written.
func (s *Store) writable() error {
	if err := s.fault.reason(); err != nil {
		return err
	}
	if s.files != nil {
		if err := s.files.Err(); err != nil {
			return s.fail(err)
		}
	}
	return nil
}

// fatalError is what Fatalf throws to guarded.
type fatalError struct{ err error }

// write writes to the rows' database. It waits while a range is being set aside.
func (s *Store) write(f func() error) error {
	s.writes.RLock()
	defer s.writes.RUnlock()
	return s.guarded(f)
}

// guarded calls Pebble where it may say that it cannot go on.
func (s *Store) guarded(f func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case fatalError:
			err = s.fail(r.err)
		case runtime.Error:
			panic(r)
		case error: // Pebble panics with the error of a write to its log
			s.fault.once.Do(func() { close(s.fault.fatal) })
			err = s.fail(r)
		default:
			panic(r)
		}
	}()
	return f()
}

// pebbleLog hears what Pebble says.
type pebbleLog struct{ s *Store }

func (l pebbleLog) Infof(string, ...any) {}

func (l pebbleLog) Errorf(format string, args ...any) {
	l.s.opt.Logger.Warn("rows: " + fmt.Sprintf(format, args...))
}

// damages counts what Pebble tells of damaged files. Where it met one in its own work, it
// tries again at once and for ever: of a file that it told of often in a minute it must
// wait, and only the first time is logged.
type damages struct {
	mu struct {
		sync.Mutex
		since time.Time
		told  map[string]int
	}
}

const (
	damagesEvery = time.Minute
	damagesFree  = 100
	damagesPause = 50 * time.Millisecond
)

// count says how often a file was told of in this minute.
func (d *damages) count(file string, now time.Time) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.mu.since) > damagesEvery || len(d.mu.told) > maxCached {
		d.mu.since, d.mu.told = now, map[string]int{}
	}
	d.mu.told[file]++
	return d.mu.told[file]
}

// damaged is told of by whoever met it, Pebble's own goroutines among them.
func (l pebbleLog) damaged(i pebble.DataCorruptionInfo) {
	n := l.s.damages.count(i.Path, time.Now())
	if n == 1 {
		l.Errorf("damaged: %s", i)
		_ = l.s.ledger.enter(tableThing(&i), fmt.Sprint(i.Details), l.s.now())
	}
	l.s.ailing.report(i.Path)
	if n <= damagesFree {
		return
	}
	wait := time.NewTimer(damagesPause)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-l.s.fault.closing:
	}
}

// Fatalf is called where Pebble cannot go on, as when its manifest cannot be written, and
// must not return. The store only reads from then on: a caller of ours gets an error, a
// goroutine of Pebble's stops where it is until Close.
func (l pebbleLog) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	l.s.fault.once.Do(func() { close(l.s.fault.fatal) })
	_ = l.s.fail(err)
	if inGuarded() {
		panic(fatalError{err})
	}
	<-l.s.fault.closing
	runtime.Goexit()
}

// inGuarded says whether this goroutine came through guarded.
func inGuarded() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "store.(*Store).guarded") {
			return true
		}
		if !more {
			return false
		}
	}
}
