// Package view is what an edge answers from, over all its services: it hands each
// service the changes of one cut of the feed, publishes what the services compiled, and
// collects what they refused. Services keep their last good values; one bad record, or
// a compiler that panics over it, costs that record alone.
//
// Apply is called by one goroutine at a time, the follower of the feed, which owns the
// compiled values; the revision may be read from anywhere.
package view

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/dark-ecosystem/dark/internal/kind"
)

// NoReleases is why a change of the gated lane is refused.
const NoReleases = "releases are not there yet"

// Change is a published record's change and how it came.
type Change struct {
	kind.Change
	Stream string
	Lane   kind.Lane
}

// Refusal is a change that did not become active, and its stream.
type Refusal struct {
	kind.Refusal
	Stream string
}

// View compiles for a fixed set of services.
type View struct {
	log      *slog.Logger
	parts    []*part
	byKind   map[string][]*part
	revision atomic.Uint64
	refused  atomic.Uint64
}

// part is one service and what it answers from.
type part struct {
	kind.Service
	value   any
	pending []kind.Change
}

// New returns a view for services; each compiles at the first Apply.
func New(log *slog.Logger, services ...kind.Service) (*View, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	v := &View{log: log, byKind: map[string][]*part{}}
	for _, s := range services {
		if s.Compile == nil || s.Swap == nil {
			return nil, fmt.Errorf("view: service %q lacks Compile or Swap", s.Name)
		}
		p := &part{Service: s}
		v.parts = append(v.parts, p)
		for _, k := range s.Kinds {
			v.byKind[k] = append(v.byKind[k], p)
		}
	}
	return v, nil
}

// Kinds lists what some service compiles.
func (v *View) Kinds() []string {
	var all []string
	for _, p := range v.parts {
		all = append(all, p.Kinds...)
	}
	return all
}

// Revision is the one that the view is complete to.
func (v *View) Revision() uint64 { return v.revision.Load() }

// Refused counts refusals since the start.
func (v *View) Refused() uint64 { return v.refused.Load() }

// Apply makes changes active, in order, as of a revision. A change of a kind that no
// service here knows is no refusal: another version of the edge may know it.
func (v *View) Apply(revision uint64, changes []Change) []Refusal {
	refused := v.distribute(changes)
	for _, p := range v.parts {
		for _, r := range v.compile(p) {
			refused = append(refused, Refusal{r, streamOf(changes, r)})
		}
	}
	v.revision.Store(revision)
	v.refused.Add(uint64(len(refused)))
	return refused
}

// Replace makes changes active, and all that they do not name ends: each service compiles
// its value anew.
func (v *View) Replace(revision uint64, changes []Change) []Refusal {
	for _, p := range v.parts {
		p.value = nil
	}
	return v.Apply(revision, changes)
}

// distribute gives each service its changes. It counts first: a start brings millions.
func (v *View) distribute(changes []Change) (refused []Refusal) {
	counts := map[*part]int{}
	for i := range changes {
		for _, p := range v.byKind[changes[i].Kind] {
			counts[p]++
		}
	}
	for p, n := range counts {
		p.pending = make([]kind.Change, 0, n)
	}
	for i := range changes {
		c := &changes[i]
		if c.Lane == kind.LaneGated {
			refused = append(refused, Refusal{refusal(c.Change, NoReleases), c.Stream})
			continue
		}
		for _, p := range v.byKind[c.Kind] {
			p.pending = append(p.pending, c.Change)
		}
	}
	return refused
}

// compile brings one service up to date and publishes its value.
func (v *View) compile(p *part) []kind.Refusal {
	if len(p.pending) == 0 && p.value != nil {
		return nil
	}
	next, refused := v.guarded(p, p.value, p.pending)
	p.pending = nil
	p.value = next
	p.Swap(next)
	return refused
}

// guarded compiles changes. Should the compiler panic, the half is found that it panics
// over, down to the single change, which is refused: prev is immutable, so that trying
// again is safe.
func (v *View) guarded(p *part, prev any, changes []kind.Change) (any, []kind.Refusal) {
	next, refused, fault := try(p, prev, changes)
	if fault == nil {
		return next, refused
	}
	v.log.Error("view: a compiler panicked", "service", p.Name, "changes", len(changes), "panic", fault)
	switch len(changes) {
	case 0:
		return prev, nil
	case 1:
		return prev, []kind.Refusal{refusal(changes[0], fmt.Sprintf("the compiler of %s panicked: %v", p.Name, fault))}
	}
	half := len(changes) / 2
	mid, first := v.guarded(p, prev, changes[:half])
	next, second := v.guarded(p, mid, changes[half:])
	return next, append(first, second...)
}

func try(p *part, prev any, changes []kind.Change) (next any, refused []kind.Refusal, fault any) {
	defer func() { fault = recover() }()
	next, refused = p.Compile(prev, changes)
	return next, refused, nil
}

func refusal(c kind.Change, reason string) kind.Refusal {
	return kind.Refusal{Kind: c.Kind, Organization: c.Organization, Name: c.Name, Revision: c.Revision, Reason: reason}
}

// streamOf finds the stream that a refused change came by.
func streamOf(changes []Change, r kind.Refusal) string {
	for i := len(changes) - 1; i >= 0; i-- {
		c := &changes[i]
		if c.Name == r.Name && c.Kind == r.Kind && c.Organization == r.Organization {
			return c.Stream
		}
	}
	return ""
}
