package api

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
)

// bounds are what one key, one organization and all of them may have at a time.
type bounds struct{ key, organization, all int }

// shares counts what is in use, by key and organization. Its owner has the lock.
type shares struct {
	all           int
	organizations map[string]int
	keys          map[string]int
}

func newShares() shares { return shares{organizations: map[string]int{}, keys: map[string]int{}} }

func (s *shares) fits(c identity.Caller, n int, b bounds) bool {
	return s.all+n <= b.all && s.organizations[c.Organization]+n <= b.organization && s.keys[c.Who]+n <= b.key
}

func (s *shares) add(c identity.Caller, n int) {
	s.all += n
	addTo(s.organizations, c.Organization, n)
	addTo(s.keys, c.Who, n)
}

func addTo(m map[string]int, key string, n int) {
	if m[key] += n; m[key] == 0 {
		delete(m, key)
	}
}

// lane bounds how many requests of one sort are at work. Those beyond wait, for a short
// time and in bounded number, in the order in which they came; one whose key or
// organization has its share is passed over, so that no organization holds up another.
type lane struct {
	what          string
	work, waiting bounds
	patience      time.Duration

	mu struct {
		sync.Mutex
		working, queued shares
		queue           []*waiter
	}
}

type waiter struct {
	caller identity.Caller
	admit  chan struct{} // closed when its turn has come
}

func newLane(what string, work, waiting bounds) *lane {
	l := &lane{what: what, work: work, waiting: waiting, patience: 5 * time.Second}
	l.mu.working, l.mu.queued = newShares(), newShares()
	return l
}

// enter waits for a place; leave gives it back.
func (l *lane) enter(ctx context.Context, c identity.Caller) (leave func(), err error) {
	w, ok := l.begin(c)
	if !ok {
		return nil, l.full(c)
	}
	if w == nil {
		return func() { l.leave(c) }, nil
	}
	patience := time.NewTimer(l.patience)
	defer patience.Stop()
	select {
	case <-w.admit:
		return func() { l.leave(c) }, nil
	case <-patience.C:
		err = l.full(c)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if l.giveUp(w) {
		return nil, err
	}
	return func() { l.leave(c) }, nil // its turn came in the same moment
}

// begin takes a place, or one in the queue; false when both are full.
func (l *lane) begin(c identity.Caller) (*waiter, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.working.fits(c, 1, l.work) {
		l.mu.working.add(c, 1)
		return nil, true
	}
	if !l.mu.queued.fits(c, 1, l.waiting) {
		return nil, false
	}
	w := &waiter{caller: c, admit: make(chan struct{})}
	l.mu.queued.add(c, 1)
	l.mu.queue = append(l.mu.queue, w)
	return w, true
}

func (l *lane) leave(c identity.Caller) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.working.add(c, -1)
	for i := 0; i < len(l.mu.queue); {
		w := l.mu.queue[i]
		if !l.mu.working.fits(w.caller, 1, l.work) {
			i++
			continue
		}
		l.mu.working.add(w.caller, 1)
		l.mu.queued.add(w.caller, -1)
		l.mu.queue = slices.Delete(l.mu.queue, i, i+1)
		close(w.admit)
	}
}

// giveUp takes a waiter out of the queue; false when its turn has come.
func (l *lane) giveUp(w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.mu.queue, w)
	if i < 0 {
		return false
	}
	l.mu.queue = slices.Delete(l.mu.queue, i, i+1)
	l.mu.queued.add(w.caller, -1)
	return true
}

func (l *lane) full(c identity.Caller) error {
	if c.Organization == "" {
		return admit.Because(errs.Exhausted, admit.ReasonBusy,
			"this control node does as many %s at a time as it may (%d for one address, %d in all); try again",
			l.what, l.work.key, l.work.all)
	}
	return admit.Because(errs.Exhausted, admit.ReasonBusy,
		"this control node does as many %s at a time as it may (%d for one key, %d for organization %s, %d in all); "+
			"try again",
		l.what, l.work.key, l.work.organization, c.Organization, l.work.all)
}

// lanes by the sort of a method. Health, the state of the cluster and what operators do to
// it are in none: nothing that tenants do holds them up.
type lanes struct {
	lists, reads, writes, streams *lane
	// computing is how many lists are made at a time: more than there are processors only
	// hold up all else.
	computing *lane
	// requests holds what request bodies have of memory, in octets.
	requests *octets
}

func newLanes() *lanes {
	n := max(2, runtime.GOMAXPROCS(0)/2)
	return &lanes{
		lists:     newLane("lists", bounds{4, 8, 16}, bounds{16, 64, 256}),
		reads:     newLane("reads", bounds{16, 32, 64}, bounds{256, 512, 2048}),
		writes:    newLane("writes", bounds{128, 128, 256}, bounds{1024, 1024, 4096}),
		streams:   newLane("streams", bounds{32, 64, 512}, bounds{}),
		computing: newLane("lists", bounds{n, n, n}, bounds{16, 64, 256}),
		requests:  newOctets(bounds{32 << 20, 64 << 20, 128 << 20}),
	}
}

// of returns the lane of a method; nil for none.
func (l *lanes) of(full string) *lane {
	service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
	switch {
	case service == "dark.cluster.v1.ClusterService" && method == "Wait", method == "ExportZone":
		return l.streams
	case service == "dark.cluster.v1.ClusterService" && method != "ListZoneStats", method == "Watch",
		method == "ImportZone":
		return nil
	case strings.HasPrefix(method, "List"), method == "Diff", method == "GetHistory", method == "VerifyAudit",
		method == "GetStorageStats":
		return l.lists
	case strings.HasPrefix(method, "Get"):
		return l.reads
	}
	return l.writes
}

// octets bounds what is held of memory.
type octets struct {
	most bounds
	mu   struct {
		sync.Mutex
		held shares
	}
}

func newOctets(most bounds) *octets {
	o := &octets{most: most}
	o.mu.held = newShares()
	return o
}

func (o *octets) take(c identity.Caller, n int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.mu.held.fits(c, n, o.most) {
		return admit.Because(errs.Exhausted, admit.ReasonBusy,
			"the requests on their way hold as many octets here as they may (%d of one key, %d of organization %s, "+
				"%d in all); try again",
			o.most.key, o.most.organization, c.Organization, o.most.all)
	}
	o.mu.held.add(c, n)
	return nil
}

func (o *octets) give(c identity.Caller, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.held.add(c, -n)
}
