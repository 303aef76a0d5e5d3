package feed_test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// source is the replicated state as these tests need it: streams with their frames and
// records, in memory.
type source struct {
	key     ed25519.PrivateKey
	cluster string
	epoch   uint64

	mu       sync.Mutex
	revision uint64
	streams  map[string]*stored
	subs     map[string][]string // of a node; "*" for all others
	placed   uint64
	changed  chan struct{}
	// inSnapshot, if set, is called by Snapshot before each item.
	inSnapshot func(stream string)
}

type stored struct {
	frames   []feed.StoredFrame
	records  map[string]*feedv1.Item
	previous map[uint64]uint64 // revision before each
}

func newSource(t testing.TB, streams ...string) *source {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &source{
		key: key, cluster: "test", epoch: 1,
		streams: map[string]*stored{}, subs: map[string][]string{"*": streams}, changed: make(chan struct{}),
	}
}

func (s *source) public() ed25519.PublicKey { return s.key.Public().(ed25519.PublicKey) }

// publish commits items to a stream as one revision in as many parts as given.
func (s *source) publish(t testing.TB, stream string, parts ...[]*feedv1.Item) uint64 {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	s.appendLocked(t, stream, parts...)
	s.tellLocked()
	return s.revision
}

func (s *source) tellLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *source) appendLocked(t testing.TB, stream string, parts ...[]*feedv1.Item) {
	st := s.streams[stream]
	if st == nil {
		st = &stored{records: map[string]*feedv1.Item{}, previous: map[uint64]uint64{}}
		s.streams[stream] = st
	}
	st.previous[s.revision] = 0
	if n := len(st.frames); n > 0 {
		st.previous[s.revision] = st.frames[n-1].Revision
	}
	for i, items := range parts {
		f := &feedv1.Frame{
			Cluster: s.cluster, Stream: stream, Epoch: s.epoch, Revision: s.revision, Part: uint32(i),
			Last: i == len(parts)-1, Items: items, SignedAt: time.Now().UnixNano(),
		}
		if n := len(st.frames); n > 0 {
			f.PreviousRevision, f.PreviousHash = st.frames[n-1].Revision, st.frames[n-1].Hash
		}
		data, hash, err := frame.Seal(s.key, f)
		if err != nil {
			t.Fatal(err)
		}
		st.frames = append(st.frames, feed.StoredFrame{
			Revision: f.Revision, Part: f.Part, Last: f.Last, Data: data,
			Hash: hash[:],
		})
		for _, item := range items {
			st.keep(item)
		}
	}
}

func (st *stored) keep(item *feedv1.Item) {
	key := item.Kind + "\x00" + item.Name
	switch {
	case item.Prefix:
		maps.DeleteFunc(st.records, func(k string, _ *feedv1.Item) bool { return strings.HasPrefix(k, key) })
	case item.Deleted:
		delete(st.records, key)
	default:
		st.records[key] = item
	}
}

// follows reports whether nothing is missing between a position and list.
func (st *stored) follows(list []feed.StoredFrame, rev uint64, part uint32) bool {
	if len(list) == 0 {
		last := st.frames[len(st.frames)-1]
		return last.Revision == rev && last.Part == part
	}
	if list[0].Revision == rev {
		return list[0].Part == part+1
	}
	return list[0].Part == 0 && st.previous[list[0].Revision] == rev
}

// compact forgets all frames of a stream but the last.
func (s *source) compact(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if n := len(st.frames); n > 1 {
		st.frames = st.frames[n-1:]
	}
}

func (s *source) subscribe(node string, streams ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subs[node] = streams
	s.placed++
}

func (s *source) Identity() (string, uint64) { return s.cluster, s.epoch }

func (s *source) Published() (uint64, time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revision, time.Now()
}

func (s *source) WaitPublished(ctx context.Context, after uint64) error {
	for {
		s.mu.Lock()
		now, changed := s.revision, s.changed
		s.mu.Unlock()
		if now > after {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *source) Head(stream string) (uint64, uint32, []byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.headLocked(stream)
}

func (s *source) headLocked(stream string) (uint64, uint32, []byte, bool) {
	st := s.streams[stream]
	if st == nil {
		return 0, 0, nil, false
	}
	f := st.frames[len(st.frames)-1]
	return f.Revision, f.Part, f.Hash, true
}

func (s *source) Frames(stream string, rev uint64, part uint32, limit int) ([]feed.StoredFrame, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return nil, nil
	}
	var list []feed.StoredFrame
	for _, f := range st.frames {
		at := frame.Position{Revision: rev, Part: part}
		if at.Before(f.Revision, f.Part) && len(list) < limit {
			list = append(list, f)
		}
	}
	if !st.follows(list, rev, part) {
		return nil, feed.ErrCompacted
	}
	return list, nil
}

func (s *source) Snapshot(stream string, emit func(*feedv1.Item) error) (uint64, uint32, []byte, error) {
	s.mu.Lock()
	rev, part, hash, _ := s.headLocked(stream)
	st := s.streams[stream]
	var items []*feedv1.Item
	for _, k := range slices.Sorted(maps.Keys(st.records)) {
		items = append(items, st.records[k])
	}
	hook := s.inSnapshot
	s.mu.Unlock()
	for _, item := range items {
		if hook != nil {
			hook(stream)
		}
		if err := emit(item); err != nil {
			return 0, 0, nil, err
		}
	}
	return rev, part, hash, nil
}

func (s *source) Streams(node string) ([]string, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if list, ok := s.subs[node]; ok {
		return list, s.placed + 1, nil
	}
	return s.subs["*"], s.placed + 1, nil
}

func (s *source) grant(_ *x509.Certificate, node string, streams []string,
	revision uint64,
) (*feedv1.Subscription, error) {
	return frame.SealGrant(s.key, &feedv1.Grant{
		Cluster: s.cluster, Epoch: s.epoch, Node: node, Revision: revision, Streams: streams,
		SignedAt: time.Now().UnixNano(),
	})
}

func (s *source) Placement() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.placed
}

func (s *source) sign(f *feedv1.Frame) ([]byte, [32]byte, error) { return frame.Seal(s.key, f) }

// set is a data item, end a deletion.
func set(name, value string) []*feedv1.Item {
	return []*feedv1.Item{{Kind: "test.Record", Name: name, Lane: 1, Value: []byte(value)}}
}

func end(name string) []*feedv1.Item {
	return []*feedv1.Item{{Kind: "test.Record", Name: name, Lane: 1, Deleted: true}}
}

func deny(subject string) []*feedv1.Item {
	return []*feedv1.Item{{Kind: "test.Revoked", Name: subject, Lane: 2, Value: []byte("x")}}
}
