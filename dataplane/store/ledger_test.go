package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestTheLedgerOutlivesARestart: a damaged thing is one entry however often it is met, with
// its names, and is there after a restart.
func TestTheLedgerOutlivesARestart(t *testing.T) {
	for _, key := range []*[32]byte{nil, {1}} {
		o := testOptions(vfs.NewMem())
		o.DiskKey = key
		s := open(t, o)
		p := at(t, s, space1)
		put(t, p, "a\x00b", pattern(smallBody, 1))
		id := get1(t, p, "a\x00b").Body.extents[0].id
		for range 3 {
			_ = s.hurt(damagedExtent(id, errRecord))
			_ = s.hurt(damagedRow(ID{1}, []byte("a\x00b"), 7, errRow))
		}
		s.ledger.lose(Thing{Kind: DamagedSegment, File: "00000001.seg"}, "it is gone", time.Now())
		want := s.Damage()
		if len(want) != 3 || s.Stats().Damaged != 3 || s.DamageCounts()[DamagedRow] != 1 {
			t.Fatalf("%+v", want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, o)
		if got := s.Damage(); fmt.Sprint(unmonotonic(got)) != fmt.Sprint(unmonotonic(want)) {
			t.Fatalf("%+v\n%+v", got, want)
		}
		s.Close()
	}
}

func unmonotonic(all []Damage) []Damage {
	for i := range all {
		all[i].First, all[i].Last = all[i].First.UTC().Round(0), all[i].Last.UTC().Round(0)
	}
	return all
}

// TestAThingThatAScrubReadsWellIsNotDamaged, but what it meets again is.
func TestAThingThatAScrubReadsWellIsNotDamaged(t *testing.T) {
	s, p := openMem(t)
	put(t, p, "a", pattern(100_000, 1))
	put(t, p, "b", pattern(100_000, 2))
	a, b := get1(t, p, "a").Body.extents[0].id, get1(t, p, "b").Body.extents[0].id
	_ = s.hurt(damagedExtent(a, errRecord))
	_ = s.hurt(damagedExtent(b, errRecord))
	if err := s.db.Delete(placeKey(b), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scrub(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if got := s.Damage(); len(got) != 1 || got[0].Extent != b {
		t.Fatalf("%+v", got)
	}
}

// TestTheLedgerIsBounded: what does not fit is counted.
func TestTheLedgerIsBounded(t *testing.T) {
	s, _ := openMem(t)
	for i := range maxThings + 5 {
		s.ledger.enter(Thing{Kind: DamagedExtent, Extent: ID{1, byte(i), byte(i >> 8), byte(i >> 16)}}, "", time.Now())
	}
	if n := s.DamageCounts()[DamagedExtent]; n != maxThings+5 || len(s.Damage()) != maxThings {
		t.Fatal(n)
	}
}

// TestADamagedLedgerIsToldOf and costs nothing else.
func TestADamagedLedgerIsToldOf(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, testOptions(fs))
	_ = s.hurt(damagedExtent(ID{1}, errors.New("rotten")))
	s.Close()
	flip(t, fs, s.ledgerName(), 20)
	s = open(t, testOptions(fs))
	if got := s.Damage(); len(got) != 1 || got[0].Kind != DamagedFile || got[0].File != s.ledgerName() {
		t.Fatalf("%+v", got)
	}
	s.Close()
}

// TestTheLedgerKeepsItsOwnKeys: what a scrub tells of a row does not change with the buffer that
// the row was read into.
func TestTheLedgerKeepsItsOwnKeys(t *testing.T) {
	s, p := openMem(t)
	for i := range 200 {
		put(t, p, fmt.Sprintf("key %03d", i), pattern(smallBody, 1))
	}
	v := get1(t, p, "key 007").Version
	spoil(t, s, appendVersion(appendKey(nil, tagRow, p.id, []byte("key 007")), v))
	if _, err := s.Scrub(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if got := s.Damage(); len(got) != 1 || string(got[0].Key) != "key 007" || got[0].Version != v {
		t.Fatalf("%+v", got)
	}
}
