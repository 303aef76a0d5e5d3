package controlplane

import (
	"context"
	"time"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

const (
	// countedWithin is how long it is waited for an edge to count what a bucket holds: edges
	// tell it every five seconds.
	countedWithin = 15 * time.Second
	countedLook   = 200 * time.Millisecond
)

// objects is how many objects a bucket holds, as its cell counted them after it was asked
// here; ok is false where the cell did not say. Nothing keeps writers out from then on, as
// S3's own DeleteBucket does: docs/decisions/0010.
func (n *Node) objects(ctx context.Context, organization, bucket, cell string) (count uint64, ok bool) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, countedWithin)
	defer cancel()
	for look := time.NewTicker(countedLook); ; {
		edges, err := n.StorageStats(ctx, organization, bucket, false)
		if err != nil {
			look.Stop()
			return 0, false
		}
		if count, ok = countedSince(edges, cell, time.Since(asked)); ok {
			look.Stop()
			return count, true
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			look.Stop()
			return 0, false
		}
	}
}

// countedSince finds what a cell told of one bucket within a time. One that told all and
// nothing of the bucket has not met it yet.
func countedSince(edges []*storagev1.StorageStats, cell string, within time.Duration) (count uint64, ok bool) {
	for _, e := range edges {
		if e.GetNode() == cell && e.GetAgeNanos() > 0 && e.GetAgeNanos() < int64(within) {
			for _, b := range e.GetBuckets() {
				count += b.GetObjects()
			}
			return count, true
		}
	}
	return 0, false
}
