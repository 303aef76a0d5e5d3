package controlplane

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/ca"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
)

// stateReader is the state as admit, api and identity read it.
type stateReader struct{ *state.Store }

func (s stateReader) At(revision uint64) (admit.Reader, error) {
	r, err := s.Store.At(revision)
	if err != nil {
		return nil, err
	}
	return reader{r}, nil
}

func (s stateReader) History(kind, organization, name string, before uint64, limit int) ([]admit.Version, error) {
	vs, err := s.Store.History(kind, organization, name, before, limit)
	out := make([]admit.Version, len(vs))
	for i, v := range vs {
		out[i] = admit.Version(v)
	}
	return out, err
}

type reader struct{ *state.Reader }

func (r reader) Get(kind, organization, name string) (admit.Version, bool, error) {
	v, ok, err := r.Reader.Get(kind, organization, name)
	return admit.Version(v), ok, err
}

func (r reader) Scan(kind, organization, prefix, after string, yield func(admit.Version) bool) error {
	return r.Reader.Scan(kind, organization, prefix, after, func(v state.Version) bool {
		return yield(admit.Version(v))
	})
}

func (r reader) ScanAll(kind string, yield func(admit.Version) bool) error {
	return r.Reader.ScanAll(kind, func(v state.Version) bool { return yield(admit.Version(v)) })
}

// proposer is the log as api sees it.
type proposer struct{ *state.Log }

// source is the state as the feed sees it.
type source struct {
	store   *state.Store
	cluster string
	epoch   uint64

	mu struct {
		sync.Mutex
		at   uint64 // last change that placed was read at
		ok   bool
		read uint64 // how often it was read
		// chosen is the last change in the state that it was read from: the same on every
		// control node that reads the same placement, and later for each later one.
		chosen uint64
		orgs   []placed
		node   map[string]map[string]string // name of a node → labels
		role   map[string]string
	}
}

var organizationKind = string((&identityv1.Organization{}).ProtoReflect().Descriptor().FullName())

// placed is an organization and the labels that an edge must have to carry it.
type placed struct {
	name   string
	labels map[string]string
}

func (s *source) Identity() (string, uint64) { return s.cluster, s.epoch }

func (s *source) Published() (uint64, time.Time) { return s.store.Through() }

func (s *source) WaitPublished(ctx context.Context, after uint64) error {
	return s.store.WaitPublished(ctx, after)
}

func (s *source) Head(stream string) (revision uint64, part uint32, hash []byte, ok bool) {
	h, err := s.store.Head(stream)
	if err != nil || h == nil {
		return 0, 0, nil, false
	}
	return h.Revision, h.Part, h.Hash, true
}

func (s *source) Frames(stream string, afterRevision uint64, afterPart uint32, limit int) ([]feed.StoredFrame, error) {
	frames, err := s.store.Frames(stream, afterRevision, afterPart, limit)
	if errors.Is(err, state.ErrCompacted) {
		return nil, feed.ErrCompacted
	}
	out := make([]feed.StoredFrame, len(frames))
	for i, f := range frames {
		out[i] = feed.StoredFrame{Revision: f.Revision, Part: f.Part, Last: f.Last, Data: f.Data, Hash: f.Hash}
	}
	return out, err
}

func (s *source) Snapshot(stream string, emit func(*feedv1.Item) error) (uint64, uint32, []byte, error) {
	h, err := s.store.Records(stream, emit)
	return h.GetRevision(), h.GetPart(), h.GetHash(), err
}

// Streams of an edge: what concerns all, its role, and the organizations placed on it.
func (s *source) Streams(node string) ([]string, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refreshLocked(); err != nil {
		return nil, 0, err
	}
	role, ok := s.mu.role[node]
	if !ok {
		return nil, s.mu.chosen, nil // removed: nothing is for it any more
	}
	streams := []string{"system", "role/" + role}
	for _, o := range s.mu.orgs {
		if matches(o.labels, s.mu.node[node]) {
			streams = append(streams, "org/"+o.name)
		}
	}
	slices.Sort(streams)
	return streams, s.mu.chosen, nil
}

// Placement implements feed.Placement: it counts how often the placement was read, and
// what cannot be read counts too, so that Streams is asked and says why.
func (s *source) Placement() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refreshLocked() != nil {
		s.mu.read++
	}
	return s.mu.read
}

// refreshLocked reads the placement again when it may have changed.
func (s *source) refreshLocked() error {
	at := s.store.LastChange()
	if s.mu.ok && at == s.mu.at {
		return nil
	}
	if !s.mu.ok || placementChanged(s.store, s.mu.at, at) {
		s.mu.ok = false
		if err := s.readPlacement(); err != nil {
			return err
		}
		s.mu.read++
	}
	s.mu.at, s.mu.ok = at, true
	return nil
}

func (s *source) readPlacement() error {
	r, err := s.store.At(0)
	if err != nil {
		return err
	}
	defer r.Close()
	chosen := s.store.LastChange()
	if chosen > r.Revision() {
		return s.readPlacement() // a change came between the two
	}
	s.mu.chosen = chosen
	s.mu.orgs, s.mu.node, s.mu.role = nil, map[string]map[string]string{}, map[string]string{}
	var bad error
	err = r.Scan(organizationKind, "", "organizations/", "", func(v state.Version) bool {
		var o identityv1.Organization
		bad = errors.Join(bad, proto.Unmarshal(v.Value, &o))
		s.mu.orgs = append(s.mu.orgs, placed{strings.TrimPrefix(v.Name, "organizations/"), o.GetSpec().GetPlacement()})
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	return errors.Join(r.Scan(nodeKind, "", "nodes/", "", func(v state.Version) bool {
		var n clusterv1.Node
		bad = errors.Join(bad, proto.Unmarshal(v.Value, &n))
		name := strings.TrimPrefix(v.Name, "nodes/")
		s.mu.node[name], s.mu.role[name] = n.Labels, ca.Edge
		if n.GetSpec().GetRole() != "" {
			s.mu.role[name] = n.GetSpec().GetRole()
		}
		return true
	}), bad)
}

func matches(want, have map[string]string) bool {
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}
