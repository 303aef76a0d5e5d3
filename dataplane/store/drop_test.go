package store

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// dropped gives up what is damaged, and then wants a check that finds nothing.
func dropped(t *testing.T, o Options) (d heard) {
	t.Helper()
	if _, err := Drop(context.Background(), o, d.hear); err != nil {
		t.Fatal(err)
	}
	var left heard
	if _, err := Check(context.Background(), o, left.hear); err != nil || len(left) != 0 {
		for _, one := range left {
			t.Error(one)
		}
		t.Fatalf("after dropping: %d damaged, %v", len(left), err)
	}
	return d
}

// TestDropGivesUpARottenBlock: its keys can be written and are not there, the counts agree, and
// what the others have is as it was.
func TestDropGivesUpARottenBlock(t *testing.T) {
	r := newRotten(t, func(p *Space) {
		for i := range 3 { // versions over a row of the block, and a body that it shares
			put(t, p, "body", pattern(100<<10, byte(i)))
			commit(t, p, Op{Kind: Stack, Key: []byte("versions"), Body: get1(t, p, "body").Body, Size: 100 << 10})
		}
	})
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	d := dropped(t, r.opt)
	if !d.has(DamagedRange, "key ") {
		t.Errorf("the range is not told: %v", d)
	}
	r.open(t)
	defer func() { _ = r.s.Close() }()
	gone := 0
	for _, k := range r.keys {
		row, err := r.p.Get(context.Background(), []byte(k), Current)
		switch {
		case errors.Is(err, ErrNotFound):
			gone++
		case err != nil || string(row.Tag) != k:
			t.Fatalf("%s: %q, %v", k, row.Tag, err)
		}
	}
	u, err := r.p.Usage()
	if err != nil || gone == 0 || gone > 500 || u.Rows+u.Others != uint64(len(r.keys)-gone+1+3) {
		t.Errorf("%d keys are gone, usage %+v, %v", gone, u, err)
	}
	commit(t, r.p, Op{Kind: Put, Key: []byte(rottenKey), Tag: []byte("new")})
	if got := r.s.Damage(); len(got) != 0 {
		t.Errorf("the ledger still has %+v", got)
	}
}

// TestDropGivesUpObjects: those whose bodies do not open, each row that shares one, and a row
// that does not open; their space is used again.
func TestDropGivesUpObjects(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs)
	s := open(t, o)
	p := at(t, s, space1)
	for i := range 6 {
		put(t, p, fmt.Sprint("k", i), pattern(100_000, byte(i)))
	}
	commit(t, p, Op{Kind: Put, Key: []byte("copy of k1"), Body: get1(t, p, "k1").Body, Size: 100_000, Counts: true})
	commit(t, p, Op{Kind: Stack, Key: []byte("k4"), Body: get1(t, p, "k1").Body, Size: 100_000, Counts: true})
	place, _, _ := s.place(get1(t, p, "k1").Body.extents[0].id)
	spoil(t, s, appendVersion(appendKey(nil, tagRow, p.id, []byte("k2")), get1(t, p, "k2").Version))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, fs, fmt.Sprintf("store/segments/%08d.seg", place.Segment), int64(place.Page)*4096+96+50_000)
	d := dropped(t, o)
	for _, key := range []string{`"k1"`, `"copy of k1"`, `"k2"`, `"k4"`} {
		if !d.has("", key) && !d.has(DamagedExtent, key) && !d.has(DamagedRow, key) {
			t.Errorf("%s is not told", key)
		}
	}
	s = open(t, o)
	defer func() { _ = s.Close() }()
	p = at(t, s, space1)
	for i := range 6 {
		_, err := p.Get(context.Background(), fmt.Append(nil, "k", i), Current)
		if lost := i == 1 || i == 2; lost != errors.Is(err, ErrNotFound) || !lost && err != nil {
			t.Errorf("k%d: %v", i, err)
		}
	}
	wantBody(t, p, "k4", pattern(100_000, 4)) // its older version is the current one now
	if u, err := p.Usage(); err != nil || u.Rows+u.Others != 4 {
		t.Errorf("usage %+v, %v", u, err)
	}
	if n := s.files.Stats().Extents; n != 4 {
		t.Errorf("%d extents are kept", n)
	}
}
