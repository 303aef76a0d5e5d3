package store

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Health is how a store does, for metrics and people.
type Health struct {
	Stats
	Dead          uint64         // octets of segments that nothing needs
	Segments      map[string]int // by state: held, active, full, empty, ready, damaged
	DamagedByKind map[DamageKind]uint64
	Works         []Work // of the background, by name
	// Level0 are the tables of the rows' first level, and Sublevels how many of them lie over
	// one another at most: writes are held back from 40 on.
	Level0, Sublevels uint64
	Compaction        string        // why the last compaction of the rows failed; empty: it did not
	Held              uint64        // times that writes were held back since the start
	Hanging           time.Duration // how long a write has not come back; 0: none hangs
	OldestEpoch       time.Time     // the day of the oldest epoch key; zero: not looked yet, or none
}

// Work is what became of one kind of background work since the start.
type Work struct {
	Name    string
	Last    time.Time // it ended without an error last; zero: never
	Failed  uint64
	Failure string // the last one; empty when it succeeded since
}

// Health tells how the store does.
func (s *Store) Health() Health {
	h := Health{Stats: s.Stats(), DamagedByKind: s.DamageCounts(), Works: s.works.all()}
	for _, kind := range damageKinds {
		h.DamagedByKind[kind] += 0 // those that are well are told, too
	}
	h.Segments = map[string]int{"held": 0, "active": 0, "full": 0, "empty": 0, "ready": 0, "damaged": 0}
	if s.gate.enter() != nil {
		return h
	}
	defer s.gate.leave()
	files := s.files.Stats()
	h.Dead = uint64(files.Dead)
	for i := range files.Segments {
		h.Segments[files.Segments[i].State]++
	}
	h.Level0, h.Sublevels = s.pressure.level0()
	if err := s.compactions.last(); err != nil {
		h.Compaction = err.Error()
	}
	h.Held, h.Hanging = s.pressure.tell(time.Now())
	h.OldestEpoch = s.works.oldest()
	return h
}

// hangs is how long a write may take before the store is not ready.
const hangs = 10 * time.Second

// Ready says why the store takes no writes now; nil when it does.
func (s *Store) Ready() error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := s.writable(); err != nil {
		return err
	}
	open, cause := s.pressure.state()
	_, hanging := s.pressure.tell(time.Now())
	switch {
	case hanging >= hangs:
		return fmt.Errorf("a write has not come back for %d s", int(hanging.Seconds()))
	case open != nil && cause != nil:
		return fmt.Errorf("%w: compactions fail: %w", ErrBusy, cause)
	case open != nil:
		return fmt.Errorf("%w: compactions do not keep up", ErrBusy)
	}
	return nil
}

// works is what became of the background work.
type works struct {
	mu struct {
		sync.Mutex
		byName map[string]*Work
		oldest time.Time
	}
}

// run does one kind of work and notes what became of it.
func (w *works) run(ctx context.Context, name string, now func() time.Time, f func(context.Context) error) error {
	err := f(ctx)
	if ctx.Err() != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.byName == nil {
		w.mu.byName = map[string]*Work{}
	}
	one := w.mu.byName[name]
	if one == nil {
		one = &Work{Name: name}
		w.mu.byName[name] = one
	}
	if err != nil {
		one.Failed++
		one.Failure = err.Error()
		return fmt.Errorf("%s: %w", name, err)
	}
	one.Last, one.Failure = now(), ""
	return nil
}

func (w *works) all() (all []Work) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range []string{"compact", "empty", "give back", "restock", "scrub", "shred", "sweep"} {
		one := w.mu.byName[name]
		if one == nil {
			one = &Work{Name: name}
		}
		all = append(all, *one)
	}
	return all
}

// sawOldest notes the oldest epoch key that there is; 0 for none.
func (w *works) sawOldest(epoch uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.oldest = time.Time{}
	if epoch != 0 {
		w.mu.oldest = time.Unix(int64(epoch)*int64(day/time.Second), 0).UTC()
	}
}

func (w *works) oldest() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.oldest
}
