package publisher

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/kind"
)

// TestSystemRecordsFollowTheTime: they are published with the first resource, then when
// their value is another one, with no resource changing, and not otherwise.
func TestSystemRecordsFollowTheTime(t *testing.T) {
	w := newWorld(t)
	w.note("a", "1", "x")
	p := w.publisher("one")
	value := "monday"
	p.System = func(time.Time) ([]kind.Record, error) {
		return []kind.Record{{Kind: "k", Stream: "role/edge", Name: "n", Lane: kind.LaneData, Value: []byte(value)}},
			nil
	}
	last := uint64(0)
	for i, c := range []struct {
		value string
		more  bool
	}{{"monday", true}, {"monday", false}, {"tuesday", true}, {"tuesday", false}} {
		value = c.value
		if err := w.step(p); err != nil {
			t.Fatal(err)
		}
		through, _ := w.store.Through()
		if more := through > last; more != c.more {
			t.Errorf("%d: published through %d after %d", i, through, last)
		}
		last = through
		if have, err := w.store.Published("role/edge", "k", "n"); err != nil || string(have) != c.value {
			t.Errorf("%d: %q, %v", i, have, err)
		}
	}
	// A resource that changes afterwards is published as ever.
	w.note("a", "2", "y")
	if err := w.step(p); err != nil {
		t.Fatal(err)
	}
	if through, _ := w.store.Through(); through <= last || through < w.store.LastChange() {
		t.Errorf("published through %d, the last change is %d", through, w.store.LastChange())
	}
	if h, err := w.store.Head("role/edge"); err != nil || h.Revision > last {
		t.Errorf("head %v, %v", h, err)
	}
}

// TestAWakeAsksAtOnce: what follows from no change is published without waiting.
func TestAWakeAsksAtOnce(t *testing.T) {
	w := newWorld(t)
	w.note("a", "1", "x")
	p := w.publisher("one")
	wake := make(chan struct{}, 1)
	p.Wake = wake
	var value atomic.Value
	value.Store("monday")
	p.System = func(time.Time) ([]kind.Record, error) {
		return []kind.Record{{
			Kind: "k", Stream: "role/edge", Name: "n", Lane: kind.LaneData,
			Value: []byte(value.Load().(string)),
		}}, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), systemEvery/2)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	published := func(want string) {
		for {
			through, _ := w.store.Through() // first: what is published after it ends the wait
			if have, _ := w.store.Published("role/edge", "k", "n"); string(have) == want {
				return
			}
			if err := w.store.WaitPublished(ctx, through); err != nil {
				t.Errorf("%q: %v", want, err)
				return
			}
		}
	}
	published("monday")
	value.Store("tuesday")
	wake <- struct{}{}
	published("tuesday")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
