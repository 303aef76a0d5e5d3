package identity

import (
	"context"
	"slices"
	"strings"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
)

// State is what authentication reads.
type State interface {
	At(revision uint64) (admit.Reader, error)
	Meta(key string) (value []byte, revision uint64, err error)
}

// Authenticator tells who a token belongs to.
type Authenticator struct {
	State  State
	Pepper []byte
	Clock  clock.Clock
	// AccessKeys let S3 requests be proofs; without them there are none.
	AccessKeys AccessKeys
	// Current brings this member's state up to date; used once when a well-formed token
	// is unknown here, or the organization or its role bindings, since they may have been
	// made on another member just now.
	Current func(context.Context) error
}

var errToken = errs.New(errs.Unauthenticated, "the token is unknown, ended or revoked")

// Submitted returns the caller of what an edge sends on its own connection: the credential
// is a bearer token, or the proof of a signed S3 request, which counts nowhere else.
func (a *Authenticator) Submitted(ctx context.Context, credential, organization string) (Caller, error) {
	if !strings.HasPrefix(credential, ProofPrefix) {
		return a.Authenticate(ctx, credential, organization)
	}
	p, err := sigv4.ReadToken(credential)
	if err != nil {
		return Caller{}, refusedProof(err)
	}
	c, err := a.proven(p, organization)
	if a.Current != nil && errs.Is(err, errs.Unauthenticated) && a.unknown(AccessKeyMeta(p.AccessKeyID)) &&
		a.Current(ctx) == nil {
		c, err = a.proven(p, organization)
	}
	return c, err
}

// Authenticate returns the caller that a bearer token stands for. organization names
// another organization than the token's own, "" for none.
func (a *Authenticator) Authenticate(ctx context.Context, bearer, organization string) (Caller, error) {
	if strings.HasPrefix(bearer, ProofPrefix) {
		return Caller{}, errs.New(errs.Unauthenticated,
			"a signed S3 request is no bearer token: send the token of an API key")
	}
	id, err := ParseToken(bearer)
	if err != nil {
		return Caller{}, errs.New(errs.Unauthenticated, "%s", err.Error())
	}
	c, err := a.caller(id, bearer, organization)
	if a.Current != nil && (errs.Is(err, errs.Unauthenticated) && a.unknown(keyMeta(id)) || organization != "" &&
		(errs.Is(err, errs.NotFound) || errs.Is(err, errs.Denied))) {
		if cur := a.Current(ctx); cur == nil {
			c, err = a.caller(id, bearer, organization)
		}
	}
	return c, err
}

func (a *Authenticator) unknown(index string) bool {
	v, _, err := a.State.Meta(index)
	return err == nil && v == nil
}

func (a *Authenticator) caller(id, bearer, organization string) (Caller, error) {
	r, err := a.State.At(0)
	if err != nil {
		return Caller{}, err
	}
	defer r.Close()
	key, home, err := a.key(r, id)
	if err != nil {
		return Caller{}, err
	}
	if !checkToken(a.Pepper, bearer, key.GetStatus().GetSecretHash()) {
		return Caller{}, errToken
	}
	if t := key.GetSpec().GetExpireTime(); t != nil && !a.Clock.Now().Before(t.AsTime()) {
		return Caller{}, errToken
	}
	c := Caller{Who: "key:" + id, Organization: home, Permissions: key.GetSpec().GetPermissions()}
	c.Installation = home == System && slices.Contains(c.Permissions, "admin:*")
	return a.elsewhere(r, c, organization)
}

// key finds an API key by its id through the index that its admission keeps.
func (a *Authenticator) key(r admit.Reader, id string) (*identityv1.ApiKey, string, error) {
	v, _, err := a.State.Meta(keyMeta(id))
	if err != nil {
		return nil, "", err
	}
	org, name, ok := strings.Cut(string(v), "\x00")
	if !ok {
		return nil, "", errToken
	}
	ver, ok, err := r.Get(apiKeyKind, org, name)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", errToken
	}
	m, err := admit.Decode(apiKeyKind, ver.Value)
	if err != nil {
		return nil, "", err
	}
	key := m.(*identityv1.ApiKey)
	if key.GetStatus().GetKeyId() != id {
		return nil, "", errToken
	}
	return key, org, nil
}

// elsewhere makes the caller act in another organization. Whether that exists is not
// told to those who may not act there.
func (a *Authenticator) elsewhere(r admit.Reader, c Caller, organization string) (Caller, error) {
	if organization == "" || organization == c.Organization {
		return c, nil
	}
	c.Organization = organization
	if c.Installation {
		return c, exists(r, organization)
	}
	var err error
	if c.Permissions, err = bound(r, organization, c.Who); err != nil {
		return Caller{}, err
	}
	if len(c.Permissions) == 0 {
		return Caller{}, errs.New(errs.Denied, "%s may not act in organization %q", c.Who, organization)
	}
	c.Installation = organization == System && slices.Contains(c.Permissions, "admin:*")
	return c, nil
}

// Local is the caller on the break-glass socket.
func (a *Authenticator) Local(who, organization string) (Caller, error) {
	c := Caller{Who: who, Organization: System, Permissions: []string{"admin:*"}, Installation: true}
	r, err := a.State.At(0)
	if err != nil {
		return Caller{}, err
	}
	defer r.Close()
	return a.elsewhere(r, c, organization)
}

func exists(r admit.Reader, organization string) error {
	_, ok, err := r.Get(organizationKind, "", "organizations/"+organization)
	if err == nil && !ok {
		err = errs.New(errs.NotFound, "organization %q does not exist", organization)
	}
	return err
}

// bound gathers what role bindings of an organization give to a subject.
func bound(r admit.Reader, organization, subject string) ([]string, error) {
	var out []string
	var bad error
	err := r.Scan(roleBindingKind, organization, "", "", func(v admit.Version) bool {
		m, err := admit.Decode(roleBindingKind, v.Value)
		if err != nil {
			bad = err
			return false
		}
		if s := m.(*identityv1.RoleBinding).GetSpec(); s.GetSubject() == subject {
			out = append(out, s.GetPermissions()...)
		}
		return true
	})
	if err == nil {
		err = bad
	}
	return out, err
}
