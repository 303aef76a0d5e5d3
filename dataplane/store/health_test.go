package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestHealthTellsOfWork: each kind with when it succeeded last and how often it failed, the
// oldest epoch key, the segments by state.
func TestHealthTellsOfWork(t *testing.T) {
	clock := &testClock{now: time.Unix(1_700_000_000, 0)}
	o := testOptions(vfs.NewMem())
	o.Clock = clock.clock()
	s := open(t, o)
	defer s.Close()
	if h := s.Health(); len(h.Works) != 7 || !h.Works[0].Last.IsZero() || !h.OldestEpoch.IsZero() {
		t.Errorf("before any work: %+v", h)
	}
	put(t, at(t, s, space1), "a", pattern(100_000, 1))
	maintain(t, s)
	boom := errors.New("boom")
	err := s.works.run(t.Context(), "sweep", s.now, func(context.Context) error { return boom })
	if !errors.Is(err, boom) {
		t.Error(err)
	}
	h := s.Health()
	for _, w := range h.Works {
		switch {
		case w.Name == "scrub" && !w.Last.IsZero(), w.Name != "scrub" && !w.Last.Equal(clock.now),
			(w.Name == "sweep") != (w.Failed == 1 && w.Failure == "boom"):
			t.Errorf("%+v", w)
		}
	}
	if want := time.Unix(1_700_000_000/86400*86400, 0); !h.OldestEpoch.Equal(want) {
		t.Errorf("the oldest epoch key is of %s, want %s", h.OldestEpoch, want)
	}
	if h.Segments["active"] != 1 || h.Segments["held"] != 0 {
		t.Errorf("segments %v", h.Segments)
	}
}

// TestAStoreWhoseWritesHangIsNotReady, nor is one that only reads, or holds writes back.
func TestAStoreWhoseWritesHangIsNotReady(t *testing.T) {
	s, _ := openMem(t)
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s.pressure.watch(now.Add(-hangs), true, 7, 6)
	if err := s.Ready(); err == nil {
		t.Error("a write hangs")
	}
	s.pressure.watch(now, true, 8, 7) // one came back
	if err := s.Ready(); err != nil {
		t.Error(err)
	}
	s.pressure.watch(now.Add(-time.Hour), false, 8, 8)
	s.pressure.set(3, mostSublevels, nil)
	if err := s.Ready(); !errors.Is(err, ErrBusy) {
		t.Error(err)
	}
	s.pressure.set(0, 0, nil)
	_ = s.fail(errors.New("a sync failed"))
	if err := s.Ready(); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
}
