// Package statetest is a naive model of the replicated state, for tests of what is
// written over it: every version of every resource in maps, judged by the same rules
// as controlplane/state in the plainest way. One lock guards all of it.
package statetest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

type id struct{ kind, organization, name string }

type holder struct {
	ref   id
	claim *statev1.Claim
}

type meta struct {
	value    []byte
	revision uint64
}

// State is the model; New makes one. It is admit.State and admit.Proposer.
type State struct {
	mu        sync.Mutex
	revision  uint64
	oldest    uint64
	versions  map[id][]admit.Version
	commits   []*statev1.Commit
	claims    []holder
	meta      map[string]meta
	requests  map[string]*statev1.RequestRecord
	published map[[3]string][]byte
	limits    map[string]uint64
	changed   chan struct{}
	// Before, if set, is called with each proposed transaction before it is judged.
	Before func(*statev1.Transaction)
	// Told: it reads as if a publisher had told edges of every bulk at once. There is none
	// here, and a large import waits for one.
	Told bool
}

// New returns an empty state.
func New() *State {
	return &State{
		oldest: 1, versions: map[id][]admit.Version{}, meta: map[string]meta{},
		requests:  map[string]*statev1.RequestRecord{},
		published: map[[3]string][]byte{}, limits: map[string]uint64{}, changed: make(chan struct{}),
	}
}

// Revision is admit.State's.
func (s *State) Revision() uint64 { s.mu.Lock(); defer s.mu.Unlock(); return s.revision }

// Oldest is admit.State's.
func (s *State) Oldest() uint64 { s.mu.Lock(); defer s.mu.Unlock(); return s.oldest }

// Compact makes revisions below r unreadable.
func (s *State) Compact(r uint64) { s.mu.Lock(); defer s.mu.Unlock(); s.oldest = r }

// Limit sets how many resources of a kind an organization may have.
func (s *State) Limit(organization, kind string, n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits[organization+"/"+kind] = n
}

// SetPublished makes a published record be value.
func (s *State) SetPublished(stream, kind, name string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published[[3]string{stream, kind, name}] = value
}

// Published is admit.State's.
func (s *State) Published(stream, kind, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.published[[3]string{stream, kind, name}], nil
}

// Meta is admit.State's.
func (s *State) Meta(key string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meta[key]
	if s.Told && m.value != nil && strings.HasPrefix(key, "bulk/") {
		done, err := proto.Marshal(&statev1.Bulk{Done: true})
		return done, m.revision, err
	}
	return m.value, m.revision, nil
}

// MetaKeys lists the keys that are set.
func (s *State) MetaKeys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.meta))
}

// VerifyAudit is admit.State's.
func (s *State) VerifyAudit() (uint64, uint64, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.commits)), 0, nil, nil
}

// Current is admit.Proposer's; the model is always current.
func (s *State) Current(ctx context.Context) error { return ctx.Err() }

// Commits is admit.State's.
func (s *State) Commits(after uint64, limit int) ([]*statev1.Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after+1 < s.oldest {
		return nil, errs.New(errs.Expired, "revision %d is no longer kept; the oldest is %d", after+1, s.oldest)
	}
	if after >= uint64(len(s.commits)) {
		return nil, nil
	}
	c := s.commits[after:]
	return c[:min(limit, len(c))], nil
}

// WaitRevision is admit.State's.
func (s *State) WaitRevision(ctx context.Context, after uint64) error {
	for {
		s.mu.Lock()
		done, ch := s.revision > after, s.changed
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ch:
		}
	}
}

// History is admit.State's.
func (s *State) History(kind, organization, name string, before uint64, limit int) ([]admit.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []admit.Version
	for _, v := range slices.Backward(s.versions[id{kind, organization, name}]) {
		if (before == 0 || v.Revision < before) && len(out) < limit {
			out = append(out, v)
		}
	}
	return out, nil
}

// At is admit.State's.
func (s *State) At(revision uint64) (admit.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case revision == 0:
		revision = s.revision
	case revision > s.revision:
		return nil, errs.New(errs.NotFound, "revision %d is yet to come", revision)
	case revision < s.oldest:
		return nil, errs.New(errs.Expired, "revision %d is no longer kept; the oldest is %d", revision, s.oldest)
	}
	return &reader{s, revision}, nil
}

type reader struct {
	s   *State
	rev uint64
}

func (r *reader) Revision() uint64 { return r.rev }
func (r *reader) Close()           {}

func (r *reader) Get(kind, organization, name string) (admit.Version, bool, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	v, ok := at(r.s.versions[id{kind, organization, name}], r.rev)
	return v, ok, nil
}

// at is the live version at a revision.
func at(vs []admit.Version, revision uint64) (admit.Version, bool) {
	for _, v := range slices.Backward(vs) {
		if v.Revision <= revision {
			return v, !v.Deleted
		}
	}
	return admit.Version{}, false
}

func (r *reader) Scan(kind, organization, prefix, after string, yield func(admit.Version) bool) error {
	r.s.mu.Lock()
	var found []admit.Version
	for k, vs := range r.s.versions {
		if k.kind == kind && k.organization == organization && strings.HasPrefix(k.name, prefix) && k.name > after {
			if v, ok := at(vs, r.rev); ok {
				found = append(found, v)
			}
		}
	}
	r.s.mu.Unlock()
	slices.SortFunc(found, func(a, b admit.Version) int { return strings.Compare(a.Name, b.Name) })
	for _, v := range found {
		if !yield(v) {
			break
		}
	}
	return nil
}

func (r *reader) ScanAll(kind string, yield func(admit.Version) bool) error {
	r.s.mu.Lock()
	orgs := map[string]bool{}
	for k := range r.s.versions {
		orgs[k.organization] = true
	}
	r.s.mu.Unlock()
	more := true
	for _, o := range slices.Sorted(maps.Keys(orgs)) {
		if more {
			_ = r.Scan(kind, o, "", "", func(v admit.Version) bool { more = yield(v); return more })
		}
	}
	return nil
}

// now is the time that the model stamps: a second a revision.
func (s *State) now() time.Time { return time.Unix(1_700_000_000+int64(s.revision), 0).UTC() }
