package feed

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func storageAck(since int64, segment uint64, buckets ...*storagev1.BucketStats) *feedv1.Ack {
	return &feedv1.Ack{CountingSince: since, Storage: &storagev1.StorageStats{SegmentBytes: segment, Buckets: buckets}}
}

// TestBaseDomainsAreInTheStatus while the edge is connected, and no more of them than may be kept.
func TestBaseDomainsAreInTheStatus(t *testing.T) {
	s := &Server{nodes: newNodes()}
	now := time.Unix(1, 0)
	st := s.nodes.hello("e1", &feedv1.Hello{}, now)
	s.nodes.connected(st, true, now)
	tell := func(h *storagev1.S3Hosts) *storagev1.S3Hosts {
		a := storageAck(1, 10)
		a.Storage.Hosts = h
		s.nodes.ack(st, a, now)
		return s.Status()["e1"].S3Hosts
	}
	few := &storagev1.S3Hosts{Domains: []string{"s3.test"}}
	if h := tell(few); !proto.Equal(h, few) {
		t.Errorf("%v, want %v", h, few)
	}
	if h := tell(&storagev1.S3Hosts{}); h == nil {
		t.Error("an edge without base domains tells that it has none")
	}
	for what, h := range map[string]*storagev1.S3Hosts{
		"of an earlier version": nil,
		"too many":              {Domains: make([]string, keepDomains+1)},
		"too long":              {Domains: []string{strings.Repeat("a", keepDomainOctets)}},
	} {
		if kept := tell(h); kept != nil {
			t.Errorf("%s: %v", what, kept)
		}
	}
	tell(few)
	s.nodes.connected(st, false, now)
	if h := s.Status()["e1"].S3Hosts; h != nil {
		t.Errorf("of an edge that is away: %v", h)
	}
}

// TestStorageStatsAreTheLastThatWereTold: an ack tells a part; a new start, or the end of
// the connection, forgets; when keys were used is kept.
func TestStorageStatsAreTheLastThatWereTold(t *testing.T) {
	s := &Server{nodes: newNodes()}
	told := func() string {
		out := ""
		s.StorageStats(func(node string, store *storagev1.StorageStats, _ time.Time,
			bucket func(string) *storagev1.BucketStats,
		) {
			out += fmt.Sprint(node, " ", store.SegmentBytes, " ", bucket("a").GetObjects(), " ",
				bucket("b").GetObjects())
		})
		return out
	}
	want := func(w string) {
		t.Helper()
		if got := told(); got != w {
			t.Errorf("%q, want %q", got, w)
		}
	}
	now := time.Unix(1, 0)
	st := s.nodes.hello("e1", &feedv1.Hello{}, now)
	s.nodes.connected(st, true, now)
	want("")
	s.nodes.ack(st, storageAck(1, 10, &storagev1.BucketStats{Bucket: "a", Objects: 5}), now)
	s.nodes.ack(st, storageAck(1, 20, &storagev1.BucketStats{Bucket: "b", Objects: 7}), now)
	want("e1 20 5 7")
	s.nodes.ack(st, &feedv1.Ack{CountingSince: 1}, now)
	want("e1 20 5 7")
	a := storageAck(2, 30)
	a.Storage.AccessKeys = []*storagev1.AccessKeyUse{{AccessKeyId: "k", LastUsed: 3600}}
	s.nodes.ack(st, a, now)
	want("e1 30 0 0")
	s.nodes.connected(st, false, now)
	want("")
	if used := s.AccessKeysUsed(); used["k"] != 3600 {
		t.Errorf("%v", used)
	}
}
