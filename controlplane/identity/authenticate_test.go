package identity_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/admit/statetest"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

var pepper = []byte("pepper")

func writer(s *statetest.State, now time.Time) *admit.Writer {
	return &admit.Writer{State: s, Proposer: s, Validate: func(proto.Message) []kind.Violation {
		return nil
	}, Clock: clock.At(func() time.Time { return now })}
}

// operator is a context of one with all power.
func operator(ctx context.Context) context.Context {
	return identity.With(ctx, identity.Caller{Who: "test", Installation: true})
}

func newKey(t *testing.T, s *statetest.State, now time.Time, org, name string, spec *identityv1.ApiKeySpec) string {
	t.Helper()
	k, out := identity.ApiKey(pepper), &identityv1.ApiKey{}
	_, err := writer(s, now).Do(operator(t.Context()), admit.Request{Organization: org, Origin: &statev1.Origin{}},
		func(ctx context.Context, tx *admit.Tx) error {
			c, err := tx.Put(ctx, k, &identityv1.ApiKey{Name: name, Spec: spec}, admit.Options{})
			if err == nil {
				out = proto.Clone(c.After).(*identityv1.ApiKey)
				c.Reply(out)
			}
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	return out.Status.Token
}

func TestBootstrapKeyWorksOnce(t *testing.T) {
	s := statetest.New()
	token, tx, err := identity.BootstrapKey(pepper)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Propose(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	c, err := (&identity.Authenticator{State: s, Pepper: pepper}).Authenticate(t.Context(), token, "")
	if err != nil || !c.Installation || c.Organization != identity.System {
		t.Fatalf("%v %v", c, err)
	}
	if _, err := (&identity.Authenticator{State: s, Pepper: []byte("other")}).Authenticate(t.Context(), token,
		""); !errs.Is(err, errs.Unauthenticated) {
		t.Fatalf("another pepper: %v", err)
	}
	_, tx, err = identity.BootstrapKey(pepper)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Propose(t.Context(), tx); !errs.Is(err, errs.Conflict) {
		t.Fatalf("a second one: %v", err)
	}
}

func TestKeysEnd(t *testing.T) {
	s, now := statetest.New(), time.Unix(1_700_000_000, 0)
	token := newKey(t, s, now, "acme", "apikeys/a", &identityv1.ApiKeySpec{
		Permissions: []string{"dns:read"},
		ExpireTime:  timestamppb.New(now.Add(time.Hour)),
	})
	for _, c := range []struct {
		at time.Time
		ok bool
	}{{now, true}, {now.Add(time.Hour - 1), true}, {now.Add(time.Hour), false}} {
		_, err := (&identity.Authenticator{State: s, Pepper: pepper, Clock: clock.At(func() time.Time {
			return c.at
		})}).Authenticate(t.Context(), token, "")
		if c.ok != (err == nil) {
			t.Errorf("%v: %v", c.at, err)
		}
	}
}

// TestUnknownKeyIsAskedForOnce: a key made on another member just now is found when
// this member's state is brought up to date; what is unknown then stays refused.
func TestUnknownKeyIsAskedForOnce(t *testing.T) {
	s, now := statetest.New(), time.Unix(1_700_000_000, 0)
	asked, token := 0, ""
	a := &identity.Authenticator{State: s, Pepper: pepper, Current: func(context.Context) error {
		if asked++; token == "" {
			token = "made"
		}
		return nil
	}}
	_, unknown := identity.NewToken()
	if _, err := a.Authenticate(t.Context(), unknown, ""); !errs.Is(err, errs.Unauthenticated) || asked != 1 {
		t.Fatalf("%v, asked %d times", err, asked)
	}
	known := newKey(t, s, now, "acme", "apikeys/a", &identityv1.ApiKeySpec{Permissions: []string{"dns:read"}})
	if _, err := a.Authenticate(t.Context(), known, ""); err != nil || asked != 1 {
		t.Fatalf("%v, asked %d times", err, asked)
	}
	if _, err := a.Authenticate(t.Context(), "nonsense", ""); !errs.Is(err, errs.Unauthenticated) || asked != 1 {
		t.Fatalf("nonsense: %v, asked %d times", err, asked)
	}
}

func TestDeletedKeyIsRevokedAtEdges(t *testing.T) {
	k, now := identity.ApiKey(pepper), time.Unix(1_700_000_000, 0)
	old := &identityv1.ApiKey{Status: &identityv1.ApiKeyStatus{KeyId: "abc"}, Spec: &identityv1.ApiKeySpec{}}
	for _, c := range []struct {
		expire *timestamppb.Timestamp
		want   time.Time
	}{
		{nil, now.Add(time.Hour)},
		{timestamppb.New(now.Add(time.Minute)), now.Add(time.Minute)},
		{timestamppb.New(now.Add(9000 * time.Hour)), now.Add(time.Hour)}, // no longer than edges could use it
	} {
		old.Spec.ExpireTime = c.expire
		var got []kind.Record
		emit := func(r kind.Record) error { got = append(got, r); return nil }
		if err := k.Deny(t.Context(), kind.Publication{Old: old, Now: now}, emit); err != nil {
			t.Fatal(err)
		}
		r := &identityv1.PublishedRevocation{}
		if len(got) != 1 || got[0].Lane != kind.LaneDeny || got[0].Stream != "system" || got[0].Name != "key:abc" ||
			got[0].Expires != c.want.Unix() ||
			proto.Unmarshal(got[0].Value, r) != nil || r.Subject != "key:abc" || r.RevokedAt != now.Unix() {
			t.Fatalf("%v %v", got, r)
		}
		got = nil
		if err := k.Deny(t.Context(), kind.Publication{Old: old, New: old, Now: now}, emit); err != nil ||
			len(got) != 0 {
			t.Fatalf("a living key: %v %v", got, err)
		}
	}
}

func TestPermissions(t *testing.T) {
	for _, c := range []struct {
		org         string
		permissions []string
		service     string
		verb        string
		can, inst   bool
	}{
		{"acme", []string{"dns:read"}, "dns", "read", true, false},
		{"acme", []string{"dns:read"}, "dns", "write", false, false},
		{"acme", []string{"dns:*"}, "dns", "write", true, false},
		{"acme", []string{"dns:*"}, "dns", "trust", false, false},
		{"acme", []string{"dns:trust"}, "dns", "trust", true, false},
		{"acme", []string{"dns:trust"}, "dns", "read", false, false},
		{"acme", []string{"admin:*"}, "anything", "write", true, false},
		{"acme", []string{"admin:*"}, "dns", "trust", false, false},
		{"acme", []string{"admin:read"}, "dns", "read", true, false},
		{"acme", []string{"admin:read"}, "dns", "write", false, false},
		{"acme", nil, "dns", "read", false, false},
		{"system", []string{"cluster:read"}, "cluster", "read", true, true},
		{"system", []string{"cluster:read"}, "cluster", "write", false, false},
	} {
		who := identity.Caller{Organization: c.org, Permissions: c.permissions}
		if got := who.Can(c.service, c.verb); got != c.can {
			t.Errorf("%s %v %s:%s: %v", c.org, c.permissions, c.service, c.verb, got)
		}
		if got := who.CanInstallation(c.service, c.verb); got != c.inst {
			t.Errorf("%s %v %s:%s in the installation: %v", c.org, c.permissions, c.service, c.verb, got)
		}
	}
	if c, ok := identity.From(t.Context()); ok || c.Can("dns", "read") {
		t.Error("a context without a caller may something")
	}
}

func TestOrganizationEndsEmptyOnly(t *testing.T) {
	s, now := statetest.New(), time.Unix(1_700_000_000, 0)
	apiKey := "dark.identity.v1.ApiKey"
	org := identity.Organization(identity.Owned{
		FullNames: func() []string { return []string{apiKey} },
		FullName:  func(short string) (string, bool) { return apiKey, short == "ApiKey" },
	})
	do := func(f func(context.Context, *admit.Tx) error) error {
		_, err := writer(s, now).Do(operator(t.Context()), admit.Request{
			Organization: "system",
			Origin:       &statev1.Origin{},
		}, f)
		return err
	}
	put := func(limits map[string]uint64) error {
		return do(func(ctx context.Context, tx *admit.Tx) error {
			_, err := tx.Put(ctx, org, &identityv1.Organization{
				Name: "acme",
				Spec: &identityv1.OrganizationSpec{Limits: &identityv1.Limits{Resources: limits}},
			}, admit.Options{})
			return err
		})
	}
	end := func(name string) error {
		return do(func(ctx context.Context, tx *admit.Tx) error {
			_, err := tx.Delete(ctx, org, name, admit.Options{})
			return err
		})
	}
	if err := put(map[string]uint64{"Nonsense": 1}); !errs.Is(err, errs.Invalid) {
		t.Fatalf("a limit of no kind: %v", err)
	}
	if err := put(map[string]uint64{"ApiKey": 5}); err != nil {
		t.Fatal(err)
	}
	newKey(t, s, now, "acme", "apikeys/a", &identityv1.ApiKeySpec{Permissions: []string{"dns:read"}})
	if err := end("acme"); !errs.Is(err, errs.Conflict) {
		t.Fatalf("with a key: %v", err)
	}
	if err := do(func(ctx context.Context, tx *admit.Tx) error {
		tx.Organization = "acme"
		_, err := tx.Delete(ctx, identity.ApiKey(pepper), "a", admit.Options{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := end("acme"); err != nil {
		t.Fatal(err)
	}
}
