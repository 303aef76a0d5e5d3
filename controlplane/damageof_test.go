package controlplane

import (
	"testing"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// TestDamageIsToldToWhoseItIs: an organization hears of its own buckets alone; who operates the
// installation of everything.
func TestDamageIsToldToWhoseItIs(t *testing.T) {
	all := &storagev1.StorageDamage{More: true, Things: []*storagev1.DamagedObject{
		{Kind: "extent", Bucket: "ours", Key: "a"},
		{Kind: "extent", Bucket: "theirs", Key: "secret"},
		{Kind: "segment", What: "00000001.seg"},
	}}
	for _, c := range []struct {
		q       *storagev1.StorageStatsCall
		buckets []string
		want    int
	}{
		{&storagev1.StorageStatsCall{Organization: "us"}, []string{"ours", "other"}, 1},
		{&storagev1.StorageStatsCall{Organization: "us", Bucket: "buckets/ours"}, []string{"ours"}, 1},
		{&storagev1.StorageStatsCall{Organization: "none"}, nil, 0},
		{&storagev1.StorageStatsCall{Organization: "us", Installation: true}, []string{"ours"}, 3},
		{&storagev1.StorageStatsCall{Bucket: "buckets/ours", Installation: true}, []string{"ours"}, 1},
	} {
		if got := damageOf(all, c.buckets, c.q); len(got.Things) != c.want || !got.More {
			t.Errorf("%v: %v", c.q, got)
		}
	}
	if got := damageOf(nil, nil, &storagev1.StorageStatsCall{Installation: true}); len(got.Things) != 0 || got.More {
		t.Errorf("of nothing: %v", got)
	}
}
