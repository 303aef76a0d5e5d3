package compaction

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// database allows some compactions at once, and has some that wait.
type database struct {
	mu      sync.Mutex
	allowed int
	waiting int
	started int
	asked   int
}

func (d *database) GetAllowedWithoutPermission() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.allowed
}

func (d *database) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting > 0, pebble.WaitingCompaction{}
}

func (d *database) Schedule(pebble.CompactionGrantHandle) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == 0 {
		return false
	}
	d.waiting--
	d.started++
	return true
}

func (d *database) set(allowed, waiting int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.allowed, d.waiting = allowed, waiting
}

func (d *database) begun() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.started
}

// TestRefusedCompactionIsGrantedLater: when another ends, and when more are allowed.
func TestRefusedCompactionIsGrantedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &database{allowed: 1}, New()
		s.Register(1, d)
		defer s.Unregister()
		ok, handle := s.TrySchedule()
		if !ok {
			t.Fatal("the first was refused")
		}
		if ok, _ := s.TrySchedule(); ok {
			t.Fatal("a second was granted where one is allowed")
		}
		d.set(1, 3)
		handle.Done()
		if d.begun() != 1 {
			t.Fatalf("%d begun after the first had ended", d.begun())
		}
		d.set(2, 2)
		time.Sleep(2 * sampleEvery)
		if d.begun() != 2 {
			t.Fatalf("%d begun after two were allowed", d.begun())
		}
	})
}

// TestIdleSchedulerAsksNothing: nothing ticks while no compaction waits.
func TestIdleSchedulerAsksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &database{allowed: 1}, New()
		s.Register(1, d)
		defer s.Unregister()
		ok, handle := s.TrySchedule()
		if !ok {
			t.Fatal("refused")
		}
		if ok, _ := s.TrySchedule(); ok {
			t.Fatal("a second was granted where one is allowed")
		}
		handle.Done() // and nothing waits in truth
		time.Sleep(2 * sampleEvery)
		d.mu.Lock()
		before := d.asked
		d.mu.Unlock()
		time.Sleep(time.Hour)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.asked != before {
			t.Errorf("asked %d times in an idle hour", d.asked-before)
		}
	})
}

// TestDatabaseCompacts: a real database under writes keeps its levels in shape.
func TestDatabaseCompacts(t *testing.T) {
	o := &pebble.Options{FS: vfs.NewMem(), MemTableSize: 64 << 10, L0CompactionThreshold: 2}
	o.Experimental.CompactionScheduler = New()
	db, err := pebble.Open("db", o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	value := make([]byte, 512)
	for i := range 20_000 {
		if err := db.Set(fmt.Appendf(nil, "%08d", i*7919%20_000), value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		m := db.Metrics()
		if m.Compact.Count > 0 && m.Compact.NumInProgress == 0 && m.Levels[0].Sublevels < 4 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute:\n%v", m)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
