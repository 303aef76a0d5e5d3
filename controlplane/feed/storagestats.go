package feed

import (
	"time"

	"google.golang.org/protobuf/proto"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Most buckets and access keys of one edge whose counts are kept.
const (
	keepBuckets    = 1 << 17
	keepAccessKeys = 1 << 17
	// keepDamage bounds the damaged things that are kept of an edge; the edge bounds their octets.
	keepDamage = 200

	// ackedBuckets is how many buckets an edge tells of at most in one ack: of fewer, it has
	// told all that changed.
	ackedBuckets = 200

	// The most base domains of an edge that are kept, and octets of them all.
	keepDomains      = 64
	keepDomainOctets = 16 << 10
)

// storageStats are what a connected edge told of its store. It is guarded by nodes.mu.
type storageStats struct {
	since   int64
	store   *storagev1.StorageStats // without buckets and access keys
	buckets map[string]*storagev1.BucketStats
	used    map[string]int64 // access key ID → Unix seconds
	whole   time.Time        // when it last told all that had changed
}

// take keeps what an ack tells; counts that began anew replace all.
func (s *storageStats) take(a *feedv1.Ack) {
	told := a.GetStorage()
	if told == nil {
		return
	}
	if s.used == nil {
		s.used = map[string]int64{}
	}
	if a.GetCountingSince() != s.since || s.buckets == nil {
		s.since, s.buckets = a.GetCountingSince(), map[string]*storagev1.BucketStats{}
	}
	if len(told.GetBuckets()) < ackedBuckets {
		s.whole = time.Now()
	}
	for _, b := range told.GetBuckets() {
		if _, known := s.buckets[b.GetBucket()]; known || len(s.buckets) < keepBuckets {
			s.buckets[b.GetBucket()] = b
		}
	}
	for _, u := range told.GetAccessKeys() {
		if _, known := s.used[u.GetAccessKeyId()]; known || len(s.used) < keepAccessKeys {
			s.used[u.GetAccessKeyId()] = u.GetLastUsed()
		}
	}
	told.Buckets, told.AccessKeys = nil, nil
	if told.Damage == nil { // it is what was told before
		told.Damage = s.store.GetDamage()
	}
	if d := told.GetDamage(); len(d.GetThings()) > keepDamage {
		d.Things, d.More = d.Things[:keepDamage], true
	}
	if h := told.GetHosts(); len(h.GetDomains()) > keepDomains || proto.Size(h) > keepDomainOctets {
		told.Hosts = nil
	}
	s.store = told
}

// gone forgets what an edge tells again when it connects, here or to another node.
func (s *storageStats) gone() { s.since, s.store, s.buckets, s.whole = 0, nil, nil, time.Time{} }

// StorageStats calls yield with what each edge that is connected here says of its store,
// when it last told all that had changed, and of each bucket that it told of. What is told
// is shared and must not be changed.
func (s *Server) StorageStats(yield func(node string, store *storagev1.StorageStats, whole time.Time,
	bucket func(name string) *storagev1.BucketStats),
) {
	n := s.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, st := range n.mu.byName {
		if st.Connected && st.storage.store != nil {
			yield(name, st.storage.store, st.storage.whole, func(bucket string) *storagev1.BucketStats {
				return st.storage.buckets[bucket]
			})
		}
	}
}

// AccessKeysUsed returns when access keys were last used at the edges that connected here
// since the start, Unix seconds.
func (s *Server) AccessKeysUsed() map[string]int64 {
	n := s.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]int64{}
	for _, st := range n.mu.byName {
		for id, at := range st.storage.used {
			out[id] = max(out[id], at)
		}
	}
	return out
}
