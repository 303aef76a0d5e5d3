package controlplane

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// callStorage asks another control node what its edges said of their stores.
const callStorage = "control/storage"

// reportedBuckets bounds what one control node tells another.
const reportedBuckets = 10_000

var bucketKind = string((&storagev1.Bucket{}).ProtoReflect().Descriptor().FullName())

// StorageStats are what the edges that are connected to any control node said last of
// their stores, each with an organization's buckets there, or with one of them
// ("buckets/NAME").
// Who operates the installation is told of all that is damaged, others of what their buckets have.
func (n *Node) StorageStats(ctx context.Context, organization, bucket string, installation bool,
) ([]*storagev1.StorageStats, error) {
	if bucket != "" {
		r, err := n.core.store.At(0)
		if err != nil {
			return nil, err
		}
		_, found, err := r.Get(bucketKind, organization, bucket)
		r.Close()
		if err != nil || !found {
			return nil, errs.Wrap(errs.NotFound, err, "%s does not exist", bucket)
		}
	}
	q := &storagev1.StorageStatsCall{Organization: organization, Bucket: bucket, Installation: installation}
	out, err := n.ownStorageStats(q)
	if err != nil {
		return nil, err
	}
	query, err := proto.Marshal(q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var mu sync.Mutex
	var asking sync.WaitGroup
	for name, m := range n.members() {
		if name == n.core.self.Name {
			continue
		}
		asking.Go(func() {
			b, err := n.core.node.Call(ctx, m.Transport, callStorage, query)
			r := &storagev1.GetStorageStatsResponse{}
			if err == nil {
				err = proto.Unmarshal(b, r)
			}
			if err != nil {
				n.cfg.Logger.Warn("ask for counts of buckets", "node", name, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out = append(out, r.Edges...)
		})
	}
	asking.Wait()
	slices.SortFunc(out, func(a, b *storagev1.StorageStats) int { return cmp.Compare(a.Node, b.Node) })
	return slices.CompactFunc(out, func(a, b *storagev1.StorageStats) bool { return a.Node == b.Node }), nil
}

// serveStorage answers another control node.
func (n *Node) serveStorage(_ context.Context, _ string, body []byte) ([]byte, error) {
	q := &storagev1.StorageStatsCall{}
	if err := proto.Unmarshal(body, q); err != nil {
		return nil, err
	}
	edges, err := n.ownStorageStats(q)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&storagev1.GetStorageStatsResponse{Edges: edges})
}

// ownStorageStats asks the edges that are connected here.
func (n *Node) ownStorageStats(q *storagev1.StorageStatsCall) ([]*storagev1.StorageStats, error) {
	if n.feed == nil {
		return nil, nil
	}
	names, err := n.bucketNames(q)
	if err != nil {
		return nil, err
	}
	var out []*storagev1.StorageStats
	n.feed.StorageStats(func(node string, store *storagev1.StorageStats, whole time.Time,
		bucket func(string) *storagev1.BucketStats,
	) {
		st := proto.Clone(store).(*storagev1.StorageStats)
		st.Node = node
		if !whole.IsZero() {
			st.AgeNanos = max(int64(time.Since(whole)), 1)
		}
		for _, name := range names {
			if b := bucket(name); b != nil && len(st.Buckets) < reportedBuckets {
				st.Buckets = append(st.Buckets, b)
			}
		}
		st.Damage = damageOf(st.GetDamage(), names, q)
		out = append(out, st)
	})
	return out, nil
}

// damageOf is what a caller may know of an edge's damage: what is of the buckets that are asked
// for; all of it where who operates the installation asks for no bucket.
func damageOf(all *storagev1.StorageDamage, buckets []string, q *storagev1.StorageStatsCall) *storagev1.StorageDamage {
	out := &storagev1.StorageDamage{More: all.GetMore()}
	for _, d := range all.GetThings() {
		if q.Installation && q.Bucket == "" || d.Bucket != "" && slices.Contains(buckets, d.Bucket) {
			out.Things = append(out.Things, d)
		}
	}
	return out
}

// bucketNames are the buckets that a question is about, without "buckets/".
func (n *Node) bucketNames(q *storagev1.StorageStatsCall) ([]string, error) {
	if q.Bucket != "" {
		return []string{strings.TrimPrefix(q.Bucket, "buckets/")}, nil
	}
	r, err := n.core.store.At(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var names []string
	err = r.Scan(bucketKind, q.Organization, "buckets/", "", func(v state.Version) bool {
		names = append(names, strings.TrimPrefix(v.Name, "buckets/"))
		return true
	})
	return names, err
}

const (
	// usedEvery is how often it is noted when access keys were last used; edges tell the hour.
	usedEvery = time.Minute
	usedOps   = 500 // in one transaction
)

// noteUse keeps in the state when access keys were last used, as the edges tell that are
// connected here. It runs on each control node.
func (n *Node) noteUse(ctx context.Context) error {
	if n.storage == nil {
		return nil
	}
	noted := map[string]int64{}
	every(ctx, usedEvery, func(ctx context.Context) {
		if err := n.noteUsed(ctx, noted); err != nil && ctx.Err() == nil {
			n.cfg.Logger.Warn("note the last use of access keys", "err", err)
		}
	})
	return nil
}

func (n *Node) noteUsed(ctx context.Context, noted map[string]int64) error {
	var ops []*statev1.Op
	due := map[string]int64{}
	for id, at := range n.feed.AccessKeysUsed() {
		if at <= noted[id] || len(ops) == usedOps {
			continue
		}
		due[id] = at
		op, err := n.storage.NoteUse(id, at)
		if err != nil {
			return err
		}
		if op != nil {
			ops = append(ops, op)
		}
	}
	if len(ops) > 0 {
		if _, err := n.core.log.Propose(ctx, &statev1.Transaction{
			Origin: n.controller("access keys"),
			Ops:    ops,
		}); err != nil {
			return err
		}
	}
	maps.Copy(noted, due)
	return nil
}
