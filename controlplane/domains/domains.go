// Package domains has organizations show that they control the names that they ask for.
// A name stays pending, stored and not served, until a look at the world's DNS shows
// control over it (design/state.md, Names). Zones ask for it today; gateway hosts and mail
// domains will (design/gateway.md).
//
// Looks are many at a time, bounded in all and for each organization, and organizations
// take turns: one whose name servers never answer waits for them alone, and has one look
// at a time until one ends well. Each result is written when it comes. The goroutine of Run owns the queues; each look
// has a goroutine
// of its own, which Run waits for.
package domains

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Defaults of Config.
const (
	defaultEvery           = 30 * time.Second
	defaultTimeout         = 5 * time.Second
	defaultMost            = 64
	defaultPerOrganization = 4
)

// Claim is a name that waits for its organization to show control over it.
type Claim struct {
	Kind, Organization, Stored string // the resource that asks for the name
	Revision                   uint64 // of the resource
	Name                       string // lower-case A-labels without the last dot
	Challenge                  string // what a TXT record of the name may show; empty: none
}

// who tells claims apart.
type who struct{ kind, organization, stored string }

func (c Claim) who() who { return who{c.Kind, c.Organization, c.Stored} }

// Source is a kind of resources whose names wait.
type Source struct {
	// Pending lists the claims that wait.
	Pending func() ([]Claim, error)
	// Prove looks whether control is shown now.
	Prove func(ctx context.Context, c Claim) bool
	// Shown writes that control was shown, if the resource is still at its revision.
	Shown func(ctx context.Context, c Claim) error
}

// Config of Run; zero fields have their defaults.
type Config struct {
	Sources []Source
	Log     *slog.Logger

	Every           time.Duration // between two looks at one name: 30 s
	Timeout         time.Duration // of one look: 5 s
	Most            int           // looks at a time, in all: 64
	PerOrganization int           // and of one organization: 4
}

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Run looks at all that waits, again and again, until ctx ends.
func Run(ctx context.Context, c Config) {
	orElse(&c.Every, defaultEvery)
	orElse(&c.Timeout, defaultTimeout)
	orElse(&c.Most, defaultMost)
	orElse(&c.PerOrganization, defaultPerOrganization)
	r := &run{
		Config: c, done: make(chan result), active: map[who]bool{}, looks: map[string]int{},
		slow: map[string]bool{}, queues: map[string][]job{},
	}
	var all sync.WaitGroup
	defer all.Wait()
	t := time.NewTicker(c.Every)
	defer t.Stop()
	r.read()
	for ctx.Err() == nil {
		for j, ok := r.next(); ok; j, ok = r.next() {
			all.Go(func() { r.look(ctx, j) })
		}
		select {
		case <-ctx.Done():
		case d := <-r.done:
			delete(r.active, d.who())
			r.looks[d.Organization]--
			r.slow[d.Organization] = d.slow
		case <-t.C:
			r.read()
		}
	}
}

// job is a claim and where it came from.
type job struct {
	Claim
	from *Source
}

// result is what became of a look.
type result struct {
	Claim
	slow bool // there was no answer in time
}

type run struct {
	Config
	done   chan result
	active map[who]bool     // being looked at
	looks  map[string]int   // how many of each organization are
	slow   map[string]bool  // organizations whose last look found no answer in time
	queues map[string][]job // by organization, what waits longest first
	turns  []string         // organizations with a queue; the first is next
}

// read brings the queues up to date: what waits no longer goes, what is new comes last.
func (r *run) read() {
	waiting := map[who]job{}
	var order []job
	for i := range r.Sources {
		from := &r.Sources[i]
		claims, err := from.Pending()
		if err != nil {
			r.Log.Warn("domains: read what is pending", "err", err)
			return
		}
		for _, c := range claims {
			waiting[c.who()] = job{c, from}
			order = append(order, job{c, from})
		}
	}
	for org, queue := range r.queues {
		kept := queue[:0]
		for _, j := range queue {
			if now, ok := waiting[j.who()]; ok {
				kept = append(kept, now)
				delete(waiting, j.who())
			}
		}
		r.queues[org] = kept
	}
	for _, j := range order {
		if _, ok := waiting[j.who()]; ok && !r.active[j.who()] {
			r.push(j)
		}
	}
}

func (r *run) push(j job) {
	if _, ok := r.queues[j.Organization]; !ok {
		r.turns = append(r.turns, j.Organization)
	}
	r.queues[j.Organization] = append(r.queues[j.Organization], j)
}

// next takes the next claim to look at, of the organization whose turn it is; false when
// the bounds allow none now.
func (r *run) next() (j job, ok bool) {
	if len(r.active) >= r.Most {
		return j, false
	}
	for range len(r.turns) {
		org := r.turns[0]
		r.turns = r.turns[1:]
		queue := r.queues[org]
		if len(queue) == 0 && r.looks[org] == 0 {
			delete(r.queues, org)
			delete(r.looks, org)
			delete(r.slow, org)
			continue
		}
		r.turns = append(r.turns, org)
		if len(queue) == 0 || r.looks[org] >= r.bound(org) {
			continue
		}
		r.queues[org] = queue[1:]
		r.looks[org]++
		r.active[queue[0].who()] = true
		return queue[0], true
	}
	return j, false
}

// bound is how many looks an organization may have at a time.
func (r *run) bound(org string) int {
	if r.slow[org] {
		return 1
	}
	return r.PerOrganization
}

// look looks once, and writes what it found.
func (r *run) look(ctx context.Context, j job) {
	lctx, cancel := context.WithTimeout(ctx, r.Timeout)
	shown := j.from.Prove(lctx, j.Claim)
	slow := lctx.Err() != nil
	cancel()
	if shown {
		if err := j.from.Shown(ctx, j.Claim); err != nil && ctx.Err() == nil {
			r.Log.Warn("domains: write that control was shown", "name", j.Name, "err", err)
		}
	}
	select {
	case r.done <- result{j.Claim, slow}:
	case <-ctx.Done():
	}
}
