package config

import (
	"google.golang.org/protobuf/proto"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// The most buckets and access keys that one ack tells of.
const (
	ackedBuckets    = 200
	ackedAccessKeys = 200
)

// storageTold is what the control node of a session was told of the store.
type storageTold struct {
	buckets map[string]*storagev1.BucketStats
	used    map[string]int64
	damage  *storagev1.StorageDamage
	from    string // the bucket to look at first, so that all have their turn
}

// next cuts what the store says down to what was not told, a part of it each time.
func (t *storageTold) next(all *storagev1.StorageStats) *storagev1.StorageStats {
	if all == nil {
		return nil
	}
	if t.buckets == nil {
		t.buckets, t.used = map[string]*storagev1.BucketStats{}, map[string]int64{}
	}
	buckets, keys := all.GetBuckets(), all.GetAccessKeys()
	all.Buckets, all.AccessKeys = nil, nil
	if t.damage != nil && proto.Equal(t.damage, all.GetDamage()) {
		all.Damage = nil
	} else {
		t.damage = all.GetDamage()
	}
	first := 0
	for i, b := range buckets {
		if b.GetBucket() >= t.from {
			first = i
			break
		}
	}
	for i := range buckets {
		b := buckets[(first+i)%len(buckets)]
		if proto.Equal(b, t.buckets[b.GetBucket()]) {
			continue
		}
		if len(all.Buckets) == ackedBuckets {
			t.from = b.GetBucket()
			break
		}
		t.buckets[b.GetBucket()] = b
		all.Buckets = append(all.Buckets, b)
	}
	for _, k := range keys {
		if k.GetLastUsed() > t.used[k.GetAccessKeyId()] && len(all.AccessKeys) < ackedAccessKeys {
			t.used[k.GetAccessKeyId()] = k.GetLastUsed()
			all.AccessKeys = append(all.AccessKeys, k)
		}
	}
	return all
}
