package api

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// resources is ResourceService: what can be done with every kind alike.
type resources struct {
	resourcegrpc.UnimplementedResourceServiceServer
	*core
}

func (s *resources) ListKinds(context.Context, *resourcev1.ListKindsRequest) (*resourcev1.ListKindsResponse, error) {
	out := &resourcev1.ListKindsResponse{}
	for _, k := range s.kinds.All() {
		i := &resourcev1.KindInfo{
			Kind: k.ShortName(), FullName: k.FullName(), Pattern: k.Pattern, Plural: k.Plural,
			Installation: k.Scope == kind.ScopeInstallation, Lane: k.Lane.String(), SpecFields: specFields(k),
		}
		for _, c := range k.Columns {
			i.Columns = append(i.Columns, &resourcev1.Column{Title: c.Title, Path: c.Path})
		}
		out.Kinds = append(out.Kinds, i)
	}
	return out, nil
}

// specFields lists the JSON paths of a kind's spec.
func specFields(k *kind.Kind) []string {
	spec := k.Message.ProtoReflect().Descriptor().Fields().ByName("spec")
	if spec == nil || spec.Message() == nil {
		return nil
	}
	var out []string
	for i := range spec.Message().Fields().Len() {
		out = append(out, "spec."+spec.Message().Fields().Get(i).JSONName())
	}
	return out
}

func (s *resources) GetResource(ctx context.Context,
	q *resourcev1.GetResourceRequest,
) (*resourcev1.GetResourceResponse, error) {
	k, err := s.find(q.Kind)
	if err != nil {
		return nil, err
	}
	m, err := s.get(ctx, k, q.Name, q.Revision, q.Stale)
	if err != nil {
		return nil, err
	}
	d, err := document(k, m)
	return &resourcev1.GetResourceResponse{Document: d}, err
}

func (s *resources) ListResources(ctx context.Context,
	q *resourcev1.ListResourcesRequest,
) (*resourcev1.ListResourcesResponse, error) {
	k, err := s.find(q.Kind)
	if err != nil {
		return nil, err
	}
	p, err := s.list(ctx, k, q.Parent, q.PageSize, q.PageToken, q.Revision, q.Stale)
	if err != nil {
		return nil, err
	}
	out := &resourcev1.ListResourcesResponse{NextPageToken: p.next, Revision: p.revision}
	for _, m := range p.resources {
		d, err := document(k, m)
		if err != nil {
			return nil, err
		}
		out.Documents = append(out.Documents, d)
	}
	return out, nil
}

func (s *resources) DeleteResource(ctx context.Context,
	q *resourcev1.DeleteResourceRequest,
) (*resourcev1.DeleteResourceResponse, error) {
	k, err := s.find(q.Kind)
	if err != nil {
		return nil, err
	}
	done, err := s.remove(ctx, k, q, q.Name, q.Etag, q.RequestId, q.Reason, q.Force, q.ValidateOnly)
	return &resourcev1.DeleteResourceResponse{Revision: done.Revision}, err
}

// item is one document of an apply.
type item struct {
	at int // its place in the request
	k  *kind.Kind
	m  proto.Message
	ch admit.Change
}

// Apply makes the resources be as the documents say, in one transaction.
func (s *resources) Apply(ctx context.Context, q *resourcev1.ApplyRequest) (*resourcev1.ApplyResponse, error) {
	items, err := s.items(ctx, q.Documents)
	if err != nil {
		return nil, err
	}
	var ends []admit.Change
	done, err := s.writer.Do(ctx, write(ctx, q, q.RequestId, q.Reason, q.DryRun),
		func(ctx context.Context, tx *admit.Tx) error {
			if ends, err = s.endings(ctx, tx, q, items); err != nil {
				return err
			}
			return putAll(ctx, tx, items, q.IfUnchangedSince)
		})
	if err != nil {
		return nil, err
	}
	out := &resourcev1.ApplyResponse{Revision: done.Revision, Changes: make([]*resourcev1.Change, len(items))}
	for _, it := range items {
		revision := uint64(0)
		if done.Made {
			revision = done.Revision
		}
		ch, err := s.applied(it, revision, done.Made)
		if err != nil {
			return nil, err
		}
		out.Changes[it.at] = ch
	}
	for _, e := range ends {
		revision := uint64(0)
		if done.Made {
			revision = done.Revision
		}
		ch, err := change(e.Kind, e.Action, e.Name, e.Before, nil, revision)
		if err != nil {
			return nil, err
		}
		out.Changes = append(out.Changes, ch)
	}
	return out, nil
}

// items reads the documents and puts parents before what is below them.
func (s *resources) items(ctx context.Context, docs []*structpb.Struct) ([]*item, error) {
	var items []*item
	var bad []errs.Field
	for i, d := range docs {
		k, err := s.kindOf(d)
		var m proto.Message
		if err == nil {
			m, err = resource(k, d)
		}
		if err == nil {
			err = sameOrganization(organization(askedOf(ctx), k), m)
		}
		if err != nil {
			bad = append(bad, inDocument(i, err)...)
			continue
		}
		items = append(items, &item{at: i, k: k, m: m})
	}
	if bad != nil {
		return nil, errs.Bad(bad...)
	}
	slices.SortStableFunc(items, func(a, b *item) int { return admit.Depth(a.k) - admit.Depth(b.k) })
	return items, nil
}

// maxChanged is how many octets one apply or rollback may have in all before and after it:
// its answer has both.
const maxChanged = 8 << 20

// putAll writes every document; all that is wrong with any of them is said at once.
func putAll(ctx context.Context, tx *admit.Tx, items []*item, since uint64) error {
	var bad []errs.Field
	octets := 0
	for _, it := range items {
		ch, err := tx.Put(ctx, it.k, it.m, admit.Options{ETag: admit.Text(it.m, "etag")})
		if errs.Is(err, errs.Invalid) {
			bad = append(bad, inDocument(it.at, err)...)
			continue
		}
		if err != nil {
			return err
		}
		it.ch = ch
		if octets += (delta{before: ch.Before, after: ch.After}).octets(); octets > maxChanged {
			return admit.Because(errs.Exhausted, admit.ReasonTooLarge,
				"the documents, with what they change, have more than %d octets; apply them in parts", maxChanged)
		}
		if since > 0 {
			if err := unchanged(ctx, tx, ch, since); err != nil {
				return err
			}
		}
	}
	if bad != nil {
		return errs.Bad(bad...)
	}
	return nil
}

// unchanged refuses a resource that changed after a revision, now and at the commit.
func unchanged(ctx context.Context, tx *admit.Tx, ch admit.Change, since uint64) error {
	_, rev, err := tx.Reader().Get(ctx, ch.Kind.FullName(), ch.Organization, ch.Stored)
	if err != nil {
		return err
	}
	if rev > since {
		return admit.Because(errs.Conflict, admit.ReasonChanged,
			"%s changed at revision %d, after %d; look at the difference again", ch.Name, rev, since)
	}
	tx.Require(admit.UnchangedSince(&statev1.Ref{
		Kind: ch.Kind.FullName(), Organization: ch.Organization,
		Name: ch.Stored,
	}, since))
	return nil
}

func (s *resources) applied(it *item, revision uint64, made bool) (*resourcev1.Change, error) {
	ch := it.ch
	if ch.Kind == nil {
		return &resourcev1.Change{
			Action: resourcev1.Change_ACTION_UNCHANGED, Kind: it.k.ShortName(),
			Name: admit.Text(it.m, "name"),
		}, nil
	}
	out, err := change(ch.Kind, ch.Action, ch.Name, ch.Before, ch.After, revision)
	if err != nil || !made || ch.Reply == nil || ch.After == nil {
		return out, err
	}
	// What is told once, such as a new key's token.
	m := proto.Clone(ch.After)
	admit.HideSecrets(ch.Kind, m)
	ch.Reply(m)
	out.After, err = document(ch.Kind, m)
	return out, err
}

// inDocument says which document a bad field is in.
func inDocument(i int, err error) []errs.Field {
	fields := errFields(err)
	for j := range fields {
		fields[j].Name = strings.TrimSuffix("documents["+itoa(i)+"]."+fields[j].Name, ".")
	}
	return fields
}
