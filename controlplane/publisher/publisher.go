// Package publisher is the controller that turns desired state into the signed frames
// that edges get. It runs on the leader, may be stopped at any point and go on on
// another, and is fenced: each of its transactions names the lease that it was taken
// under, and each frame the one before it.
//
// Data enters as the state's change log, is turned into records by the kinds' Publish,
// and leaves as transactions that hold frames; feed carries those to the edges. One
// goroutine, that of Run, owns everything here.
package publisher

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Lease fences publishers of different leaders against each other.
const Lease = "publisher"

// coalesce is the least time between two publications, so that many small writes share
// frames (design/feed.md).
const coalesce = 5 * time.Millisecond

// systemEvery is how often the installation's own records are made anew, as some follow
// the time and not a change.
const systemEvery = 10 * time.Second

// Proposer has transactions accepted; the leader's state.Log is one.
type Proposer interface {
	Propose(ctx context.Context, tx *statev1.Transaction) (state.Outcome, error)
}

// Config is what a Publisher needs.
type Config struct {
	Node    string // name of this control node
	Cluster string
	Epoch   uint64
	Key     ed25519.PrivateKey // signs frames
	Store   *state.Store
	Read    func(revision uint64) (admit.Reader, error) // opens readers of Store
	Propose Proposer
	Kinds   []*kind.Kind
	// System makes the records that are the installation's own and follow from no
	// resource: each is published when its value is another than the published one. It
	// must answer the same for the same state and time. nil: none.
	System func(now time.Time) ([]kind.Record, error)
	// Wake has System asked at once, not in ten seconds; nil: never.
	Wake  <-chan struct{}
	Clock clock.Clock
	Log   *slog.Logger
	// Bounds of one publication; the zero value stands for DefaultBounds.
	Bounds Bounds
}

// Publisher publishes while its node leads.
type Publisher struct {
	Config
	kinds      map[string]*kind.Kind
	generation uint64          // of the lease
	denied     uint64          // revision up to which revocations are out
	aside      map[string]bool // keys of what is set aside
	again      []*statev1.Ref  // what was set aside before this publisher began
	turn       string          // key of the bulk that had a page last
	waited     bool            // the last round put off its page
}

// New returns a publisher.
func New(c Config) *Publisher {
	if c.Bounds == (Bounds{}) {
		c.Bounds = DefaultBounds
	}
	p := &Publisher{Config: c, kinds: map[string]*kind.Kind{}}
	for _, k := range c.Kinds {
		p.kinds[k.FullName()] = k
	}
	return p
}

// Run takes the lease and publishes until ctx ends or another publisher has taken over,
// which is no error.
func (p *Publisher) Run(ctx context.Context) error {
	if err := p.takeLease(ctx); err != nil {
		return fmt.Errorf("take the publisher's lease: %w", err)
	}
	for {
		start := time.Now()
		more, err := p.publish(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it ended because it was told to
		case errs.Is(err, errs.Conflict):
			return p.lostLease(err)
		case err != nil:
			// What was not published stays to be published; the edges go on with what they have.
			p.Log.Error("publish", "err", err)
			if !pause(ctx, time.Second) {
				return nil
			}
		case !more:
			if !p.wait(ctx) {
				return nil
			}
		}
		if !pause(ctx, coalesce-time.Since(start)) {
			return nil
		}
	}
}

// wait returns when a resource changed, or when it is time to look at the installation's
// own records; false when ctx ended.
func (p *Publisher) wait(ctx context.Context) bool {
	wctx, cancel := context.WithTimeout(ctx, systemEvery)
	var waking sync.WaitGroup
	waking.Go(func() {
		select {
		case <-p.Wake:
			cancel()
		case <-wctx.Done():
		}
	})
	defer waking.Wait()
	defer cancel()
	err := p.Store.WaitChange(wctx, p.done())
	return err == nil || wctx.Err() != nil && ctx.Err() == nil
}

// lostLease tells a conflict that comes of another publisher from one of our own making.
func (p *Publisher) lostLease(err error) error {
	l, lerr := p.Store.Lease(Lease)
	if lerr == nil && l.Generation != p.generation {
		return nil
	}
	return fmt.Errorf("publish: %w", err)
}

func (p *Publisher) takeLease(ctx context.Context) error {
	out, err := p.Propose.Propose(ctx, &statev1.Transaction{
		Origin: p.origin("take lease"),
		Ops:    []*statev1.Op{{Op: &statev1.Op_TakeLease{TakeLease: &statev1.TakeLease{Lease: Lease, Holder: p.Node}}}},
	})
	if err != nil {
		return err
	}
	if err := p.Store.WaitRevision(ctx, out.Revision-1); err != nil {
		return err
	}
	l, err := p.Store.Lease(Lease)
	if err != nil {
		return err
	}
	if l.Holder != p.Node {
		return errs.New(errs.Conflict, "%s took the lease at the same time", l.Holder)
	}
	p.generation, p.denied = l.Generation, 0
	return p.loadAside()
}

func (p *Publisher) origin(method string) *statev1.Origin {
	return &statev1.Origin{Who: "controller:publisher@" + p.Node, Method: method}
}

// done is the revision up to which nothing is left to publish.
func (p *Publisher) done() uint64 {
	through, _ := p.Store.Through()
	return through
}

// publish makes one publication: the revocations among all changes so far, then the
// installation's own records, then changes and a page of a bulk as far as they fit. It
// reports whether there was anything.
func (p *Publisher) publish(ctx context.Context) (more bool, err error) {
	through := p.done()
	revision := p.Store.Revision() // before LastChange: what changes between the two is after it
	last := p.Store.LastChange()
	denied, deniedTo, err := p.ahead(ctx, through, last)
	if err != nil {
		return false, err
	}
	target, fixed, err := p.target(through, last, revision)
	if err != nil || target <= through {
		return false, err
	}
	r, err := p.gather(ctx, through, target, fixed)
	if err != nil {
		return false, err
	}
	defer r.close()
	if _, err = r.rest(len(denied) > 0); err != nil {
		return false, err
	}
	if r.records = append(denied, r.records...); len(r.records) == 0 && len(r.marks) == 0 && last <= through {
		return false, nil
	}
	if err := p.write(r); err != nil {
		return false, err
	}
	p.denied = deniedTo
	return true, nil
}

// rest adds what is not a change: what was set aside before, the installation's own
// records, and a page of a bulk, which waits for the next round where one is urgent.
func (r *round) rest(urgent bool) (more bool, err error) {
	if err := r.retry(); err != nil {
		return false, err
	}
	if err := r.system(); err != nil {
		return false, err
	}
	if urgent && !r.p.waited {
		r.p.waited = true
		return true, nil
	}
	r.p.waited = false
	return r.pages()
}

// target is the revision to publish next: where a publication that was cut short was
// going, so that its parts fit together, or else the latest change. Where nothing
// changed there may be records that follow from no change: each publication is a
// revision of its own, so that there is one after through.
func (p *Publisher) target(through, last, revision uint64) (target uint64, fixed bool, err error) {
	if c := p.Store.PublishCursor(); len(c) > 0 {
		m := &statev1.PublishCursor{}
		err := proto.Unmarshal(c, m)
		return m.Target, true, err
	}
	switch {
	case last > through:
		return last, false, nil
	case through == 0:
		return 0, false, nil // nor is anything told before the first resource
	}
	return revision, false, nil
}

func (p *Publisher) view(revision uint64) (*view, error) {
	if revision == 0 {
		return newView(empty{}, p.Store.Published, func() {}), nil
	}
	r, err := p.Read(revision)
	if err != nil {
		return nil, err
	}
	return newView(r, p.Store.Published, r.Close), nil
}

// pause waits d; false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// empty is desired state before the first revision.
type empty struct{}

func (empty) Revision() uint64 { return 0 }
func (empty) Close()           {}
func (empty) Get(string, string, string) (admit.Version, bool, error) {
	return admit.Version{}, false, nil
}
func (empty) Scan(string, string, string, string, func(admit.Version) bool) error { return nil }
func (empty) ScanAll(string, func(admit.Version) bool) error                      { return nil }
