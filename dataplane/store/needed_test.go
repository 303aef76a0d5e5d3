package store

import (
	"errors"
	"fmt"
	"testing"
)

// TestOneLostExtentHoldsNoSegmentBack: what is lost for good is recorded as such, and what
// the segments do not need any more is used again, at this start and later ones.
func TestOneLostExtentHoldsNoSegmentBack(t *testing.T) {
	r := newRotten(t)
	put(t, r.p, "lost", pattern(100_000, 1))
	put(t, r.p, "found", pattern(100_000, 2))
	lost, found := get1(t, r.p, "lost").Body.extents[0].id, get1(t, r.p, "found").Body.extents[0].id
	at, _, err := r.s.place(lost)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []ID{lost, found} { // the places of both, and the octets of one
		if err := r.s.db.Delete(placeKey(id), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, r.fs, fmt.Sprintf("store/segments/%08d.seg", at.Segment), int64(at.Page)*smallPage)
	for range 2 {
		r.open(t)
		wantBody(t, r.p, "found", pattern(100_000, 2))
		var d *Damaged
		if _, err := read(r.p, get1(t, r.p, "lost").Body, Sealing{}); !errors.As(err, &d) || d.Extent != lost {
			t.Fatal(err)
		}
		isLost := func(id ID) bool { return r.s.ledger.isLost(Thing{Kind: DamagedExtent, Extent: id}) }
		if !isLost(lost) || isLost(found) {
			t.Fatalf("%+v", r.s.Damage())
		}
		for _, s := range r.s.files.Stats().Segments {
			if s.State == "held" {
				t.Fatalf("segment %d is not used again", s.Number)
			}
		}
		if err := r.s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r.open(t)
	commit(t, r.p, Op{Kind: Delete, Key: []byte("lost")})
	if r.s.ledger.isLost(Thing{Kind: DamagedExtent, Extent: lost}) {
		t.Fatal("what was deleted is damaged")
	}
}
