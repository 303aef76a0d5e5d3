package api

import (
	"context"
	"crypto/sha256"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// core is what all services are written over.
type core struct {
	state    admit.State
	proposer admit.Proposer
	kinds    *admit.Kinds
	valid    validator
	writer   *admit.Writer
	pages    pager
	clock    clock.Clock
	watches  *watches
	closing  <-chan struct{} // closed when the server goes: streams end then
}

// asked is who asks and how, from the context that the interceptor filled.
type asked struct {
	caller identity.Caller
	method string
	id     string // request id of the transport, for log and audit
}

type askedKey struct{}

func askedOf(ctx context.Context) asked {
	a, _ := ctx.Value(askedKey{}).(asked)
	return a
}

// write describes a write of the context's caller for admit.Writer.
func write(ctx context.Context, req proto.Message, requestID, reason string, dryRun bool) admit.Request {
	a := askedOf(ctx)
	return admit.Request{
		Organization: a.caller.Organization, Caller: a.caller.Kind(), RequestID: requestID, DryRun: dryRun,
		Digest: digest(a, req),
		Origin: &statev1.Origin{Who: a.caller.Who, From: a.caller.From, Method: a.method, Reason: reason},
	}
}

// digest tells a repeated request from another one with the same id.
func digest(a asked, req proto.Message) []byte {
	h := sha256.New()
	h.Write([]byte(a.method + "\x00" + a.caller.Organization + "\x00" + a.caller.Who + "\x00"))
	if b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(req); err == nil {
		h.Write(b)
	}
	return h.Sum(nil)
}

// reader opens the state at a revision: 0 is what is current, or with stale what this
// member has. A revision that this member has not reached is waited for.
func (c *core) reader(ctx context.Context, revision uint64, stale bool) (admit.Reader, error) {
	if revision == 0 && !stale {
		if err := c.proposer.Current(ctx); err != nil {
			return nil, err
		}
	}
	r, err := c.state.At(revision)
	if revision > 0 && errs.Is(err, errs.NotFound) && !stale {
		if err := c.proposer.Current(ctx); err != nil {
			return nil, err
		}
		r, err = c.state.At(revision)
	}
	return r, err
}

// readBack opens the state at the revision of a write that was just accepted.
func (c *core) readBack(ctx context.Context, revision uint64) (admit.Reader, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if revision > 0 {
		if err := c.state.WaitRevision(ctx, revision-1); err != nil {
			return nil, errs.Wrap(errs.Unavailable, err,
				"the write was accepted at revision %d, but cannot be read here yet", revision)
		}
	}
	return c.state.At(revision)
}

func (c *core) view(r admit.Reader) *admit.View { return admit.NewView(r, c.state.Published) }

// show makes of a stored version what a client sees.
func (c *core) show(ctx context.Context, v *admit.View, k *kind.Kind, ver admit.Version) (proto.Message, error) {
	m, err := admit.Decode(k.FullName(), ver.Value)
	if err != nil {
		return nil, err
	}
	if k.Show != nil {
		if err := k.Show(ctx, v, m); err != nil {
			return nil, err
		}
	}
	admit.HideSecrets(k, m)
	admit.Complete(m, ver)
	return m, c.unpublished(k, m, ver)
}

// unpublished says on a resource's status why edges were not told of its last change.
func (c *core) unpublished(k *kind.Kind, m proto.Message, ver admit.Version) error {
	if k.Publish == nil {
		return nil
	}
	value, _, err := c.state.Meta(kind.AsideKey(ver.Kind, ver.Organization, ver.Name))
	if err != nil || value == nil {
		return err
	}
	a := &statev1.SetAside{}
	if err := proto.Unmarshal(value, a); err != nil {
		return errs.Wrap(errs.Internal, err, "read why %s is not published", ver.Name)
	}
	admit.SetUnpublished(m, a.Reason)
	return nil
}

// organization under which the caller's resources of a kind are stored.
func organization(a asked, k *kind.Kind) string {
	if k.Scope == kind.ScopeInstallation {
		return ""
	}
	return a.caller.Organization
}

// locate returns the stored name of a resource at what v reads.
func locate(ctx context.Context, v kind.Reader, k *kind.Kind, org, name string) (canonical, stored string, err error) {
	canonical, err = admit.Canonical(k, name)
	if err != nil || k.Locate == nil {
		return canonical, canonical, err
	}
	stored, _, err = k.Locate(ctx, v, org, canonical)
	return canonical, stored, err
}

// get reads one resource.
func (c *core) get(ctx context.Context, k *kind.Kind, name string, revision uint64, stale bool) (proto.Message, error) {
	r, err := c.reader(ctx, revision, stale)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return c.getFrom(ctx, r, k, name)
}

func (c *core) getFrom(ctx context.Context, r admit.Reader, k *kind.Kind, name string) (proto.Message, error) {
	v := c.view(r)
	org := organization(askedOf(ctx), k)
	canonical, stored, err := locate(ctx, v, k, org, name)
	if err != nil {
		return nil, err
	}
	ver, ok, err := r.Get(k.FullName(), org, stored)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errs.New(errs.NotFound, "%s does not exist", canonical)
	}
	return c.show(ctx, v, k, ver)
}

// page is one page of a list.
type page struct {
	resources []proto.Message
	next      string
	revision  uint64
}

// list reads one page; all pages of a list are read at one revision.
func (c *core) list(ctx context.Context, k *kind.Kind, parent string, size int32, token string, revision uint64,
	stale bool,
) (page, error) {
	org := organization(askedOf(ctx), k)
	prefix, err := c.kinds.Collection(k, parent)
	if err != nil {
		return page{}, err
	}
	name, after := k.FullName()+"\x00"+org+"\x00"+prefix, ""
	if token != "" {
		at, a, err := c.pages.read(name, token)
		if err != nil {
			return page{}, err
		}
		if revision != 0 && revision != at {
			return page{}, errs.Bad(errs.Field{Name: "revision", Text: "the page token belongs to another revision"})
		}
		revision, after = at, a
	}
	r, err := c.reader(ctx, revision, stale)
	if err != nil {
		return page{}, err
	}
	defer r.Close()
	v := c.view(r)
	if k.Locate != nil {
		if prefix, _, err = k.Locate(ctx, v, org, prefix); err != nil {
			return page{}, err
		}
	}
	return c.scan(ctx, r, v, k, org, prefix, after, pageSize(size), name)
}

func (c *core) scan(ctx context.Context, r admit.Reader, v *admit.View, k *kind.Kind, org, prefix, after string,
	size int, name string,
) (page, error) {
	p := page{revision: r.Revision()}
	var bad error
	last, octets := "", 0
	err := r.Scan(k.FullName(), org, prefix, after, func(ver admit.Version) bool {
		if octets += len(ver.Value); len(p.resources) == size || len(p.resources) > 0 && octets > pageOctets {
			p.next = c.pages.token(name, p.revision, last)
			return false
		}
		m, err := c.show(ctx, v, k, ver)
		if err != nil {
			bad = err
			return false
		}
		p.resources, last = append(p.resources, m), ver.Name
		return true
	})
	if err == nil {
		err = bad
	}
	return p, err
}
