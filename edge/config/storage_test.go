package config

import (
	"fmt"
	"testing"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// TestStorageIsToldInParts: what changed, at most so much of it, all in turn.
func TestStorageIsToldInParts(t *testing.T) {
	const buckets = 3*ackedBuckets + 7
	all := func(objects uint64) *storagev1.StorageStats {
		st := &storagev1.StorageStats{
			SegmentBytes: objects,
			AccessKeys:   []*storagev1.AccessKeyUse{{AccessKeyId: "k", LastUsed: 3600}},
		}
		for i := range buckets {
			st.Buckets = append(st.Buckets, &storagev1.BucketStats{Bucket: fmt.Sprintf("b%06d", i), Objects: objects})
		}
		return st
	}
	told := &storageTold{}
	if told.next(nil) != nil {
		t.Error("something of nothing")
	}
	seen := map[string]uint64{}
	for round := range 4 {
		st := told.next(all(1))
		if st.SegmentBytes != 1 || len(st.Buckets) > ackedBuckets || (round == 0) != (len(st.AccessKeys) == 1) {
			t.Fatalf("round %d: %d buckets, %v", round, len(st.Buckets), st.AccessKeys)
		}
		for _, b := range st.Buckets {
			seen[b.Bucket] = b.Objects
		}
	}
	if len(seen) != buckets {
		t.Errorf("told of %d buckets of %d", len(seen), buckets)
	}
	if st := told.next(all(1)); len(st.Buckets) != 0 {
		t.Errorf("told again of %d buckets", len(st.Buckets))
	}
	one := all(1)
	one.Buckets[500].Objects = 2
	if st := told.next(one); len(st.Buckets) != 1 || st.Buckets[0].Objects != 2 {
		t.Errorf("told %v", st.Buckets)
	}
}

// TestDamageIsToldWhenItChanged, and to each session once at least.
func TestDamageIsToldWhenItChanged(t *testing.T) {
	of := func(things ...string) *storagev1.StorageStats {
		d := &storagev1.StorageDamage{}
		for _, what := range things {
			d.Things = append(d.Things, &storagev1.DamagedObject{What: what})
		}
		return &storagev1.StorageStats{Damage: d}
	}
	told := &storageTold{}
	for i, c := range []struct {
		stats *storagev1.StorageStats
		tells bool
	}{{of(), true}, {of(), false}, {of("a"), true}, {of("a"), false}, {of(), true}, {of(), false}} {
		if got := told.next(c.stats).Damage != nil; got != c.tells {
			t.Errorf("step %d: told %t", i, got)
		}
	}
}
