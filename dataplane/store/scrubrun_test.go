package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ending is a context that ends when it was asked so often.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// TestAScrubGoesOnWhereItWasInterrupted, after a restart too: nothing is looked at twice but the
// record that it stopped at, what it had found is told with its row, and the result is kept.
func TestAScrubGoesOnWhereItWasInterrupted(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs)
	o.MoveRate = -1
	s := open(t, o)
	p := at(t, s, space1)
	const bodies = 20
	for i := range bodies {
		put(t, p, fmt.Sprintf("k%02d", i), pattern(100_000, byte(i)))
	}
	for i := range bodies {
		place, _, _ := s.place(get1(t, p, fmt.Sprintf("k%02d", i)).Body.extents[0].id)
		flip(t, fs, fmt.Sprintf("store/segments/%08d.seg", place.Segment), int64(place.Page)*4096+96+50_000)
	}
	told, runs, looked := map[string]int{}, 0, uint64(0)
	for {
		before := uint64(0)
		if _, going := s.ledger.runs(); going.Rows > 0 {
			before = going.Rows + going.Extents
		}
		got, err := s.Scrub(&ending{context.Background(), 8 << runs}, func(_ Progress, d *Damaged) {
			if d != nil {
				told[string(d.Key)]++
			}
		})
		looked += got.Rows + got.Extents - before
		if runs++; err == nil {
			break
		}
		if runs > 100 {
			t.Fatal("it comes to no end:", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, o)
	}
	if runs < 3 || looked > uint64(2*bodies+runs) {
		t.Errorf("%d records were looked at in %d runs", looked, runs)
	}
	if len(told) != bodies || len(s.Damage()) != bodies {
		t.Errorf("%d told, %d kept: %v", len(told), len(s.Damage()), told)
	}
	for _, d := range s.Damage() {
		if d.Key == nil {
			t.Errorf("%s has no key", &d.Thing)
		}
	}
	s.Close()
	s = open(t, o)
	if st := s.Stats(); st.Scrubbed.IsZero() || st.ScrubDamaged != bodies || st.Progress != 0 {
		t.Errorf("after a restart: %+v", st)
	}
	s.Close()
}
