package store

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestAClaimThatIsLostIsNoOthers: a space whose epoch key is lost has lost its bodies, which a check names;
// what shares their octets in another space is whole, and stays when the rest is given up.
func TestAClaimThatIsLostIsNoOthers(t *testing.T) {
	for how, damage := range map[string]func([]byte) []byte{
		"gone":   func([]byte) []byte { return nil },
		"rotten": func(v []byte) []byte { v[len(v)-3] ^= 1; return v },
	} {
		fs := vfs.NewMem()
		o := testOptions(fs)
		s := open(t, o)
		p, q := at(t, s, space1), at(t, s, Placement{Tenant: "other", Space: ID{2}, Cell: "here"})
		key := [32]byte{7}
		for name, how := range map[string]Sealing{"plain": {}, "customer's": {Customer: &key}} {
			for _, n := range []int{300, 200_000} {
				name := fmt.Sprint(name, n)
				b := body(t, p, how, pattern(n, byte(n)))
				commit(t, p, putOp(name, b))
				shared, err := q.Adopt(t.Context(), p, get1(t, p, name).Body, how, how)
				if err != nil {
					t.Fatal(err)
				}
				commit(t, q, putOp(name, shared))
			}
		}
		k := epochKey(p.id, "", s.chain.today())
		v, err := get(s.db, k)
		if err != nil || v == nil {
			t.Fatal(err)
		}
		if v = damage(bytes.Clone(v)); v == nil {
			err = s.db.Delete(k, pebble.Sync)
		} else {
			err = s.db.Set(k, v, pebble.Sync)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}

		named := map[string]bool{}
		hear := func(_ Progress, d *Damaged) {
			if d != nil && d.Key != nil {
				named[fmt.Sprintf("%x %s", d.Space[0], d.Key)] = true
			}
		}
		check := func(what string) {
			t.Helper()
			for _, name := range []string{"plain300", "plain200000", "customer's300", "customer's200000"} {
				if !named["1 "+name] || named["2 "+name] {
					t.Errorf("%s, %s: %s is not named rightly: %v", how, what, name, named)
				}
			}
			clear(named)
		}
		if _, err := Check(t.Context(), o, hear); err != nil {
			t.Fatal(err)
		}
		check("check")
		if _, err := Drop(t.Context(), o, hear); err != nil {
			t.Fatal(err)
		}
		check("drop")
		s = open(t, o)
		p, q = at(t, s, space1), at(t, s, Placement{Tenant: "other", Space: ID{2}, Cell: "here"})
		for name, how := range map[string]Sealing{"plain": {}, "customer's": {Customer: &key}} {
			for _, n := range []int{300, 200_000} {
				got, err := read(q, get1(t, q, fmt.Sprint(name, n)).Body, how)
				if err != nil || !bytes.Equal(got, pattern(n, byte(n))) {
					t.Errorf("%s of the other space: %v", name, err)
				}
			}
		}
		put(t, p, "again", pattern(200_000, 9))
		wantBody(t, p, "again", pattern(200_000, 9))
		wantClean(t, s)
	}
}
