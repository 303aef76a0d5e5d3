package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func maintain(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// grep says in which file of the store some octets are.
func grep(t testing.TB, fs vfs.FS, dir string, want []byte) (found string) {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			continue // it was removed meanwhile
		}
		if info.IsDir() {
			if found = grep(t, fs, path, want); found != "" {
				return found
			}
			continue
		}
		f, err := fs.Open(path)
		if err != nil {
			continue
		}
		all, err := io.ReadAll(f)
		f.Close()
		if err == nil && bytes.Contains(all, want) {
			return path
		}
	}
	return ""
}

// eventually waits for what Pebble does by itself.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("it never was so: " + what)
		case <-tick.C:
		}
	}
}

func epochsOf(t testing.TB, s *Store) (all map[epochID]epoch) {
	t.Helper()
	all = map[epochID]epoch{}
	err := eachKey(s.db, []byte{tagEpoch}, func(k, v []byte) error {
		id, e, err := readEpoch(k, v)
		all[id] = e
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func openAt(t testing.TB, fs vfs.FS, c *testClock) (*Store, *Space, *testKeys) {
	t.Helper()
	o := testOptions(fs)
	keys := &testKeys{}
	o.Clock, o.Keys = c.clock(), keys
	s := open(t, o)
	return s, at(t, s, space1), keys
}

func TestDeletedBodiesAreGoneWithinShredAfter(t *testing.T) {
	fs := vfs.NewMem()
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, fs, c)
	k := [32]byte{1}
	kept := map[string]Sealing{"inline": {}, "large": {}, "kms": {Key: "kms"}, "customer": {Customer: &k}}
	content := func(key string) []byte { return pattern(map[string]int{"inline": 10}[key]+len(key)*5000, 3) }
	for key, how := range kept {
		commit(t, p, putOp(key, body(t, p, how, content(key))))
	}
	put(t, p, "deleted", []byte("secret"))
	first := epochsOf(t, s)
	if len(first) != 2 {
		t.Fatalf("%d epochs", len(first))
	}
	if grep(t, fs, "store", first[epochID{p.id, "", epochAt(c.now)}].wrapped) == "" {
		t.Fatal("the test does not find a key that is there")
	}
	commit(t, p, Op{Kind: Delete, Key: []byte("deleted")})
	for d := range 7 {
		if d == 5 {
			for id := range first {
				if _, ok := epochsOf(t, s)[id]; !ok {
					t.Fatal("a key went that was needed and young")
				}
			}
		}
		maintain(t, s)
		c.add(day)
	}
	for id, e := range first {
		if _, there := epochsOf(t, s)[id]; there {
			t.Errorf("epoch %d of %q is still there", id.epoch, id.name)
		}
		eventually(t, "no file has the key", func() bool { return grep(t, fs, "store", e.wrapped) == "" })
	}
	s.Close()
	_, p, _ = openAt(t, fs, c)
	for key, how := range kept {
		got, err := read(p, get1(t, p, key).Body, how)
		if err != nil || !bytes.Equal(got, content(key)) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestAnEpochThatNothingNeedsGoesTheNextDay(t *testing.T) {
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, vfs.NewMem(), c)
	put(t, p, "a", []byte("x"))
	commit(t, p, Op{Kind: Delete, Key: []byte("a")})
	maintain(t, s)
	if n := len(epochsOf(t, s)); n != 1 {
		t.Fatalf("%d epochs", n)
	}
	b := body(t, p, Sealing{}, []byte("over midnight"))
	c.add(day)
	maintain(t, s)
	if n := len(epochsOf(t, s)); n != 0 {
		t.Fatalf("%d epochs", n)
	}
	commit(t, p, putOp("b", b))
	wantBody(t, p, "b", []byte("over midnight"))
}

func TestRotationWrapsEpochsAgainAndRewritesNoBody(t *testing.T) {
	fs := vfs.NewMem()
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, keys := openAt(t, fs, c)
	put(t, p, "a", pattern(100_000, 1))
	before, live := epochsOf(t, s), s.files.Stats()
	keys.rotate()
	c.add(2 * time.Hour)
	maintain(t, s)
	for id, e := range epochsOf(t, s) {
		if e.keyVersion != 2 {
			t.Errorf("epoch %d is under version %d", id.epoch, e.keyVersion)
		}
		eventually(t, "the old wrapping is gone", func() bool { return grep(t, fs, "store", before[id].wrapped) == "" })
	}
	if now := s.files.Stats(); now.Live != live.Live || now.Extents != live.Extents || now.Dead != live.Dead {
		t.Errorf("segments changed: %+v", now)
	}
	put(t, p, "b", []byte("new"))
	s.Close()
	_, p, keys = openAt(t, fs, c)
	keys.rotate()
	wantBody(t, p, "a", pattern(100_000, 1))
	wantBody(t, p, "b", []byte("new"))
}

func TestErasingASpaceDestroysItsKeysAtOnce(t *testing.T) {
	fs := vfs.NewMem()
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, fs, c)
	other := at(t, s, Placement{Space: ID{2}, Cell: "here"})
	for i := range 700 {
		put(t, p, fmt.Sprint(i), []byte("small"))
	}
	put(t, p, "large", pattern(100_000, 1))
	b, err := other.Adopt(context.Background(), p, get1(t, p, "large").Body, Sealing{}, Sealing{})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, other, putOp("copy", b))
	keys := epochsOf(t, s)
	held := get1(t, p, "large").Body
	if err := s.Erase(context.Background(), p.id); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Commit(context.Background(), putOp("late", Body{})); !errors.Is(err, ErrErased) {
		t.Error(err)
	}
	if _, err := p.Get(context.Background(), []byte("1"), Current); !errors.Is(err, ErrErased) {
		t.Error(err)
	}
	if _, err := s.At(space1); !errors.Is(err, ErrErased) {
		t.Error(err)
	}
	if _, err := read(p, held, Sealing{}); err == nil {
		t.Error("an erased body was read")
	}
	maintain(t, s)
	eventually(t, "no file has the key", func() bool {
		return grep(t, fs, "store", keys[epochID{p.id, "", epochAt(c.now)}].wrapped) == ""
	})
	wantBody(t, other, "copy", pattern(100_000, 1))
	n := 0
	_ = eachKey(s.db, beginning(p.id, nil), func(_, _ []byte) error { n++; return nil })
	if n != 0 {
		t.Errorf("%d rows are left", n)
	}
	s.Close()
	s, _ = Open(Options{
		FS: fs, Dir: "store", Cell: "here", Keys: &testKeys{}, Reserve: -1, Quiet: true,
		Clock: c.clock(),
	})
	defer s.Close()
	if _, err := s.At(space1); !errors.Is(err, ErrErased) {
		t.Error(err)
	}
	wantBody(t, at(t, s, Placement{Space: ID{2}, Cell: "here"}), "copy", pattern(100_000, 1))
	wantClean(t, s)
}

func wantClean(t testing.TB, s *Store) {
	t.Helper()
	o := s.opt
	fs := o.FS
	s.Close()
	o.FS = fs
	p, err := Check(context.Background(), o, func(_ Progress, d *Damaged) {
		if d != nil {
			t.Error(d)
		}
	})
	if err != nil || p.Damaged != 0 {
		t.Fatalf("check: %+v %v", p, err)
	}
}

func TestABodyThatNobodyCommittedIsSwept(t *testing.T) {
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, vfs.NewMem(), c)
	forgotten := body(t, p, Sealing{}, pattern(100_000, 1))
	c.add(30 * time.Minute)
	young := body(t, p, Sealing{}, pattern(100_000, 2))
	c.add(31 * time.Minute)
	maintain(t, s)
	if n := s.files.Stats().Extents; n != 1 {
		t.Fatalf("%d extents", n)
	}
	if _, err := p.Commit(context.Background(), putOp("a", forgotten)); refusedFor(err) != Swept {
		t.Fatal(err)
	}
	commit(t, p, putOp("b", young))
	wantBody(t, p, "b", pattern(100_000, 2))
	wantClean(t, s)
}

func TestWhatAFormerProcessDidNotCommitIsSwept(t *testing.T) {
	fs := vfs.NewMem()
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, fs, c)
	put(t, p, "kept", pattern(100_000, 1))
	late := body(t, p, Sealing{}, pattern(100_000, 2))
	s.Close()
	s, p, _ = openAt(t, fs, c)
	if n := s.files.Stats().Extents; n != 1 {
		t.Fatalf("%d extents", n)
	}
	if _, err := p.Commit(context.Background(), putOp("late", late)); refusedFor(err) != Swept {
		t.Fatal(err)
	}
	wantBody(t, p, "kept", pattern(100_000, 1))
}

func TestCompactionEmptiesSegments(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs)
	o.SegmentSize, o.MoveRate = 1<<20, -1
	s := open(t, o)
	p := at(t, s, space1)
	for i := range 80 {
		put(t, p, fmt.Sprint(i), pattern(100_000, byte(i)))
	}
	for i := range 80 {
		if i%4 != 0 {
			commit(t, p, Op{Kind: Delete, Key: fmt.Append(nil, i)})
		}
	}
	before := s.files.Stats()
	maintain(t, s)
	eventually(t, "emptied segments are used again", func() bool { return s.files.Stats().Dead < before.Dead/2 })
	s.Close()
	s = open(t, o)
	p = at(t, s, space1)
	for i := 0; i < 80; i += 4 {
		wantBody(t, p, fmt.Sprint(i), pattern(100_000, byte(i)))
	}
	wantClean(t, s)
}

func TestScrubFindsWhatRotted(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs)
	s := open(t, o)
	p := at(t, s, space1)
	k := [32]byte{7}
	for i, how := range []Sealing{{}, {}, {Customer: &k}} {
		commit(t, p, putOp(fmt.Sprint(i), body(t, p, how, pattern(200_000, byte(i)))))
		commit(t, p, putOp(fmt.Sprint("small", i), body(t, p, how, pattern(200, byte(i)))))
	}
	if got, err := s.Scrub(context.Background(), nil); err != nil || got.Damaged != 0 || got.Extents != 6 ||
		got.Rows != 6 {
		t.Fatalf("%+v %v", got, err)
	}
	for _, key := range []string{"0", "2"} {
		at, _, _ := s.place(get1(t, p, key).Body.extents[0].id)
		flip(t, fs, fmt.Sprintf("store/segments/%08d.seg", at.Segment), int64(at.Page)*4096+96+150_000)
	}
	var told []string
	got, err := s.Scrub(context.Background(), func(_ Progress, d *Damaged) {
		if d != nil {
			told = append(told, d.What)
		}
	})
	if err != nil || got.Damaged != 2 || len(told) != 2 {
		t.Fatalf("%+v %q %v", got, told, err)
	}
	var d *Damaged
	if _, err := read(p, get1(t, p, "0").Body, Sealing{}); !errors.As(err, &d) {
		t.Fatal(err)
	}
	wantBody(t, p, "1", pattern(200_000, 1))
}

func flip(t testing.TB, fs vfs.FS, name string, off int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Fatal(err)
	}
}

func TestTheIndexIsRebuiltFromSegments(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, testOptions(fs))
	p := at(t, s, space1)
	for i := range 20 {
		put(t, p, fmt.Sprint(i), pattern(50_000, byte(i)))
	}
	commit(t, p, Op{Kind: Delete, Key: []byte("3")})
	from := []byte{tagLocal, localExtent}
	if err := s.db.DeleteRange(from, after(from), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := read(p, get1(t, p, "1").Body, Sealing{}); err == nil {
		t.Fatal("an extent without a place was read")
	}
	s.Close()
	got, err := Rebuild(context.Background(), testOptions(fs), nil)
	if err != nil || got.Extents != 19 || got.Damaged != 0 {
		t.Fatalf("%+v %v", got, err)
	}
	s = open(t, testOptions(fs))
	p = at(t, s, space1)
	for i := range 20 {
		if i != 3 {
			wantBody(t, p, fmt.Sprint(i), pattern(50_000, byte(i)))
		}
	}
	wantClean(t, s)
}

// TestNothingIsWrittenOverWhileBodiesAreMissing: a start without the index, and writes
// after it, leave all that Rebuild can find.
func TestNothingIsWrittenOverWhileBodiesAreMissing(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs)
	o.SegmentSize = 1 << 20
	s := open(t, o)
	p := at(t, s, space1)
	for i := range 30 {
		put(t, p, fmt.Sprint(i), pattern(100_000, byte(i)))
	}
	from := []byte{tagLocal, localExtent}
	if err := s.db.DeleteRange(from, after(from), nil); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, o)
	p = at(t, s, space1)
	for i := range 30 {
		put(t, p, fmt.Sprint("new ", i), pattern(100_000, byte(i+100)))
	}
	s.Close()
	if got, err := Rebuild(context.Background(), o, nil); err != nil || got.Damaged != 0 {
		t.Fatalf("%+v %v", got, err)
	}
	s = open(t, o)
	p = at(t, s, space1)
	for i := range 30 {
		wantBody(t, p, fmt.Sprint(i), pattern(100_000, byte(i)))
		wantBody(t, p, fmt.Sprint("new ", i), pattern(100_000, byte(i+100)))
	}
}

func TestKeysOfADayToComeGoWhenTheClockIsRightAgain(t *testing.T) {
	fs := vfs.NewMem()
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, fs, c)
	c.add(3650 * day)
	put(t, p, "kept", pattern(5000, 1))
	commit(t, p, putOp("unneeded", body(t, p, Sealing{Key: "kms"}, []byte("secret"))))
	commit(t, p, Op{Kind: Delete, Key: []byte("unneeded")})
	ahead := epochsOf(t, s)
	if len(ahead) != 2 {
		t.Fatalf("%d epochs", len(ahead))
	}
	c.add(-3650 * day)
	maintain(t, s)
	for id, e := range ahead {
		if _, there := epochsOf(t, s)[id]; there {
			t.Fatalf("epoch %d of %q is still there", id.epoch, id.name)
		}
		eventually(t, "no file has the key", func() bool { return grep(t, fs, "store", e.wrapped) == "" })
	}
	if e := epochsOf(t, s)[epochID{p.id, "", epochAt(c.now)}]; e.holds != 1 {
		t.Errorf("today's key holds %d bodies", e.holds)
	}
	wantBody(t, p, "kept", pattern(5000, 1))
}

func TestAShredTimeThatIsTakenBackHoldsNoMore(t *testing.T) {
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	s, p, _ := openAt(t, vfs.NewMem(), c)
	put(t, p, "kept", []byte("x"))
	first := epochID{p.id, "", epochAt(c.now)}
	s.SetShredAfter(map[ID]time.Duration{p.id: 30 * day})
	c.add(10 * day)
	maintain(t, s)
	if _, there := epochsOf(t, s)[first]; !there {
		t.Fatal("the key went before the space's own time")
	}
	s.SetShredAfter(nil)
	c.add(2 * time.Hour)
	maintain(t, s)
	if _, there := epochsOf(t, s)[first]; there {
		t.Error("the time that was taken back still holds")
	}
}
