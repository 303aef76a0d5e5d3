package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

const (
	// defaultWatches is how many watches an organization may hold open on one control
	// node when its limits say nothing.
	defaultWatches = 100
	// signOfLife is how often a watch without changes says up to where it has seen.
	signOfLife = 10 * time.Second
	// watchBatch is how many commits are read at once.
	watchBatch = 256
)

// watches counts open watches by organization.
type watches struct {
	mu struct {
		sync.Mutex
		open map[string]uint32
	}
}

func (w *watches) enter(org string, limit uint32) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.open == nil {
		w.mu.open = map[string]uint32{}
	}
	if w.mu.open[org] >= limit {
		return admit.Because(errs.Exhausted, admit.ReasonWatches,
			"organization %q has %d watches open here, its limit (watches)", org, limit)
	}
	w.mu.open[org]++
	return nil
}

func (w *watches) leave(org string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.open[org]--; w.mu.open[org] == 0 {
		delete(w.mu.open, org)
	}
}

// watchLimit of an organization, from its resource.
func (c *core) watchLimit(org string) (uint32, error) {
	r, err := c.state.At(0)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	m, _, err := c.view(r).Get(context.Background(), "dark.identity.v1.Organization", "", "organizations/"+org)
	if err != nil {
		return 0, err
	}
	if o, ok := m.(*identityv1.Organization); ok && o.GetSpec().GetLimits().GetWatches() > 0 {
		return o.Spec.Limits.Watches, nil
	}
	return defaultWatches, nil
}

// Watch sends every change after a revision, in order and without gaps, until the
// client goes. A revision below what is kept is EXPIRED: the client lists again.
func (s *resources) Watch(q *resourcev1.WatchRequest, stream resourcegrpc.ResourceService_WatchServer) error {
	ctx := stream.Context()
	caller := askedOf(ctx).caller
	limit, err := s.watchLimit(caller.Organization)
	if err != nil {
		return err
	}
	if err := s.watches.enter(caller.Organization, limit); err != nil {
		return err
	}
	defer s.watches.leave(caller.Organization)
	kinds, err := s.kindsFor(ctx, q.Kind, "read")
	if err != nil {
		return err
	}
	w := &watching{
		resources: s, names: q.NamePrefix, at: q.AfterRevision, send: stream.Send,
		kinds: map[string]*kind.Kind{},
	}
	for _, k := range kinds {
		w.kinds[k.FullName()] = k
	}
	if w.at == 0 {
		if err := s.proposer.Current(ctx); err != nil {
			return err
		}
		w.at = s.state.Revision()
	} else if oldest := s.state.Oldest(); w.at+1 < oldest {
		return errs.New(errs.Expired, "revision %d is no longer kept; the oldest is %d: list again and watch from "+
			"there", w.at, oldest)
	}
	return w.run(ctx)
}

// watching is one watch; it belongs to its stream's goroutine.
type watching struct {
	*resources
	kinds map[string]*kind.Kind
	names string
	at    uint64 // all up to here has been sent
	told  bool   // and the client knows
	send  func(*resourcev1.WatchResponse) error
}

func (w *watching) run(ctx context.Context) error {
	// The first message says where the watch begins, so that a client may go on from it.
	if err := w.sign(); err != nil {
		return err
	}
	for {
		commits, err := w.state.Commits(w.at, watchBatch)
		if err != nil {
			return err
		}
		for _, c := range commits {
			if err := w.commit(ctx, c); err != nil {
				return err
			}
			w.at = c.Revision
		}
		if len(commits) > 0 {
			continue
		}
		if !w.told {
			if err := w.sign(); err != nil {
				return err
			}
		}
		if err := w.wait(ctx); err != nil {
			return err
		}
	}
}

// sign says up to where all has been sent.
func (w *watching) sign() error {
	w.told = true
	return w.send(&resourcev1.WatchResponse{Revision: w.at})
}

// wait returns when there is something new; meanwhile it gives signs of life.
func (w *watching) wait(ctx context.Context) error {
	wctx, cancel := context.WithTimeout(ctx, signOfLife)
	defer cancel()
	stop := context.AfterFunc(closingContext(w.closing), cancel)
	defer stop()
	err := w.state.WaitRevision(wctx, w.at)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case closed(w.closing):
		return errs.New(errs.Unavailable, "this node is shutting down; watch again from revision %d", w.at)
	case wctx.Err() != nil:
		return w.sign()
	}
	return err
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// closingContext is done when the channel is closed.
func closingContext(c <-chan struct{}) context.Context { return chanContext{context.Background(), c} }

type chanContext struct {
	context.Context
	done <-chan struct{}
}

func (c chanContext) Done() <-chan struct{} { return c.done }
func (c chanContext) Err() error {
	if closed(c.done) {
		return context.Canceled
	}
	return nil
}

// commit sends what one transaction changed for the caller.
func (w *watching) commit(ctx context.Context, c *statev1.Commit) error {
	if !w.concerns(ctx, c) {
		return nil
	}
	after, err := w.state.At(c.Revision)
	if err != nil {
		return err
	}
	defer after.Close()
	before, err := w.before(c.Revision)
	if err != nil {
		return err
	}
	defer before.Close()
	for _, ref := range c.Changed {
		if err := w.ref(ctx, c, ref, before, after); err != nil {
			return err
		}
	}
	return nil
}

func (w *watching) before(revision uint64) (admit.Reader, error) {
	r, err := w.earlier(revision - 1)
	if errs.Is(err, errs.Expired) || errs.Is(err, errs.NotFound) {
		return nothing{}, nil
	}
	return r, err
}

func (w *watching) concerns(ctx context.Context, c *statev1.Commit) bool {
	for _, ref := range c.Changed {
		if k, ok := w.lookup(ref.Kind); ok && ref.Organization == organization(askedOf(ctx), k) {
			return true
		}
	}
	return false
}

// lookup finds the kind of a ref when it, or a kind below it, is watched.
func (w *watching) lookup(full string) (*kind.Kind, bool) {
	if k, ok := w.kinds[full]; ok {
		return k, true
	}
	k, ok := w.core.kinds.Find(full)
	if !ok {
		return nil, false
	}
	for _, child := range w.core.kinds.Children(k) {
		if w.kinds[child.FullName()] != nil {
			return k, true
		}
	}
	return nil, false
}

func (w *watching) ref(ctx context.Context, c *statev1.Commit, ref *statev1.Ref, before, after admit.Reader) error {
	k, ok := w.lookup(ref.Kind)
	if !ok || ref.Organization != organization(askedOf(ctx), k) {
		return nil
	}
	d := delta{k: k}
	var ok1, ok2 bool
	var err error
	if d.before, d.name, ok1, err = w.side(ctx, before, k, ref); err != nil {
		return err
	}
	name := d.name
	if d.after, d.name, ok2, err = w.side(ctx, after, k, ref); err != nil {
		return err
	}
	if !ok2 {
		d.name = name
	}
	if w.kinds[ref.Kind] != nil && (ok1 || ok2) && !proto.Equal(d.before, d.after) {
		if err := w.emit(d, c.Revision); err != nil {
			return err
		}
	}
	return w.children(ctx, k, c, ref, before, after)
}

// side reads a ref at one revision; false where it is not, or not shown.
func (w *watching) side(ctx context.Context, r admit.Reader, k *kind.Kind,
	ref *statev1.Ref,
) (proto.Message, string, bool, error) {
	ver, ok, err := r.Get(ref.Kind, ref.Organization, ref.Name)
	if err != nil || !ok {
		return nil, "", false, err
	}
	name, ok, err := liveName(ctx, w.view(r), k, ref.Organization, ref.Name)
	if err != nil || !ok {
		return nil, "", false, err
	}
	m, err := desired(k, ver)
	return m, name, true, err
}

// children sends what a changed parent moved: when a zone's generation flips, its
// record sets change without being written in that transaction. Those that are written
// in it are sent for themselves.
func (w *watching) children(ctx context.Context, k *kind.Kind, c *statev1.Commit, ref *statev1.Ref, before,
	after admit.Reader,
) error {
	for _, child := range w.core.kinds.Children(k) {
		if child.Locate == nil || w.kinds[child.FullName()] == nil {
			continue
		}
		list, err := w.core.kinds.Collection(child, ref.Name)
		if err != nil {
			continue // not its direct parent
		}
		a, b := w.under(ctx, before, child, ref.Organization, list), w.under(ctx, after, child, ref.Organization, list)
		if a.prefix == b.prefix || (a.prefix == "" || b.prefix == "") && changes(c, child) {
			continue
		}
		var bad error
		err = differ(ctx, a, b, func(d delta) bool { bad = w.emit(d, c.Revision); return bad == nil })
		if err == nil {
			err = bad
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// under is a cursor over a parent's list; over nothing where the parent is not.
func (w *watching) under(ctx context.Context, r admit.Reader, k *kind.Kind, org, list string) *cursor {
	v := w.view(r)
	prefix, _, err := k.Locate(ctx, v, org, list)
	if err != nil {
		return &cursor{r: nothing{}, v: w.view(nothing{}), k: k, org: org}
	}
	return &cursor{r: r, v: v, k: k, org: org, prefix: prefix}
}

func changes(c *statev1.Commit, k *kind.Kind) bool {
	return slices.ContainsFunc(c.Changed, func(r *statev1.Ref) bool { return r.Kind == k.FullName() })
}

func (w *watching) emit(d delta, revision uint64) error {
	if len(d.name) < len(w.names) || d.name[:len(w.names)] != w.names {
		return nil
	}
	ch, err := change(d.k, d.action(), d.name, d.before, d.after, revision)
	if err != nil {
		return err
	}
	w.told = false
	return w.send(&resourcev1.WatchResponse{Change: ch, Revision: revision - 1})
}
