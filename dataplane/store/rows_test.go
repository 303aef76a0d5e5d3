package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func keysOf(t testing.TB, c *Cursor) (keys []string) {
	t.Helper()
	for c.Next() {
		keys = append(keys, string(c.Row().Key))
	}
	if c.Err() != nil {
		t.Fatal(c.Err())
	}
	return keys
}

func scan(t testing.TB, p *Space, o ScanOptions) *Cursor {
	t.Helper()
	c, err := p.Scan(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestListingIsInBytewiseOrderOfKeys(t *testing.T) {
	_, p := openMem(t)
	want := []string{
		"", "\x00", "\x00\x00", "\x00\x01", "\x00\xff", "\x01", "a", "a\x00", "a\x00\x01", "a\x00b",
		"a\x01", "a/", "a/b", "ab", "\xff", "\xff\xff",
	}
	for i := range want {
		put(t, p, want[(i*7)%len(want)], []byte("x"))
	}
	put(t, at(t, p.s, Placement{Space: ID{2}, Cell: "here"}), "other", nil)
	if got := keysOf(t, scan(t, p, ScanOptions{})); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Fatalf("%q", got)
	}
	if got := keysOf(t, scan(t, p, ScanOptions{Prefix: []byte("a\x00")})); fmt.Sprintf("%q",
		got) != `["a\x00" "a\x00\x01" "a\x00b"]` {
		t.Fatalf("%q", got)
	}
	for _, k := range want {
		if r := get1(t, p, k); string(r.Value) != "value of "+k {
			t.Fatalf("%q: %q", k, r.Value)
		}
	}
	c := scan(t, p, ScanOptions{})
	if !c.Seek([]byte("a/c")) || string(c.Row().Key) != "ab" {
		t.Fatalf("seek: %q", c.Row().Key)
	}
	if v, err := c.Value(); err != nil || string(v) != "value of ab" {
		t.Fatal(v, err)
	}
	if c.Seek([]byte("\xff\xff\x00")) {
		t.Fatal("there is a row after the last")
	}
}

// history of one key: versions newest first, N for null, M for a marker.
func history(t testing.TB, p *Space, key string) (all string) {
	t.Helper()
	c := scan(t, p, ScanOptions{Versions: true})
	for ok := c.Seek([]byte(key)); ok && string(c.Row().Key) == key; ok = c.Next() {
		r := c.Row()
		all += fmt.Sprint(r.Version)
		if r.Null {
			all += "N"
		}
		if r.Marker {
			all += "M"
		}
		if r.Current != (all[:len(fmt.Sprint(r.Version))] == fmt.Sprint(r.Version) &&
			len(all) <= len(fmt.Sprint(r.Version))+2) {
			t.Errorf("row %d says current %v", r.Version, r.Current)
		}
		all += " "
	}
	return all
}

func TestVersionsOfAKey(t *testing.T) {
	s, p := openMem(t)
	base := Version(s.Stats().Applied)
	null := func() Version {
		r, err := p.Get(context.Background(), []byte("k"), Null)
		if errors.Is(err, ErrNotFound) {
			return 0
		}
		if err != nil {
			t.Fatal(err)
		}
		return r.Version - base
	}
	k := []byte("k")
	step := func(op Op, wantNull int) {
		t.Helper()
		op.Key = k
		commit(t, p, op)
		if got := null(); got != Version(wantNull) {
			t.Fatalf("the null version is %d, not %d (%s)", got, wantNull, history(t, p, "k"))
		}
	}
	step(Op{Kind: Put}, 1)
	step(Op{Kind: Put}, 2)                 // replaces 1
	step(Op{Kind: Stack}, 2)               // 3
	step(Op{Kind: Stack, Marker: true}, 2) // 4
	if keys := keysOf(t, scan(t, p, ScanOptions{})); len(keys) != 0 {
		t.Fatalf("a deleted key is listed: %q", keys)
	}
	step(Op{Kind: Put}, 5)                       // replaces 2
	step(Op{Kind: Stack}, 5)                     // 6
	step(Op{Kind: Delete, Version: base + 6}, 5) // 5 is current again
	step(Op{Kind: Stack}, 5)                     // 8
	step(Op{Kind: Delete, Version: base + 3}, 5) // in the middle
	step(Op{Kind: Put, Marker: true}, 10)        // replaces 5
	step(Op{Kind: Stack}, 10)                    // 11
	step(Op{Kind: Delete, Version: Null}, 0)     // 12: not current
	step(Op{Kind: Put}, 13)
	step(Op{Kind: Delete, Version: Current}, 0)
	if got, want := history(t, p, "k"), fmt.Sprintf("%d %d %dM ", base+11, base+8, base+4); got != want {
		t.Fatalf("%q, not %q", got, want)
	}
	c := scan(t, p, ScanOptions{Versions: true})
	if !c.SeekVersion(k, base+9) || c.Row().Version != base+8 || c.Row().Current {
		t.Fatalf("seek version 9: %+v", c.Row())
	}
	if !c.SeekVersion(k, Current) || c.Row().Version != base+11 || !c.Row().Current {
		t.Fatalf("seek current: %+v", c.Row())
	}
	if c.SeekVersion(k, base+3) {
		t.Fatal("there is a version below the oldest")
	}
	_, err := p.Commit(context.Background(), Op{Kind: Delete, Key: k, Version: base + 3})
	if refusedFor(err) != Missing {
		t.Fatal(err)
	}
	commit(t, p, Op{Kind: Delete, Key: k, Version: base + 3, Idempotent: true})
	u, _ := p.Usage()
	if u.Others != 3 || u.Rows != 0 {
		t.Fatalf("%+v", u)
	}
}

func size(n int64) *int64 { return &n }

func TestConditions(t *testing.T) {
	_, p := openMem(t)
	row := put(t, p, "there", []byte("12345"))
	commit(t, p, Op{Kind: Put, Key: []byte("marker"), Marker: true})
	tag := get1(t, p, "there").Tag
	for _, c := range []struct {
		key  string
		cond Condition
		want Reason
	}{
		{"none", Condition{Absent: true}, 99},
		{"marker", Condition{Absent: true}, 99},
		{"there", Condition{Absent: true}, Precondition},
		{"none", Condition{Exists: true}, Missing},
		{"marker", Condition{Exists: true}, Missing},
		{"there", Condition{Exists: true}, 99},
		{"there", Condition{Match: [][]byte{[]byte("x"), tag}}, 99},
		{"there", Condition{Match: [][]byte{[]byte("x")}}, Precondition},
		{"none", Condition{Match: [][]byte{tag}}, Missing},
		{"there", Condition{NoMatch: [][]byte{tag}}, Precondition},
		{"there", Condition{NoMatch: [][]byte{[]byte("x")}}, 99},
		{"none", Condition{NoMatch: [][]byte{tag}}, 99},
		{"there", Condition{Time: row.Time}, 99},
		{"there", Condition{Time: row.Time.Add(time.Second)}, Precondition},
		{"there", Condition{Size: size(5)}, 99},
		{"there", Condition{Size: size(6)}, Precondition},
		{"there", Condition{Version: row.Version}, 99},
		{"there", Condition{Version: row.Version + 1}, Changed},
		{"there", Condition{Amended: row.Version}, 99},
		{"there", Condition{Amended: row.Version + 1}, Changed},
		{"none", Condition{Version: 1}, Changed},
	} {
		_, err := p.Commit(context.Background(), Op{Key: []byte(c.key), Condition: c.cond})
		if got := refusedFor(err); got != c.want || err != nil && got == 99 {
			t.Errorf("%s %+v: %v", c.key, c.cond, err)
		}
	}
}

func TestACommandIsDoneAsAWhole(t *testing.T) {
	_, p := openMem(t)
	put(t, p, "a", []byte("old"))
	before, _ := p.Usage()
	_, err := p.Commit(context.Background(),
		putOp("a", body(t, p, Sealing{}, []byte("new"))),
		Op{Kind: Delete, Key: []byte("none")})
	var r *Refused
	if !errors.As(err, &r) || r.Op != 1 || r.Reason != Missing {
		t.Fatal(err)
	}
	wantBody(t, p, "a", []byte("old"))
	if after, _ := p.Usage(); after != before {
		t.Fatalf("%+v %+v", before, after)
	}
}

func TestAnUploadIsCompletedWithoutMovingOctets(t *testing.T) {
	s, p := openMem(t)
	parts := [][]byte{pattern(5<<20, 1), pattern(5<<20, 2), []byte("end")}
	var all []Body
	for i, content := range parts {
		key := fmt.Sprintf("upload/1/%05d", i)
		op := putOp(key, body(t, p, Sealing{}, content))
		op.Counts = false
		commit(t, p, op)
		all = append(all, get1(t, p, key).Body)
	}
	extents := s.files.Stats()
	commit(t, p, Op{Kind: DropPrefix, Key: []byte("upload/1/")}, putOp("whole", Join(all...)))
	wantBody(t, p, "whole", bytes.Join(parts, nil))
	if now := s.files.Stats(); now.Live != extents.Live || now.Extents != 2 {
		t.Fatalf("%+v, before %+v", now, extents)
	}
	u, _ := p.Usage()
	if want := (Usage{Rows: 1, Bytes: 10<<20 + 3}); u != want {
		t.Fatalf("%+v", u)
	}
	commit(t, p, putOp("copy", get1(t, p, "whole").Body))
	commit(t, p, Op{Kind: Delete, Key: []byte("whole")})
	wantBody(t, p, "copy", bytes.Join(parts, nil))
	b := get1(t, p, "copy").Body
	commit(t, p, Op{Kind: Delete, Key: []byte("copy")})
	if now := s.files.Stats(); now.Extents != 0 {
		t.Fatalf("%d extents are left", now.Extents)
	}
	if _, err := read(p, b, Sealing{}); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
	if _, err := p.Commit(context.Background(), putOp("late", b)); !errors.Is(err, ErrGone) || refusedFor(err) != Gone {
		t.Fatal(err)
	}
	if u, _ := p.Usage(); u != (Usage{}) {
		t.Fatalf("%+v", u)
	}
}

func TestABodyIsNotCommittedAgainAfterItsDeletion(t *testing.T) {
	_, p := openMem(t)
	b := body(t, p, Sealing{}, pattern(100_000, 1))
	commit(t, p, putOp("a", b))
	commit(t, p, Op{Kind: Delete, Key: []byte("a")})
	if _, err := p.Commit(context.Background(), putOp("b", b)); !errors.Is(err, ErrGone) {
		t.Fatal(err)
	}
}

func TestABodyOutlivesARefusal(t *testing.T) {
	_, p := openMem(t)
	put(t, p, "a", nil)
	for _, n := range []int{100, 100_000} {
		w, _ := p.Write(context.Background(), Sealing{}, -1)
		_, _ = w.Write(pattern(n, 1))
		b, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		op := putOp("a", b)
		op.Condition.Absent = true
		if _, err := p.Commit(context.Background(), op); refusedFor(err) != Precondition {
			t.Fatal(err)
		}
		op.Condition.Absent = false
		commit(t, p, op)
		w.Abort() // after its commit it does nothing
		wantBody(t, p, "a", pattern(n, 1))
	}
}

func TestAnAbortedBodyLeavesNothing(t *testing.T) {
	s, p := openMem(t)
	for _, finish := range []bool{false, true} {
		w, _ := p.Write(context.Background(), Sealing{}, -1)
		_, _ = w.Write(pattern(ExtentSize+100_000, 1))
		if finish {
			if _, err := w.Finish(); err != nil {
				t.Fatal(err)
			}
		}
		w.Abort()
		if n := s.files.Stats().Extents; n != 0 {
			t.Fatalf("%d extents are left", n)
		}
	}
	if h, _ := s.intents.expire(time.Now()); h != 2 {
		t.Fatalf("the horizon is %d", h)
	}
}

func TestAdoptedBodies(t *testing.T) {
	s, p := openMem(t)
	q := at(t, s, Placement{Tenant: "other", Space: ID{2}, Cell: "here"})
	k1, k2 := [32]byte{1}, [32]byte{2}
	sealings := []Sealing{{}, {Key: "kms"}, {Customer: &k1}, {Customer: &k2}}
	for _, n := range []int{10, 100_000} {
		for i, was := range sealings {
			for j, now := range sealings {
				for _, to := range []*Space{p, q} {
					key := fmt.Sprintf("%d %d %d", n, i, j)
					commit(t, p, putOp(key, body(t, p, was, pattern(n, byte(i)))))
					b, err := to.Adopt(context.Background(), p, get1(t, p, key).Body, was, now)
					if err != nil {
						t.Fatal(err)
					}
					commit(t, to, putOp("copy of "+key, b))
					commit(t, p, Op{Kind: Delete, Key: []byte(key)})
					b = get1(t, to, "copy of "+key).Body
					got, err := read(to, b, now)
					if err != nil || !bytes.Equal(got, pattern(n, byte(i))) {
						t.Fatalf("%s: %v", key, err)
					}
					if now.Customer == nil {
						continue
					}
					if _, err := read(to, b, Sealing{Customer: &[32]byte{9}}); !errors.Is(err, ErrWrongKey) {
						t.Fatal(err)
					}
					if _, err := read(to, b, Sealing{}); !errors.Is(err, ErrWrongKey) {
						t.Fatal(err)
					}
				}
			}
		}
	}
}

func TestAmendKeepsTheRowAndChangesItsValue(t *testing.T) {
	_, p := openMem(t)
	was := put(t, p, "a", []byte("body"))
	r := commit(t, p, Op{Kind: Amend, Key: []byte("a"), Value: []byte("new"), Flags: 7})[0]
	row := get1(t, p, "a")
	if string(row.Value) != "new" || row.Flags != 7 || row.Version != was.Version || row.Amended <= row.Version ||
		r.Version != was.Version {
		t.Fatalf("%+v", row)
	}
	wantBody(t, p, "a", []byte("body"))
	_, err := p.Commit(context.Background(), Op{
		Kind: Amend, Key: []byte("a"),
		Condition: Condition{Amended: row.Version},
	})
	if refusedFor(err) != Changed {
		t.Fatal(err)
	}
	if _, err := p.Commit(context.Background(), Op{Kind: Amend, Key: []byte("b")}); refusedFor(err) != Missing {
		t.Fatal(err)
	}
}

func TestQuotasAreJudgedAfterTheWholeCommand(t *testing.T) {
	_, p := openMem(t)
	limited := func(op Op, bytes, rows uint64) Op {
		op.Condition.QuotaBytes, op.Condition.QuotaRows = bytes, rows
		return op
	}
	commit(t, p, limited(putOp("a", body(t, p, Sealing{}, pattern(100, 1))), 100, 1))
	_, err := p.Commit(context.Background(), limited(putOp("b", body(t, p, Sealing{}, pattern(1, 1))), 100, 2))
	if refusedFor(err) != QuotaBytes {
		t.Fatal(err)
	}
	_, err = p.Commit(context.Background(), limited(putOp("b", Body{}), 100, 1))
	if refusedFor(err) != QuotaRows {
		t.Fatal(err)
	}
	commit(t, p, limited(putOp("b", body(t, p, Sealing{}, pattern(100, 1))), 100, 1),
		Op{Kind: Delete, Key: []byte("a")})
}

func TestTimesOfAKeyNeverGoBack(t *testing.T) {
	c := &testClock{now: time.Unix(1_700_000_000, 0)}
	o := testOptions(vfs.NewMem())
	o.Clock = c.clock()
	p := at(t, open(t, o), space1)
	first := put(t, p, "a", nil)
	c.add(-time.Hour)
	if second := put(t, p, "a", nil); second.Time.Before(first.Time) || second.Version <= first.Version {
		t.Fatal(first, second)
	}
}

func TestGenerationsAndCells(t *testing.T) {
	s, _ := openMem(t)
	at(t, s, Placement{Space: ID{1}, Cell: "here", Generation: 3})
	for _, p := range []Placement{
		{Space: ID{1}, Cell: "here", Generation: 2},
		{Space: ID{1}, Cell: "there", Generation: 3},
	} {
		if _, err := s.At(p); !errors.Is(err, ErrMoved) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	_, p := openMem(t)
	for _, op := range []Op{
		{Kind: Put, Key: make([]byte, MaxKey+1)},
		{Kind: Put, Tag: make([]byte, MaxTag+1)},
		{Kind: Put, Value: make([]byte, MaxValue+1)},
	} {
		if _, err := p.Commit(context.Background(), op); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
	}
	if _, err := write(p, Sealing{}, pattern(11, 1), 10); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := write(p, Sealing{}, pattern(9, 1), 10); err == nil {
		t.Error("a short body was taken")
	}
}

// TestAPrefixEndsBehindItsVersions: NextPrefix seeks to the immediate successor of a
// prefix, which must be behind all versions of the key and before the next key.
func TestAPrefixEndsBehindItsVersions(t *testing.T) {
	space := ID{1}
	for _, key := range []string{"", "a", "a\x00", "a\x00\x01", "\xff", "\xff\xff", "\x00\xff"} {
		prefix := appendKey(nil, tagRow, space, []byte(key))
		next := comparer.ImmediateSuccessor(nil, prefix)
		if split(prefix) != len(prefix) || split(next) != len(next) || bytes.Compare(prefix, next) >= 0 {
			t.Fatalf("%q: %x, then %x", key, prefix, next)
		}
		for _, v := range []Version{0, 1, 1 << 32, Current} {
			if row := appendVersion(bytes.Clone(prefix), v); bytes.Compare(row, next) >= 0 ||
				split(row) != len(prefix) {
				t.Fatalf("%q version %d: %x is not before %x", key, v, row, next)
			}
		}
		for _, other := range []string{key + "\x00", key + "\x01", key + "a"} {
			if row := appendKey(nil, tagRow, space, []byte(other)); bytes.Compare(row, next) < 0 {
				t.Fatalf("%q: %x comes before %x", other, row, next)
			}
		}
	}
}
