package store

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// spoil writes octets that are no record where one is, as a failing memory may.
func spoil(t *testing.T, s *Store, k []byte) {
	t.Helper()
	if err := s.db.Set(k, []byte("no record"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// TestADamagedEpochKeyStopsNoShredding: the keys of all others are destroyed in their time.
func TestADamagedEpochKeyStopsNoShredding(t *testing.T) {
	clock := &testClock{now: time.Unix(1_700_000_000, 0)}
	o := testOptions(vfs.NewMem())
	o.Clock = clock.clock()
	s := open(t, o)
	p, q := at(t, s, space1), at(t, s, Placement{Tenant: "other", Space: ID{2}, Cell: "here"})
	for _, space := range []*Space{p, q} {
		put(t, space, "a", []byte("deleted"))
		commit(t, space, Op{Kind: Delete, Key: []byte("a")})
	}
	day1 := epochAt(clock.now)
	spoil(t, s, epochKey(p.id, "", day1))
	clock.add(2 * day)
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatalf("one damaged record stops the round: %v", err)
	}
	if v, err := get(s.db, epochKey(q.id, "", day1)); err != nil || v != nil {
		t.Fatalf("the other tenant's key is not destroyed: %x, %v", v, err)
	}
	if got := s.Damage(); len(got) != 1 || got[0].Kind != DamagedEpoch || got[0].Space != p.id {
		t.Fatalf("%+v", got)
	}
}

// TestADamagedRowStopsNoEmptying: all of an erased space goes, and so does the next one's.
func TestADamagedRowStopsNoEmptying(t *testing.T) {
	s, p := openMem(t)
	q := at(t, s, Placement{Tenant: "other", Space: ID{2}, Cell: "here"})
	for _, space := range []*Space{p, q} {
		for _, k := range []string{"a", "b"} {
			put(t, space, k, pattern(smallBody, 1))
		}
	}
	row := get1(t, p, "a")
	spoil(t, s, appendVersion(appendKey(nil, tagRow, p.id, []byte("a")), row.Version))
	spoil(t, s, idKey(tagExtent, get1(t, p, "b").Body.extents[0].id))
	for _, space := range []*Space{p, q} {
		if err := s.Erase(context.Background(), space.id); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Maintain(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, space := range []*Space{p, q} {
		if v, err := get(s.db, idKey(tagErased, space.id)); err != nil || !bytes.Equal(v, []byte{2}) {
			t.Fatalf("space %x is not empty: %x, %v", space.id, v, err)
		}
	}
}

// TestAVacuumIsNotRepeated where a space cannot be emptied.
func TestAVacuumIsNotRepeated(t *testing.T) {
	s, p := openMem(t)
	put(t, p, "a", nil)
	if err := s.Erase(context.Background(), p.id); err != nil {
		t.Fatal(err)
	}
	if err := s.vacuumErased(context.Background(), []ID{p.id}); err != nil {
		t.Fatal(err)
	}
	flushes := s.db.Metrics().Flush.Count
	if err := s.vacuumErased(context.Background(), []ID{p.id}); err != nil {
		t.Fatal(err)
	}
	if now := s.db.Metrics().Flush.Count; now != flushes {
		t.Fatalf("%d flushes more", now-flushes)
	}
}

// TestADamagedRowCanBeDeletedAndOverwritten, and no condition is judged on it.
func TestADamagedRowCanBeDeletedAndOverwritten(t *testing.T) {
	s, p := openMem(t)
	for _, k := range []string{"deleted", "overwritten"} {
		put(t, p, k, pattern(smallBody, 1))
		spoil(t, s, appendVersion(appendKey(nil, tagRow, p.id, []byte(k)), get1(t, p, k).Version))
		var d *Damaged
		if _, err := p.Get(context.Background(), []byte(k), Current); !errors.As(err, &d) || string(d.Key) != k {
			t.Fatal(err)
		}
		op := Op{Kind: Put, Key: []byte(k), Condition: Condition{Exists: true}}
		if _, err := p.Commit(context.Background(), op); !errors.Is(err, errLost) {
			t.Fatal(err)
		}
	}
	commit(t, p, Op{Kind: Delete, Key: []byte("deleted"), Version: Null, Idempotent: true})
	if _, err := p.Get(context.Background(), []byte("deleted"), Current); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	put(t, p, "overwritten", []byte("new"))
	wantBody(t, p, "overwritten", []byte("new"))
	if got := s.Damage(); len(got) != 0 {
		t.Fatalf("still in the ledger: %+v", got)
	}
}
