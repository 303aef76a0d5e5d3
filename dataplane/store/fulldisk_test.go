package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/store/segment"
	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

// fillDisk writes bodies of 100,000 octets until the disk is full.
func fillDisk(t *testing.T, s *Store, p *Space, first int) (keys []string) {
	t.Helper()
	for i := first; i < first+1000; i++ {
		key := fmt.Sprint(i)
		b, err := write(p, Sealing{}, pattern(100_000, byte(i)), 100_000)
		if err == nil {
			_, err = p.Commit(t.Context(), putOp(key, b))
		}
		if errors.Is(err, ErrFull) {
			return keys
		}
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		s.disk.Look() // as a tenth of a second later
	}
	t.Fatal("the disk is never full")
	return nil
}

// TestAThirdThatIsDeletedCanBeWrittenAgain: on a full disk no segment is half empty then.
func TestAThirdThatIsDeletedCanBeWrittenAgain(t *testing.T) {
	fs := storetest.New()
	fs.SetFree(40 << 20)
	o := testOptions(fs)
	o.Reserve, o.SegmentSize, o.MoveRate = 4<<20, 2<<20, -1
	s := open(t, o)
	p := at(t, s, space1)
	keys := fillDisk(t, s, p, 0)
	for i := 0; i < len(keys); i += 3 {
		commit(t, p, Op{Kind: Delete, Key: []byte(keys[i])})
	}
	for range 40 { // rounds follow each other while there is something to do
		// One may meet a segment that is just being made ready, and so no room; the next has it.
		if err := s.Maintain(t.Context()); err != nil && !errors.Is(err, segment.ErrNoRoom) {
			t.Fatal(err)
		}
	}
	again := fillDisk(t, s, p, 2000)
	if len(again) < len(keys)/4 {
		t.Errorf("%d bodies fill the disk, a third is deleted, and %d fit again", len(keys), len(again))
	}
	for i, key := range keys {
		if i%3 != 0 {
			wantBody(t, p, key, pattern(100_000, byte(i)))
		}
	}
	for i, key := range again {
		wantBody(t, p, key, pattern(100_000, byte(2000+i)))
	}
	wantClean(t, s)
}

// TestCompactionLetsOthersThrough: one round moves about a segment, and all else has its turn.
func TestCompactionLetsOthersThrough(t *testing.T) {
	o := testOptions(storetest.New())
	o.SegmentSize, o.MoveRate = 1<<20, -1
	s := open(t, o)
	p, q := at(t, s, space1), at(t, s, Placement{Tenant: "other", Space: ID{2}, Cell: "here"})
	for i := range 200 {
		put(t, p, fmt.Sprint(i), pattern(100_000, byte(i)))
	}
	for i := range 200 {
		if i%5 > 1 {
			commit(t, p, Op{Kind: Delete, Key: fmt.Append(nil, i)})
		}
	}
	put(t, q, "q", pattern(1000, 1))
	before := len(s.files.Candidates(compactShare))
	maintain(t, s)
	after := len(s.files.Candidates(compactShare))
	if after == 0 || after > before-2 {
		t.Errorf("%d segments were to be emptied, and after a round %d", before, after)
	}
	if err := s.Erase(t.Context(), q.id); err != nil {
		t.Fatal(err)
	}
	maintain(t, s)
	if left := len(s.files.Candidates(compactShare)); left == 0 || left >= after {
		t.Errorf("%d segments are left to be emptied, of %d", left, after)
	}
	if n := s.files.Stats().Extents; n != 80 {
		t.Errorf("%d extents: the space that was erased has one", n)
	}
	for range before {
		maintain(t, s)
	}
	if left := len(s.files.Candidates(compactShare)); left > 2 {
		t.Errorf("%d segments are left, and at most those were to be that are chosen in the next minute", left)
	}
	wantClean(t, s)
}
