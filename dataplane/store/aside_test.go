package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// rottenStore is a store whose many rows lie in tables, of which the block with one of them
// has rotted; each of the others has a body of its own.
type rottenStore struct {
	fs   vfs.FS
	opt  Options
	s    *Store
	p    *Space
	keys []string
}

const rottenKey = "key 0500"

func newRotten(t *testing.T, later ...func(*Space)) *rottenStore {
	t.Helper()
	r := &rottenStore{fs: vfs.NewMem()}
	r.opt = testOptions(r.fs)
	s := open(t, r.opt)
	p := at(t, s, space1)
	for i := range 1000 {
		r.keys = append(r.keys, fmt.Sprintf("key %04d", i))
		commit(t, p, Op{
			Kind: Put, Key: []byte(r.keys[i]), Tag: []byte(r.keys[i]), Value: pattern(100, 1),
			Counts: true,
		})
	}
	if err := s.db.Compact(context.Background(), []byte{0}, []byte{0xFF}, false); err != nil {
		t.Fatal(err)
	}
	for _, f := range later {
		f(p)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	flipRow(t, r.fs, rottenKey, true)
	r.open(t)
	return r
}

func (r *rottenStore) open(t *testing.T) {
	t.Helper()
	r.s = open(t, r.opt)
	r.p = at(t, r.s, space1)
}

// flipRow flips an octet of a row, by its tag, in the largest table or in all others. Keys share
// their beginnings; tags stand in the rows as they are.
func flipRow(t *testing.T, fs vfs.FS, key string, largest bool) {
	t.Helper()
	at, most := map[string]int{}, ""
	size := map[string]int{}
	for _, name := range filesOf(t, fs, "store/rows") {
		content := contentOf(t, fs, name)
		if i := bytes.Index(content, []byte(key)); i >= 0 && strings.HasSuffix(name, ".sst") {
			at[name], size[name] = i, len(content)
			if size[name] > size[most] {
				most = name
			}
		}
	}
	flips := 0
	for name, i := range at {
		if (name == most) == largest {
			flip(t, fs, name, int64(i))
			flips++
		}
	}
	if flips == 0 {
		t.Fatalf("no table has %q", key)
	}
}

// lost waits until the block is set aside, and gives the keys in it.
func (r *rottenStore) lost(t *testing.T) (lost []string) {
	t.Helper()
	eventually(t, "the block is set aside", func() bool {
		_, _ = r.p.Get(context.Background(), []byte(rottenKey), Current)
		return slices.ContainsFunc(r.s.Damage(), func(d Damage) bool { return d.index != 0 })
	})
	eventually(t, "no row fails otherwise", func() bool {
		lost = lost[:0]
		for _, k := range r.keys {
			_, err := r.p.Get(context.Background(), []byte(k), Current)
			if errors.Is(err, errLost) {
				lost = append(lost, k)
			} else if err != nil {
				return false
			}
		}
		return len(lost) > 0
	})
	if len(lost) > 500 {
		t.Fatalf("%d keys are lost", len(lost))
	}
	return lost
}

// TestARottenBlockCostsItsRowsAlone: others are read, all may be overwritten and deleted,
// and a list ends with an error where it is not whole.
func TestARottenBlockCostsItsRowsAlone(t *testing.T) {
	r := newRotten(t)
	lost := r.lost(t)
	ctx := context.Background()
	c := scan(t, r.p, ScanOptions{})
	n := 0
	for c.Next() {
		n++
	}
	var d *Damaged
	if !errors.As(c.Err(), &d) || d.Kind != DamagedRange || n != slices.Index(r.keys, lost[0]) {
		t.Fatalf("the list has %d keys and ends with %v", n, c.Err())
	}
	for ok := c.Seek([]byte(lost[len(lost)-1] + "\x00")); ok; ok = c.Next() {
		n++
	}
	if c.Err() != nil || n != len(r.keys)-len(lost) {
		t.Fatalf("%d keys besides those that are lost: %v", n, c.Err())
	}
	put(t, r.p, lost[0], []byte("new"))
	wantBody(t, r.p, lost[0], []byte("new"))
	op := Op{Kind: Put, Key: []byte(lost[1]), Condition: Condition{Absent: true}}
	if _, err := r.p.Commit(ctx, op); !errors.Is(err, errLost) {
		t.Fatalf("it is said not to be there: %v", err)
	}
	for _, k := range lost {
		commit(t, r.p, Op{Kind: Delete, Key: []byte(k), Idempotent: true})
		if _, err := r.p.Get(ctx, []byte(k), Current); !errors.Is(err, ErrNotFound) {
			t.Fatalf("%s after its deletion: %v", k, err)
		}
	}
}

// TestWhatWasSetAsideStaysSo after a restart, and what was written since is not.
func TestWhatWasSetAsideStaysSo(t *testing.T) {
	r := newRotten(t)
	lost := r.lost(t)
	put(t, r.p, lost[0], []byte("new"))
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	wantBody(t, r.p, lost[0], []byte("new"))
	for _, k := range lost[1:] {
		if _, err := r.p.Get(context.Background(), []byte(k), Current); !errors.Is(err, errLost) {
			t.Fatalf("%s: %v", k, err)
		}
	}
	for _, d := range r.s.Damage() {
		r.s.ledger.heal(d.From, d.To) // given up
	}
	if got := keysOf(t, scan(t, r.p, ScanOptions{})); len(got) != len(r.keys)-len(lost)+1 {
		t.Fatalf("%d keys", len(got))
	}
}

// TestARottenBlockTakesNothingNewerWithIt: rows of its keys that were written later are kept,
// and what was deleted later does not come back.
func TestARottenBlockTakesNothingNewerWithIt(t *testing.T) {
	r := newRotten(t, func(p *Space) {
		for i, k := range []string{"key 0499", rottenKey, "key 0501"} {
			op := putOp(k, body(t, p, Sealing{}, pattern(50, byte(i))))
			op.Kind = Stack
			commit(t, p, op)
		}
		commit(t, p, Op{Kind: Delete, Key: []byte("key 0502")})
	})
	r.lost(t)
	for i, k := range []string{"key 0499", rottenKey, "key 0501"} {
		wantBody(t, r.p, k, pattern(50, byte(i)))
	}
	if _, err := r.p.Get(context.Background(), []byte("key 0502"), Current); err == nil {
		t.Fatal("a deleted row is back")
	}
}

// TestADamagedBlockStopsNoWrites: the database's own work goes on, and so do writes, in the
// trial after 22,500 of which there was no answer any more.
func TestADamagedBlockStopsNoWrites(t *testing.T) {
	r := newRotten(t)
	for round := range 3 * mostSublevels {
		commit(t, r.p, Op{Kind: Put, Key: fmt.Appendf(nil, "key 05%02d", round%100)}, Op{Kind: Put, Key: []byte("z")})
		if err := r.s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "tables are compacted", func() bool { return r.s.db.Metrics().Levels[0].Sublevels < mostSublevels })
	if len(r.s.Damage()) == 0 {
		t.Fatal("nothing is told of")
	}
}

// TestABlockThatMayHaveReplacedMuchIsNotSetAside: the store only reads from then on, refuses
// writes at once, says why, and has changed nothing.
func TestABlockThatMayHaveReplacedMuchIsNotSetAside(t *testing.T) {
	r := newRotten(t)
	r.lost(t)
	var ops []Op
	for i := range 600 {
		ops = append(ops, Op{Kind: Put, Key: fmt.Appendf(nil, "large %04d", i), Value: pattern(3000, 1)})
	}
	commit(t, r.p, ops...)
	if err := r.s.db.Compact(context.Background(), []byte{0}, []byte{0xFF}, false); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a first", "z last"} {
		commit(t, r.p, Op{Kind: Put, Key: []byte(k), Tag: []byte("few and far")})
	}
	if err := r.s.Close(); err != nil {
		t.Fatal(err)
	}
	flipRow(t, r.fs, "few and far", true)
	r.open(t)
	eventually(t, "the store only reads", func() bool {
		_, _ = r.p.Get(context.Background(), []byte("z last"), Current)
		return r.s.Stats().ReadOnly != ""
	})
	_, err := r.p.Commit(context.Background(), Op{Kind: Put, Key: []byte("b")})
	if !errors.Is(err, ErrReadOnly) || !strings.Contains(err.Error(), "darkd fsck") {
		t.Fatal(err)
	}
	if row := get1(t, r.p, "large 0300"); !bytes.Equal(row.Value, pattern(3000, 1)) {
		t.Fatalf("%q", row.Value)
	}
}

// TestAWriteThatDoesNotReturnHoldsNobodyElse: statistics are given, and other writes are
// refused when their time is up.
func TestAWriteThatDoesNotReturnHoldsNobodyElse(t *testing.T) {
	s, p := openMem(t)
	put(t, p, "a", nil)
	l := s.log.(*localLog)
	l.turn <- struct{}{}
	if s.Stats().Applied == 0 {
		t.Fatal("no statistics")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.Commit(ctx, Op{Kind: Put, Key: []byte("a")}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	waitersAreRefused(t)
	l.end()
	put(t, p, "a", nil)
}

func waitersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := &localLog{s: &Store{}, turn: make(chan struct{}, 1)}
		own.turn <- struct{}{}
		if err := own.begin(t.Context()); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
		own.end()
		own.s.pressure.set(0, mostSublevels, errRecord)
		if err := own.begin(t.Context()); !errors.Is(err, ErrBusy) || !errors.Is(err, errRecord) {
			t.Error(err)
		}
		own.s.pressure.set(0, mostSublevels-1, nil)
		if err := own.begin(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestAFlipAnywhereInATableLeavesAStoreThatServes: wherever an octet of the rows' tables has
// flipped, the store opens or says what is damaged; each row is as it was, or damaged; and
// writes are done, or refused with a reason.
func TestAFlipAnywhereInATableLeavesAStoreThatServes(t *testing.T) {
	base := &small{files: map[string][]byte{}}
	fs := vfs.NewMem()
	base.opt = testOptions(fs)
	base.opt.SegmentSize = 1 << 20
	s := open(t, base.opt)
	p := at(t, s, space1)
	want := map[string]string{}
	for i := range 300 {
		k := fmt.Sprintf("key %04d", i)
		row := commit(t, p, Op{Kind: Put, Key: []byte(k), Tag: []byte(k), Value: pattern(100, 1), Counts: true})[0]
		want[k] = fmt.Sprint(row.Version)
		if i%50 == 0 {
			put(t, p, k, pattern(smallBody+i, 1))
			want[k] = fmt.Sprint(get1(t, p, k).Version)
		}
		if i == 200 {
			if err := s.db.Compact(context.Background(), []byte{0}, []byte{0xFF}, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range filesOf(t, fs, "store") {
		base.files[name] = contentOf(t, fs, name)
	}
	verdicts := map[string]int{}
	for name, content := range base.files {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		stride := max(1, len(content)/15)
		for off := len(content) - 1; off > 0; off -= stride { // the end has the index and the footer
			disk, err := base.disk(name, flipped(content, int64(off)))
			if err != nil {
				t.Fatal(err)
			}
			verdicts[afterFlip(t, base.opt, disk, want, fmt.Sprintf("%s at %d", name, off))]++
		}
	}
	t.Log(verdicts)
	if verdicts["serves"] == 0 {
		t.Error("none of them serves")
	}
}

func afterFlip(t *testing.T, o Options, disk vfs.FS, want map[string]string, where string) string {
	t.Helper()
	o.FS = disk
	s, err := Open(o)
	if err != nil {
		if !names(err) {
			t.Errorf("%s: refused, and what is damaged is not named: %v", where, err)
		}
		return "does not open"
	}
	defer s.Close()
	p := at(t, s, space1)
	ctx := context.Background()
	for _, k := range []string{"key 0010", "key 0290"} {
		if _, err := p.Commit(ctx, Op{Kind: Put, Key: []byte(k), Tag: []byte("new")}); err == nil {
			want = maps.Clone(want)
			want[k] = "new"
		} else if !errors.Is(err, ErrReadOnly) && !names(err) {
			t.Errorf("%s: %s: %v", where, k, err)
		}
	}
	_ = s.db.Compact(ctx, []byte{0}, []byte{0xFF}, false)
	for k, was := range want {
		row, err := p.Get(ctx, []byte(k), Current)
		switch {
		case errors.Is(err, ErrNotFound):
			t.Errorf("%s: %s is said not to be there", where, k)
		case err == nil && fmt.Sprint(row.Version) != was && string(row.Tag) != was:
			t.Errorf("%s: %s is another: %d, not %s", where, k, row.Version, was)
		case err == nil && row.Body.Len() > 0:
			if _, err := read(p, row.Body, Sealing{}); errors.Is(err, ErrGone) {
				t.Errorf("%s: the body of %s is said to be gone", where, k)
			}
		}
	}
	if s.Stats().ReadOnly != "" {
		return "only reads"
	}
	if _, err := p.Commit(ctx, Op{Kind: Put, Key: []byte("another")}); err != nil {
		t.Errorf("%s: %v", where, err)
	}
	return "serves"
}
