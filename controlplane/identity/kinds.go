package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

var (
	apiKeyKind       = string((&identityv1.ApiKey{}).ProtoReflect().Descriptor().FullName())
	organizationKind = string((&identityv1.Organization{}).ProtoReflect().Descriptor().FullName())
	roleBindingKind  = string((&identityv1.RoleBinding{}).ProtoReflect().Descriptor().FullName())
)

// apiKeyLife is how long edges remember that an API key is dead. Edges keep nothing of API
// keys: what they forward with one, a control node judges again.
const apiKeyLife = time.Hour

func keyMeta(id string) string { return "apikey/" + id }

// AccessKeyMeta is the key of the state's index under which the admission of an S3 access
// key notes whose it is: organization, a zero octet, and its name.
func AccessKeyMeta(id string) string { return "accesskey/" + id }

// ApiKey is the kind of API keys.
func ApiKey(pepper []byte) *kind.Kind {
	return &kind.Kind{
		Message: &identityv1.ApiKey{}, Plural: "apikeys", Pattern: "apikeys/{apikey}", Service: "identity",
		Lane: kind.LaneDeny, SecretFields: []string{"status.secret_hash", "status.token"},
		Admit: func(ctx context.Context, a *kind.Admission) error { return admitKey(ctx, pepper, a) },
		Deny:  denyKey,
		Columns: []kind.Column{
			{Title: "ID", Path: "status.keyId"},
			{Title: "PERMISSIONS", Path: "spec.permissions"},
			{Title: "EXPIRES", Path: "spec.expireTime"},
		},
	}
}

func admitKey(ctx context.Context, pepper []byte, a *kind.Admission) error {
	if a.New == nil {
		old := a.Old.(*identityv1.ApiKey)
		a.Ops = append(a.Ops, &statev1.Op{Op: &statev1.Op_DeleteMeta{DeleteMeta: keyMeta(old.GetStatus().GetKeyId())}},
			admit.Ended(a.Organization, keyRevocation(old, a.Now)))
		return nil
	}
	key := a.New.(*identityv1.ApiKey)
	checkGrants(ctx, a, key.GetSpec().GetPermissions())
	if key.GetSpec() == nil {
		a.Bad("spec", "value is required")
	}
	if a.Old != nil || len(a.Violations) > 0 {
		return nil
	}
	if t := key.GetSpec().GetExpireTime(); t != nil && !t.AsTime().After(a.Now) {
		a.Bad("spec.expireTime", "must be in the future")
		return nil
	}
	id, token := NewToken()
	key.Status = &identityv1.ApiKeyStatus{KeyId: id, SecretHash: HashToken(pepper, token)}
	a.Ops = append(a.Ops, putKeyMeta(id, a.Organization, a.Stored),
		admit.Reserve(a.Organization, keyRevocation(key, a.Now)))
	a.Reply = func(m proto.Message) {
		if k, ok := m.(*identityv1.ApiKey); ok && k.GetStatus() != nil {
			k.Status.Token = token
		}
	}
	return nil
}

func putKeyMeta(id, organization, stored string) *statev1.Op {
	m := &statev1.PutMeta{Key: keyMeta(id), Value: []byte(organization + "\x00" + stored)}
	return &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: m}}
}

// checkGrants refuses that anyone gives more than they have.
func checkGrants(ctx context.Context, a *kind.Admission, permissions []string) {
	c, _ := From(ctx)
	for i, p := range permissions {
		if !c.mayGrant(p) {
			a.Bad(fmt.Sprintf("spec.permissions[%d]", i), "%s may not give %q, which they do not have", c.Who, p)
		}
	}
}

// denyKey tells edges of a dead key; living ones are not theirs to know.
func denyKey(_ context.Context, p kind.Publication, emit func(kind.Record) error) error {
	if p.Old == nil || p.New != nil {
		return nil
	}
	r := keyRevocation(p.Old.(*identityv1.ApiKey), p.Now)
	if r.Expires <= p.Now.Unix() {
		return nil // it ended by itself before
	}
	return emit(r)
}

func keyRevocation(k *identityv1.ApiKey, now time.Time) kind.Record {
	return Revocation(apiKeyKind, "key:"+k.GetStatus().GetKeyId(), now, apiKeyLife, k.GetSpec().GetExpireTime())
}

// Revocation is the entry of the deny set for a credential that ended: it lives as long as
// the credential could at an edge that is told nothing more, and no longer than the
// credential itself.
func Revocation(kindName, subject string, now time.Time, life time.Duration, ends *timestamppb.Timestamp) kind.Record {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(&identityv1.PublishedRevocation{
		Subject:   subject,
		RevokedAt: now.Unix(),
	})
	if err != nil {
		panic(err) // a message of ours with plain fields always marshals
	}
	expires := now.Add(life)
	if ends != nil && ends.AsTime().Before(expires) {
		expires = ends.AsTime()
	}
	return kind.Record{
		Kind: kindName, Stream: "system", Name: subject, Lane: kind.LaneDeny, Value: value,
		Expires: expires.Unix(),
	}
}

// RoleBinding is the kind of role bindings.
func RoleBinding() *kind.Kind {
	return &kind.Kind{
		Message: &identityv1.RoleBinding{}, Plural: "rolebindings", Pattern: "rolebindings/{rolebinding}",
		Service: "identity",
		Admit: func(ctx context.Context, a *kind.Admission) error {
			if a.New == nil {
				return nil
			}
			spec := a.New.(*identityv1.RoleBinding).GetSpec()
			if spec == nil {
				a.Bad("spec", "value is required")
			}
			checkGrants(ctx, a, spec.GetPermissions())
			return nil
		},
		Columns: []kind.Column{
			{Title: "SUBJECT", Path: "spec.subject"},
			{Title: "PERMISSIONS", Path: "spec.permissions"},
		},
	}
}

// Owned tells of the kinds whose resources belong to organizations.
type Owned struct {
	// FullNames of those kinds: an organization that still has one cannot end.
	FullNames func() []string
	// FullName of a kind by its short name.
	FullName func(short string) (string, bool)
}

// Organization is the kind of organizations.
func Organization(o Owned) *kind.Kind {
	return &kind.Kind{
		Message: &identityv1.Organization{}, Plural: "organizations", Pattern: "organizations/{organization}",
		Service: "organization", Scope: kind.ScopeInstallation, ConfirmDelete: true,
		Admit:   func(_ context.Context, a *kind.Admission) error { return admitOrganization(o, a) },
		Columns: []kind.Column{{Title: "DISPLAY NAME", Path: "spec.displayName"}},
	}
}

func admitOrganization(o Owned, a *kind.Admission) error {
	name := strings.TrimPrefix(a.Name, "organizations/")
	if a.New == nil {
		if name == System {
			return errs.New(errs.Conflict, "the organization %q is the operators' own and cannot end", name)
		}
		for _, k := range o.FullNames() {
			a.Preconditions = append(a.Preconditions, admit.NoneUnder(k, name, ""))
		}
		a.Ops = append(a.Ops, setLimits(name, &statev1.OrganizationLimits{}))
		return hasNone(a, o, name)
	}
	limits := a.New.(*identityv1.Organization).GetSpec().GetLimits()
	out := &statev1.OrganizationLimits{
		HistoryBytes:    limits.GetHistoryBytes(),
		WritesPerSecond: limits.GetWritesPerSecond(), Resources: map[string]uint64{},
	}
	for short, n := range limits.GetResources() {
		full, ok := o.FullName(short)
		if !ok {
			a.Bad("spec.limits.resources", "%q is not a kind", short)
		}
		out.Resources[full] = n
	}
	a.Claims = []kind.Claim{{Space: "organization", Name: name}}
	a.Ops = append(a.Ops, setLimits(name, out))
	return nil
}

// hasNone says early and by name what the preconditions would refuse.
func hasNone(a *kind.Admission, o Owned, name string) error {
	for _, k := range o.FullNames() {
		found := ""
		err := a.Reader.List(context.Background(), k, name, "", func(stored string, _ proto.Message) bool {
			found = stored
			return false
		})
		if err != nil {
			return err
		}
		if found != "" {
			return errs.New(errs.Conflict, "organization %q still has %s; delete what it has first", name, found)
		}
	}
	return nil
}

func setLimits(organization string, l *statev1.OrganizationLimits) *statev1.Op {
	return &statev1.Op{Op: &statev1.Op_SetLimits{SetLimits: &statev1.SetLimits{Organization: organization, Limits: l}}}
}
