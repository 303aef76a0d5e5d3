package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// manyParts is a body of so many extents, which are copies of two, and its octets at a place.
func manyParts(t *testing.T, p *Space, n int) (Body, func(from, to int64) []byte) {
	t.Helper()
	const one = 100
	a, b := pattern(one, 1), pattern(one, 2)
	put(t, p, "part a", a)
	put(t, p, "part b", b)
	ab := Join(get1(t, p, "part a").Body, get1(t, p, "part b").Body)
	parts := make([]Body, n/2)
	for i := range parts {
		parts[i] = ab
	}
	octets := append(bytes.Clone(a), b...)
	return Join(parts...), func(from, to int64) []byte {
		out := make([]byte, 0, to-from)
		for at := from; at < to; at++ {
			out = append(out, octets[at%int64(len(octets))])
		}
		return out
	}
}

// TestManyExtentsLieBesideTheRow: who asks for the row reads none of them; ranges, copies, parts
// of a larger body, replacement and deletion are right, and leave nothing behind.
func TestManyExtentsLieBesideTheRow(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs)
	s := open(t, o)
	p := at(t, s, space1)
	q := at(t, s, Placement{Tenant: "other", Space: ID{2}, Cell: "here"})
	const n = 2*perList + 100
	body, octets := manyParts(t, p, n)
	large := func(key string) Op {
		return Op{Kind: Put, Key: []byte(key), Body: body, Size: body.Len(), Value: []byte("value"), Counts: true}
	}
	commit(t, p, large("large"))
	row := get1(t, p, "large")
	v, err := get(s.db, appendVersion(appendKey(nil, tagRow, p.id, []byte("large")), row.Version))
	if err != nil || len(v) > 400 {
		t.Fatalf("the row has %d octets, %v", len(v), err)
	}
	if row.Body.Len() != 100*n || row.Body.count() != n || string(row.Value) != "value" {
		t.Fatalf("%d octets in %d extents, %q", row.Body.Len(), row.Body.count(), row.Value)
	}
	ranges := func(p *Space, b Body, shift int64) {
		t.Helper()
		for _, r := range [][2]int64{
			{0, 0},
			{0, 1},
			{perList*100 - 150, perList*100 + 150},
			{2*perList*100 - 1, 2*perList*100 + 1},
			{b.Len() - 7, b.Len()},
			{5, 400},
		} {
			got, err := readRange(p, b, r[0], r[1])
			if err != nil || !bytes.Equal(got, octets(r[0]+shift, r[1]+shift)) {
				t.Errorf("octets %d to %d: %d, %v", r[0], r[1], len(got), err)
			}
		}
	}
	ranges(p, row.Body, 0)

	b := get1(t, p, "part b").Body
	commit(t, p, Op{Kind: Put, Key: []byte("joined"), Body: Join(b, row.Body), Counts: true})
	joined := get1(t, p, "joined").Body
	if joined.count() != n+1 {
		t.Errorf("%d extents joined", joined.count())
	}
	ranges(p, joined, 100)
	adopted, err := q.Adopt(t.Context(), p, row.Body, Sealing{}, Sealing{})
	if err != nil {
		t.Fatal(err)
	}
	commit(t, q, Op{Kind: Put, Key: []byte("copy"), Body: adopted, Counts: true})
	ranges(q, get1(t, q, "copy").Body, 0)
	commit(t, p, Op{Kind: Amend, Key: []byte("large"), Value: []byte("amended")})
	if got := get1(t, p, "large"); string(got.Value) != "amended" {
		t.Errorf("%q", got.Value)
	}
	commit(t, p, Op{Kind: Stack, Key: []byte("large"), Body: joined})
	wantClean(t, s)

	s = open(t, o)
	p, q = at(t, s, space1), at(t, s, Placement{Tenant: "other", Space: ID{2}, Cell: "here"})
	ranges(q, get1(t, q, "copy").Body, 0)
	c, err := p.Scan(ScanOptions{Versions: true})
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for c.Next() {
		row := c.Row()
		listed += row.Body.count()
	}
	c.Close()
	if want := 2 + n + 2*(n+1); listed != want {
		t.Errorf("%d extents listed, want %d", listed, want)
	}

	reader, err := p.Read(t.Context(), row.Body, Sealing{}, 0, row.Body.Len())
	if err != nil {
		t.Fatal(err)
	}
	commit(t, p, Op{Kind: Put, Key: []byte("large")}) // replaces the null version, under a newer one
	if n, err := io.Copy(io.Discard, reader); !errors.Is(err, ErrGone) || n < maxPinned*100 {
		t.Errorf("read %d octets of what was replaced, %v", n, err)
	}
	reader.Close()
	commit(t, p, Op{Kind: DropPrefix, Key: []byte("l")}, Op{Kind: Delete, Key: []byte("joined"), Version: Current})
	if err := s.Erase(t.Context(), q.id); err != nil {
		t.Fatal(err)
	}
	maintain(t, s)
	err = eachKey(s.db, []byte{tagList}, func(k, _ []byte) error { return fmt.Errorf("%x is left", k) })
	if err != nil {
		t.Error(err)
	}
	wantClean(t, s)
}

func readRange(p *Space, b Body, from, to int64) ([]byte, error) {
	r, err := p.Read(context.Background(), b, Sealing{}, from, to)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// TestALostListIsDamage of its object: reads say so, a scrub names it, others are well, and it can
// be overwritten, or given up.
func TestALostListIsDamage(t *testing.T) {
	for _, how := range []string{"lost", "another"} {
		for _, then := range []string{"overwrite", "drop"} {
			fs := vfs.NewMem()
			o := testOptions(fs)
			s := open(t, o)
			p := at(t, s, space1)
			body, octets := manyParts(t, p, 2*perList)
			for _, key := range []string{"a", "b"} {
				commit(t, p, Op{Kind: Put, Key: []byte(key), Body: body, Counts: true})
			}
			row := get1(t, p, "a")
			k := listKey(appendVersion(appendKey(nil, tagRow, p.id, []byte("a")), row.Version), 1)
			err := s.db.Delete(k, nil)
			if how == "another" {
				err = s.db.Set(k, []byte("no list"), nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			var d heard
			if _, err := s.Scrub(t.Context(), d.hear); err != nil || len(d) != 1 || !d.has(DamagedRow, `"a"`) {
				t.Errorf("%s: %v, %v", how, d, err)
			}
			if got, err := readRange(p, row.Body, 0, 300); err != nil || !bytes.Equal(got, octets(0, 300)) {
				t.Errorf("%s: the first list is whole: %v", how, err)
			}
			if how == "another" {
				var damaged *Damaged
				if _, err := readRange(p, row.Body, body.Len()-1, body.Len()); !errors.As(err, &damaged) {
					t.Errorf("%s: %v", how, err)
				}
			}
			if then == "overwrite" {
				put(t, p, "a", pattern(10, 1))
			}
			s.Close()
			if then == "drop" {
				if d := dropped(t, o); !d.has(DamagedRow, `"a"`) {
					t.Errorf("%s: %v", how, d)
				}
			}
			s = open(t, o)
			p = at(t, s, space1)
			if got, err := readRange(p, get1(t, p, "b").Body, body.Len()-5, body.Len()); err != nil ||
				!bytes.Equal(got, octets(body.Len()-5, body.Len())) {
				t.Errorf("%s, %s: the other object: %v", how, then, err)
			}
			s.Close()
		}
	}
}
