package statetest

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Propose is admit.Proposer's: it judges and applies at once.
func (s *State) Propose(ctx context.Context, tx *statev1.Transaction) (admit.Outcome, error) {
	if err := ctx.Err(); err != nil {
		return admit.Outcome{}, err
	}
	if s.Before != nil {
		s.Before(tx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := tx.Organization + "\x00" + tx.RequestId
	if r := s.requests[key]; tx.RequestId != "" && r != nil {
		if !bytes.Equal(r.Digest, tx.RequestDigest) {
			return admit.Outcome{}, errs.New(errs.Conflict, "request id %q was used before for another request",
				tx.RequestId)
		}
		return admit.Outcome{Revision: r.Revision, Repeated: true}, nil
	}
	if n := proto.Size(tx); n > 512<<10 {
		return admit.Outcome{}, errs.New(errs.Invalid, "a transaction of %d octets is too large", n)
	}
	if err := s.judge(tx); err != nil {
		return admit.Outcome{}, err
	}
	s.apply(tx)
	if tx.RequestId != "" {
		s.requests[key] = &statev1.RequestRecord{Digest: tx.RequestDigest, Revision: s.revision}
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return admit.Outcome{Revision: s.revision, Index: s.revision}, nil
}

func of(r *statev1.Ref) id { return id{r.GetKind(), r.GetOrganization(), r.GetName()} }

func (s *State) latest(k id) (uint64, bool) {
	v, ok := at(s.versions[k], s.revision)
	return v.Revision, ok
}

func (s *State) judge(tx *statev1.Transaction) error {
	for _, p := range tx.Preconditions {
		if !s.holds(tx, p) {
			return errs.New(errs.Conflict, "a condition does not hold: %v", p)
		}
	}
	count := map[string]uint64{}
	for _, op := range tx.Ops {
		put := op.GetPutResource()
		if put == nil {
			continue
		}
		for _, c := range put.Claims {
			if err := s.judgeClaim(of(put.Ref), c); err != nil {
				return err
			}
		}
		if _, live := s.latest(of(put.Ref)); !live {
			count[put.Ref.Organization+"/"+put.Ref.Kind]++
		}
	}
	for k, n := range count {
		limit, ok := s.limits[k]
		if ok && s.live(k)+n > limit {
			return admit.Because(errs.Exhausted, admit.ReasonQuota, "the limit of %d of %s is reached", limit, k)
		}
	}
	return nil
}

// live counts the resources of "organization/kind".
func (s *State) live(k string) uint64 {
	var n uint64
	for i := range s.versions {
		if i.organization+"/"+i.kind == k {
			if _, ok := s.latest(i); ok {
				n++
			}
		}
	}
	return n
}

func (s *State) holds(tx *statev1.Transaction, p *statev1.Precondition) bool {
	switch c := p.Condition.(type) {
	case *statev1.Precondition_ResourceAt:
		rev, live := s.latest(of(c.ResourceAt.Ref))
		if !live {
			rev = 0
		}
		return rev == c.ResourceAt.Revision
	case *statev1.Precondition_UnchangedSince:
		rev, _ := s.latest(of(c.UnchangedSince.Ref))
		return rev <= c.UnchangedSince.Revision
	case *statev1.Precondition_MetaAt:
		return s.meta[c.MetaAt.Key].revision == c.MetaAt.Revision
	case *statev1.Precondition_NoneUnder:
		return s.noneUnder(tx, c.NoneUnder)
	}
	return false
}

func (s *State) noneUnder(tx *statev1.Transaction, n *statev1.NoneUnder) bool {
	p := of(n.Prefix)
	under := func(k id) bool {
		return k.kind == p.kind && k.organization == p.organization && strings.HasPrefix(k.name, p.name) &&
			!slices.Contains(n.Except, k.name)
	}
	live := map[id]bool{}
	for k := range s.versions {
		if under(k) {
			_, live[k] = s.latest(k)
		}
	}
	for _, op := range tx.Ops {
		if put := op.GetPutResource(); put != nil && under(of(put.Ref)) {
			live[of(put.Ref)] = true
		} else if d := op.GetDeleteResource(); d != nil && under(of(d)) {
			live[of(d)] = false
		}
	}
	for _, ok := range live {
		if ok {
			return false
		}
	}
	return true
}

func (s *State) judgeClaim(by id, c *statev1.Claim) error {
	for _, h := range s.claims {
		if h.claim.Space != c.Space {
			continue
		}
		allowed := h.ref.organization == by.organization || slices.Contains(h.claim.Grants, by.organization)
		switch {
		case h.claim.Name == c.Name && h.ref != by:
			return errs.New(errs.Conflict, "the name %s is taken", c.Name)
		case !c.Hierarchical || allowed:
		case strings.HasSuffix(c.Name, "."+h.claim.Name), strings.HasSuffix(h.claim.Name, "."+c.Name):
			return errs.New(errs.Conflict, "another organization holds a name above or below %s", c.Name)
		}
	}
	return nil
}

func (s *State) apply(tx *statev1.Transaction) {
	s.revision++
	c := &statev1.Commit{
		Revision: s.revision, Time: s.now().UnixNano(), Organization: tx.Organization,
		Origin: tx.Origin, RequestId: tx.RequestId,
	}
	for _, op := range tx.Ops {
		switch o := op.Op.(type) {
		case *statev1.Op_PutResource:
			s.write(of(o.PutResource.Ref), o.PutResource.Value, o.PutResource.Claims, false)
			c.Changed = append(c.Changed, o.PutResource.Ref)
		case *statev1.Op_DeleteResource:
			s.write(of(o.DeleteResource), nil, nil, true)
			c.Changed = append(c.Changed, o.DeleteResource)
		case *statev1.Op_PutMeta:
			s.meta[o.PutMeta.Key] = meta{o.PutMeta.Value, s.revision}
		case *statev1.Op_DeleteMeta:
			delete(s.meta, o.DeleteMeta)
		}
	}
	s.commits = append(s.commits, c)
}

func (s *State) write(k id, value []byte, claims []*statev1.Claim, deleted bool) {
	s.claims = slices.DeleteFunc(s.claims, func(h holder) bool { return h.ref == k })
	for _, c := range claims {
		s.claims = append(s.claims, holder{ref: k, claim: c})
	}
	v := admit.Version{
		Kind: k.kind, Organization: k.organization, Name: k.name, Revision: s.revision, Created: s.revision,
		CreatedTime: s.now(), Time: s.now(), Value: value, Deleted: deleted,
	}
	if old, ok := at(s.versions[k], s.revision); ok {
		v.Created, v.CreatedTime = old.Created, old.CreatedTime
	}
	s.versions[k] = append(s.versions[k], v)
}
