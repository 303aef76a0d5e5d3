package api

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// need says whether a caller may make a request. This file and the interceptor that
// calls it are the only place where the API decides that. A method without an entry
// is refused.
type need struct {
	// open needs no credential at all.
	open bool
	// may refuses what the caller may not; req is nil when a stream has sent nothing yet
	// and before is then all that is asked.
	may func(c identity.Caller, req proto.Message) error
	// before tells that may does not look at the request.
	before bool
}

func denied(c identity.Caller, service, verb string) error {
	where := "organization " + c.Organization
	return errs.New(errs.Denied, "%s lacks %s:%s in %s", c.Who, service, verb, where)
}

func installationDenied(c identity.Caller, service, verb string) error {
	return errs.New(errs.Denied, "%s lacks %s:%s in the organization %s", c.Who, service, verb, identity.System)
}

// ofKind needs a verb on one kind.
func ofKind(k *kind.Kind, verb string) need {
	return need{before: true, may: func(c identity.Caller, _ proto.Message) error { return mayKind(c, k, verb) }}
}

func mayKind(c identity.Caller, k *kind.Kind, verb string) error {
	switch {
	case c.May(k, verb):
		return nil
	case k.Scope == kind.ScopeInstallation:
		return installationDenied(c, k.Service, verb)
	}
	return denied(c, k.Service, verb)
}

// ofInstallation needs a verb in the system organization.
func ofInstallation(service, verb string) need {
	return need{before: true, may: func(c identity.Caller, _ proto.Message) error {
		if c.CanInstallation(service, verb) {
			return nil
		}
		return installationDenied(c, service, verb)
	}}
}

// anyone needs a valid credential only.
func anyone() need {
	return need{before: true, may: func(c identity.Caller, _ proto.Message) error { return nil }}
}

// ofRequest needs a verb on the kind that the request names; without a name, on one
// kind at least, and the method keeps to those.
func (c *core) ofRequest(verb string) need {
	return need{may: func(caller identity.Caller, req proto.Message) error {
		name := fieldsOf(req).text("kind")
		if name != "" {
			k, err := c.find(name)
			if err != nil {
				return err
			}
			return mayKind(caller, k, verb)
		}
		if slices.ContainsFunc(c.kinds.All(), func(k *kind.Kind) bool { return caller.May(k, verb) }) {
			return nil
		}
		return denied(caller, "any", verb)
	}}
}

// ofDocuments needs write on the kind of every document.
func (c *core) ofDocuments() need {
	return need{may: func(caller identity.Caller, req proto.Message) error {
		docs, ok := req.(interface{ GetDocuments() []*structpb.Struct })
		if !ok {
			return errs.New(errs.Internal, "no documents in %T", req)
		}
		var bad []errs.Field
		for i, d := range docs.GetDocuments() {
			k, err := c.kindOf(d)
			if err != nil {
				bad = append(bad, inDocument(i, err)...)
				continue
			}
			if err := mayKind(caller, k, identity.Write); err != nil {
				return err
			}
		}
		if bad != nil {
			return errs.Bad(bad...)
		}
		return c.mayEnd(caller, req)
	}}
}

// maxDeletions is what the proto's constraint on deletions allows.
const maxDeletions = 2000

// mayEnd needs write on the kinds of what ends with the documents.
func (c *core) mayEnd(caller identity.Caller, req proto.Message) error {
	q, ok := req.(*resourcev1.ApplyRequest)
	if !ok {
		return nil
	}
	if len(q.Deletions) > maxDeletions { // before any of them is looked at
		return errs.Bad(errs.Field{Name: "deletions", Text: "at most " + itoa(maxDeletions) + " may end at once"})
	}
	for i, d := range q.Deletions {
		k, err := c.find(d.Kind)
		if err != nil {
			return errs.Bad(errs.Field{Name: "deletions[" + itoa(i) + "].kind", Text: err.Error()})
		}
		if err := mayKind(caller, k, identity.Write); err != nil {
			return err
		}
	}
	return nil
}

// ofOrganization needs a verb in the caller's organization.
func ofOrganization(service, verb string) need {
	return need{before: true, may: func(c identity.Caller, _ proto.Message) error {
		if c.Can(service, verb) {
			return nil
		}
		return denied(c, service, verb)
	}}
}

// needs of the services that are not of one kind.
func (c *core) needs() map[string]need {
	const r, cl = "/dark.resource.v1.ResourceService/", "/dark.cluster.v1.ClusterService/"
	return map[string]need{
		r + "ListKinds":      anyone(),
		r + "GetResource":    c.ofRequest(identity.Read),
		r + "ListResources":  c.ofRequest(identity.Read),
		r + "DeleteResource": c.ofRequest(identity.Write),
		r + "Apply":          c.ofDocuments(),
		r + "Diff":           c.ofRequest(identity.Read),
		r + "GetHistory":     c.ofRequest(identity.Read),
		r + "Rollback":       c.ofRequest(identity.Write),
		r + "Watch":          c.ofRequest(identity.Read),
		r + "ListAudit":      ofOrganization("audit", identity.Read),
		r + "VerifyAudit":    ofInstallation("audit", identity.Read),

		cl + "GetStatus":          anyone(),
		cl + "Wait":               anyone(),
		cl + "ListZoneStats":      ofOrganization("dns", identity.Read),
		cl + "ListMembers":        ofInstallation("cluster", identity.Read),
		cl + "RemoveMember":       ofInstallation("cluster", identity.Write),
		cl + "TransferLeadership": ofInstallation("cluster", identity.Write),
		cl + "CreateJoinToken":    ofInstallation("cluster", identity.Write),
		// The join token in the request is the credential.
		cl + "Join": {open: true},

		"/grpc.health.v1.Health/Check": {open: true},
		"/grpc.health.v1.Health/List":  {open: true},
		"/grpc.health.v1.Health/Watch": {open: true},
		// The protos are public.
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {open: true},
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {open: true},
	}
}

// allow asks whether the context's caller may call a method.
func (s *Server) allow(ctx context.Context, method string, req proto.Message) error {
	n, ok := s.table[method]
	switch {
	case !ok:
		return errs.New(errs.Denied, "the method %s is open to no one", method)
	case n.open:
		return nil
	case req == nil && !n.before:
		return fmt.Errorf("permission for %s needs the request", method)
	}
	c := askedOf(ctx).caller
	if err := n.may(c, req); err != nil || c.Limit == nil {
		return err
	}
	if req == nil {
		return errs.New(errs.Denied, "%s may not call %s", c.Who, method)
	}
	return c.Limit(method, req)
}
