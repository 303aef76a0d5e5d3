package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// heard is what a scrub or a check told of damage.
type heard []*Damaged

func (d *heard) hear(_ Progress, one *Damaged) {
	if one != nil {
		*d = append(*d, one)
	}
}

func (d heard) has(kind DamageKind, text string) bool {
	for _, one := range d {
		if one.Kind == kind && strings.Contains(one.Name(), text) {
			return true
		}
	}
	return false
}

// TestACheckGoesOnBehindARottenBlock: the block is told with the keys that it lies between,
// every row behind it is read, a body that does not open is named by its key, and what could
// not be looked at is not called whole.
func TestACheckGoesOnBehindARottenBlock(t *testing.T) {
	var file string
	var at int64
	r := newRotten(t, func(p *Space) {
		put(t, p, "spoilt", pattern(100<<10, 3))
		ref, ok, err := p.s.place(get1(t, p, "spoilt").Body.extents[0].id)
		if err != nil || !ok {
			t.Fatal(err)
		}
		file, at = fmt.Sprintf("store/segments/%08d.seg", ref.Segment), int64(ref.Page)*4096+50_000
	})
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, r.fs, file, at)
	var d heard
	got, err := Check(context.Background(), r.opt, d.hear)
	if err != nil {
		t.Fatal(err)
	}
	if !d.has(DamagedRange, "key ") || !d.has(DamagedExtent, `"spoilt"`) || !d.has("", "the counts of") {
		for _, one := range d {
			t.Error(one)
		}
		t.Fatal("the rotten block, the body by its key and the counts are wanted")
	}
	if got.Rows < 500 || got.Rows > 1000 || got.Damaged != uint64(len(d)) {
		t.Errorf("%d rows were read, %d damaged of %d that were told", got.Rows, got.Damaged, len(d))
	}
	var again heard
	if _, err := Check(context.Background(), r.opt, again.hear); err != nil || len(again) != len(d) {
		t.Errorf("a second check told of %d, the first of %d: %v", len(again), len(d), err)
	}
}

// TestAScrubGoesOnBehindARottenBlock: of a store that runs.
func TestAScrubGoesOnBehindARottenBlock(t *testing.T) {
	r := newRotten(t)
	defer func() { _ = r.s.Close() }()
	var d heard
	got, err := r.s.Scrub(context.Background(), d.hear)
	if err != nil && !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	if got.Rows < 500 || got.Rows > 1000 || len(d) == 0 {
		t.Errorf("%d rows were read, %d damages told", got.Rows, len(d))
	}
	if len(r.s.Damage()) == 0 {
		t.Error("the ledger has nothing of it")
	}
}

// TestRowsThatAreGoneAreNotBegunAnew: a store without its rows, and without its floor, opens
// for nobody while it has bodies, and changes nothing of them.
func TestRowsThatAreGoneAreNotBegunAnew(t *testing.T) {
	for _, how := range []string{"gone", "empty"} {
		fs := vfs.NewMem()
		o := testOptions(fs)
		s := open(t, o)
		p := at(t, s, space1)
		put(t, p, "kept", pattern(100<<10, 3))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		segmentFile := filesOf(t, fs, "store/segments")[0]
		before := contentOf(t, fs, segmentFile)
		if err := errors.Join(fs.RemoveAll("store/rows"), fs.Remove("store/floor")); err != nil {
			t.Fatal(err)
		}
		if how == "empty" {
			if err := fs.MkdirAll("store/rows", 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for what, try := range map[string]func() error{
			"open": func() error {
				s, err := Open(o)
				if err == nil {
					_ = s.Close()
				}
				return err
			},
			"check":   func() error { _, err := Check(context.Background(), o, nil); return err },
			"rebuild": func() error { _, err := Rebuild(context.Background(), o, nil); return err },
		} {
			var d *Damaged
			err := try()
			if !errors.As(err, &d) || !strings.Contains(err.Error(), "put it back") {
				t.Errorf("%s, rows %s: %v", what, how, err)
			}
			if what == "rebuild" && !strings.Contains(err.Error(), "no row needs: 1 extents of 10") {
				t.Errorf("it does not say how much nobody needs: %v", err)
			}
		}
		if !bytes.Equal(before, contentOf(t, fs, segmentFile)) {
			t.Errorf("rows %s: a segment was written to", how)
		}
	}
}

// TestWhatCanStillBeReadKeepsItsPlace: a body of which one chunk has rotted keeps its place, or gets it
// again, so that its other chunks are read. It is named by a rebuild, and by a start that lacks the index.
func TestWhatCanStillBeReadKeepsItsPlace(t *testing.T) {
	defer func(n int) { maxSpoilt = n }(maxSpoilt)
	for _, c := range []struct {
		how string
		max int // spoilt places that are kept in mind
	}{{"rebuild", maxSpoilt}, {"rebuild", 1}, {"start", maxSpoilt}} {
		maxSpoilt = c.max
		fs := vfs.NewMem()
		o := testOptions(fs)
		s := open(t, o)
		p := at(t, s, space1)
		content := pattern(300<<10, 3)
		names := []string{"spoilt", "spoilt too"}
		var ids []ID
		for _, name := range names {
			put(t, p, name, content)
			id := get1(t, p, name).Body.extents[0].id
			ids = append(ids, id)
			ref, ok, err := s.place(id)
			if err != nil || !ok {
				t.Fatal(err)
			}
			flip(t, fs, fmt.Sprintf("store/segments/%08d.seg", ref.Segment), int64(ref.Page)*4096+200_000)
		}
		put(t, p, "whole", content)
		if c.how == "start" {
			from := []byte{tagLocal, localExtent}
			if err := s.db.DeleteRange(from, after(from), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		var d heard
		if c.how == "rebuild" {
			if _, err := Rebuild(t.Context(), o, d.hear); err != nil || !d.has(DamagedExtent, "extent") {
				t.Fatalf("%v, told %v", err, d)
			}
		}
		s = open(t, o)
		p = at(t, s, space1)
		if c.how == "start" {
			for _, id := range ids {
				if !slices.ContainsFunc(s.Damage(), func(d Damage) bool { return d.Extent == id }) {
					t.Errorf("%x is not named: %+v", id, s.Damage())
				}
			}
		}
		wantBody(t, p, "whole", content)
		for _, name := range names {
			got, err := readRange(p, get1(t, p, name).Body, 0, 64<<10)
			if err != nil || !bytes.Equal(got, content[:64<<10]) {
				t.Errorf("%+v: the chunks that are whole: %d octets, %v", c, len(got), err)
			}
		}
		s.Close()
	}
}

// TestACheckReadsWhatLiesBeforeARottenFirstBlock: a small table whose only block has rotted
// hides nothing of the tables beside it.
func TestACheckReadsWhatLiesBeforeARottenFirstBlock(t *testing.T) {
	fs := vfs.NewMem()
	opt := testOptions(fs)
	s := open(t, opt)
	p := at(t, s, space1)
	w := func(i int) {
		k := fmt.Sprintf("key %04d", i)
		commit(t, p, Op{Kind: Put, Key: []byte(k), Tag: []byte(k), Value: pattern(100, 1), Counts: true})
	}
	for i := range 1000 {
		w(i)
	}
	if err := s.db.Compact(context.Background(), []byte{0}, []byte{0xFF}, false); err != nil {
		t.Fatal(err)
	}
	for i := 2000; i < 2010; i++ {
		w(i)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flipRow(t, fs, "key 2005", true)
	var d heard
	got, err := Check(context.Background(), opt, d.hear)
	if err != nil || got.Rows < 1000 {
		t.Errorf("%d rows were read of 1000 that can be, %v; told: %v", got.Rows, err, d)
	}
}
