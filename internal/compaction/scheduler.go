// Package compaction says when a Pebble database may compact: as many at once as the
// database itself allows, like Pebble's own scheduler, but without a timer that ticks
// while nothing is to be done. Pebble's ticks ten times a second for each database,
// which is most of what an idle process costs.
//
// A Scheduler belongs to one database. Its lock guards its own state only; it is never
// held while the database is asked for a compaction, since that takes the database's.
package compaction

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// sampleEvery is how often a database whose compaction was refused is asked again, as
// what it allows follows the amount of work that waits. Pebble's own interval.
const sampleEvery = 100 * time.Millisecond

// Scheduler is a pebble.CompactionScheduler.
type Scheduler struct {
	db pebble.DBForCompaction // set once, by Register

	mu struct {
		sync.Mutex
		running  int    // compactions with a grant
		waiting  bool   // a compaction was refused, and waits for a grant
		refusals uint64 // so far
		granting bool   // one goroutine at a time hands out grants
		closed   bool
		ended    sync.Cond // granting became false
		timer    *time.Timer
	}
}

// New returns a scheduler for one database.
func New() *Scheduler {
	s := &Scheduler{}
	s.mu.ended.L = &s.mu.Mutex
	return s
}

// Register is called by the database when it opens.
func (s *Scheduler) Register(_ int, db pebble.DBForCompaction) { s.db = db }

// Unregister is called by the database when it closes. The scheduler does not call it
// any more once this returns.
func (s *Scheduler) Unregister() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.closed = true
	if s.mu.timer != nil {
		s.mu.timer.Stop()
	}
	for s.mu.granting {
		s.mu.ended.Wait()
	}
}

// TrySchedule grants a compaction if the database allows one more.
func (s *Scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false, nil
	}
	if s.db.GetAllowedWithoutPermission() <= s.mu.running {
		s.mu.waiting = true
		s.mu.refusals++
		s.sampleLocked(sampleEvery)
		return false, nil
	}
	s.mu.running++
	return true, s
}

// UpdateGetAllowedWithoutPermission is called by the database, which may hold its own
// lock, when what it allows may have grown.
func (s *Scheduler) UpdateGetAllowedWithoutPermission() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.waiting && !s.mu.closed {
		s.sampleLocked(0)
	}
}

// Started, MeasureCPU and CumulativeStats belong to the handle of a grant. Nothing here
// follows what a compaction costs.
func (s *Scheduler) Started() {}

// MeasureCPU does nothing.
func (s *Scheduler) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats does nothing.
func (s *Scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done is called when a granted compaction has ended.
func (s *Scheduler) Done() {
	s.mu.Lock()
	s.mu.running--
	s.mu.Unlock()
	s.grant()
}

// sampleLocked has grant called after d, on a goroutine of its own.
func (s *Scheduler) sampleLocked(d time.Duration) {
	if s.mu.timer == nil {
		s.mu.timer = time.AfterFunc(d, s.grant)
		return
	}
	s.mu.timer.Reset(d)
}

// grant hands out what the database allows now, as long as it has compactions waiting.
// While one waits that is not allowed, it is called again later.
func (s *Scheduler) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.mu.granting {
		s.mu.ended.Wait()
	}
	if s.mu.closed {
		return
	}
	s.mu.granting = true
	for !s.mu.closed && s.db.GetAllowedWithoutPermission() > s.mu.running {
		before := s.mu.refusals
		s.mu.running++
		s.mu.Unlock()
		accepted := s.offer()
		s.mu.Lock()
		if accepted {
			continue
		}
		s.mu.running--
		// What was refused since the database was asked still waits: it will not ask again.
		s.mu.waiting = s.mu.waiting && s.mu.refusals != before
		break
	}
	if s.mu.waiting && !s.mu.closed {
		s.sampleLocked(sampleEvery)
	}
	s.mu.granting = false
	s.mu.ended.Broadcast()
}

// offer gives the database a grant, if it has a compaction to use it for.
func (s *Scheduler) offer() bool {
	waiting, _ := s.db.GetWaitingCompaction()
	return waiting && s.db.Schedule(s)
}
