package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

func (s *resources) GetHistory(ctx context.Context,
	q *resourcev1.GetHistoryRequest,
) (*resourcev1.GetHistoryResponse, error) {
	k, err := s.find(q.Kind)
	if err != nil {
		return nil, err
	}
	r, err := s.reader(ctx, 0, false)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	org := organization(askedOf(ctx), k)
	name, stored, err := locate(ctx, s.view(r), k, org, q.Name)
	if err != nil {
		return nil, err
	}
	// One more than asked for, so that the last entry's "before" is known too.
	n := pageSize(q.PageSize)
	vers, whole, err := s.versions(k, org, stored, q.BeforeRevision, n+1)
	if err != nil {
		return nil, err
	}
	if len(vers) == 0 && q.BeforeRevision == 0 {
		return nil, errs.New(errs.NotFound, "%s has no history; the oldest revision kept is %d", name, s.state.Oldest())
	}
	out := &resourcev1.GetHistoryResponse{}
	if n = min(n, len(vers)); !whole {
		n = max(1, min(n, len(vers)-1))
	}
	for i := range n {
		e, err := s.entry(k, name, vers[i], vers[i+1:])
		if err != nil {
			return nil, err
		}
		out.Entries = append(out.Entries, e)
	}
	if len(vers) > n || !whole {
		out.NextBeforeRevision = vers[n-1].Revision
	}
	return out, nil
}

// versions reads up to n versions, the latest first, and no more octets than a page has,
// but for the last; whole tells that the octets of a page did not end them.
func (s *resources) versions(k *kind.Kind, org, stored string, before uint64,
	n int,
) (out []admit.Version, whole bool, err error) {
	const step = 4 // what is read at once
	for octets := 0; len(out) < n; {
		more, err := s.state.History(k.FullName(), org, stored, before, min(step, n-len(out)))
		if err != nil || len(more) == 0 {
			return out, true, err
		}
		for _, v := range more {
			// Each is shown twice: after its own change, and before the next.
			octets += 2 * len(v.Value)
			out = append(out, v)
			before = v.Revision
			if octets > pageOctets && len(out) > 1 {
				return out, len(out) == n, nil
			}
		}
	}
	return out, true, nil
}

// entry is one version with the one before it and the audit of its transaction.
func (s *resources) entry(k *kind.Kind, name string, v admit.Version,
	older []admit.Version,
) (*resourcev1.HistoryEntry, error) {
	var before, after proto.Message
	var err error
	if !v.Deleted {
		if after, err = desired(k, v); err != nil {
			return nil, err
		}
	}
	if len(older) > 0 && !older[0].Deleted {
		if before, err = desired(k, older[0]); err != nil {
			return nil, err
		}
	}
	ch, err := change(k, delta{before: before, after: after}.action(), name, before, after, v.Revision)
	if err != nil {
		return nil, err
	}
	commits, err := s.state.Commits(v.Revision-1, 1)
	if err != nil && !errs.Is(err, errs.Expired) {
		return nil, err
	}
	e := &resourcev1.HistoryEntry{Change: ch}
	if len(commits) == 1 && commits[0].Revision == v.Revision {
		e.Audit = s.audit(commits[0])
	}
	return e, nil
}

// audit is a commit as the audit shows it: by the names that people know, which are not
// always those that resources are stored under.
func (s *resources) audit(c *statev1.Commit) *resourcev1.AuditRecord {
	const maxNames = 100
	a := &resourcev1.AuditRecord{
		Revision: c.Revision, Time: timestamppb.New(time.Unix(0, c.Time)), Who: c.GetOrigin().GetWho(),
		From:   c.GetOrigin().GetFrom(),
		Method: c.GetOrigin().GetMethod(), Reason: c.GetOrigin().GetReason(), RequestId: c.RequestId,
		Organization: c.Organization,
		Changes:      uint32(len(c.Changed)), Hash: c.Hash,
	}
	for _, r := range c.Changed[:min(maxNames, len(c.Changed))] {
		name := r.Name
		if k, ok := s.kinds.Find(r.Kind); ok {
			name = k.Shown(name)
		}
		a.Names = append(a.Names, name)
	}
	return a
}

// maxLooked bounds how many commits, most of them others', one page looks at.
const maxLooked = 20 * maxPage

// ListAudit lists the audit of the caller's organization, of all for an operator.
func (s *resources) ListAudit(ctx context.Context,
	q *resourcev1.ListAuditRequest,
) (*resourcev1.ListAuditResponse, error) {
	if err := s.proposer.Current(ctx); err != nil {
		return nil, err
	}
	caller, out, at := askedOf(ctx).caller, &resourcev1.ListAuditResponse{}, max(q.AfterRevision, s.state.Oldest()-1)
	for looked, octets := 0, 0; ; {
		if looked >= maxLooked {
			out.NextAfterRevision = at
			return out, nil
		}
		commits, err := s.state.Commits(at, maxPage)
		if err != nil {
			return nil, err
		}
		looked += len(commits)
		for _, c := range commits {
			at = c.Revision
			if mine(caller, c) {
				out.Records = append(out.Records, s.audit(c))
				octets += proto.Size(out.Records[len(out.Records)-1])
			}
			if len(out.Records) == pageSize(q.PageSize) || octets > pageOctets {
				out.NextAfterRevision = at
				return out, nil
			}
		}
		if len(commits) == 0 {
			return out, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// mine reports whether a caller may see a commit: operators in their own organization
// see all, others what was written to theirs.
func mine(c identity.Caller, commit *statev1.Commit) bool {
	if c.Organization == identity.System {
		return c.CanInstallation("audit", identity.Read)
	}
	return commit.Organization == c.Organization
}

func (s *resources) VerifyAudit(context.Context,
	*resourcev1.VerifyAuditRequest,
) (*resourcev1.VerifyAuditResponse, error) {
	n, broken, head, err := s.state.VerifyAudit()
	return &resourcev1.VerifyAuditResponse{Checked: n, Ok: broken == 0, BrokenAt: broken, Head: head}, err
}
