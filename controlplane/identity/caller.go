package identity

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
)

// System is the organization of the installation's operators. "admin:*" in it is
// power over the whole installation.
const System = "system"

// Verbs that permissions are made of.
const (
	Read  = "read"
	Write = "write"
	Trust = "trust"
)

// Caller is who asks, for which organization, and what they may do there.
type Caller struct {
	// Who as the audit names it: "key:ID", "socket:uid=0".
	Who string
	// Organization that the request is about.
	Organization string
	// Permissions in that organization.
	Permissions []string
	// Installation: holds admin:* in the system organization, and so may do everything
	// in every organization.
	Installation bool
	// From is the address that the request came from.
	From string
	// Limit refuses requests that the credential is not for, beside what Permissions say;
	// nil refuses none.
	Limit func(method string, req proto.Message) error
}

// Can reports whether the caller may do a verb on resources of a service that belong
// to the organization asked for. Trust never follows from a star: it must be named.
func (c Caller) Can(service, verb string) bool {
	if c.Installation {
		return true
	}
	for _, p := range c.Permissions {
		s, v, _ := strings.Cut(p, ":")
		if s != service && (s != "admin" || verb == Trust) {
			continue
		}
		if v == verb || v == "*" && verb != Trust {
			return true
		}
	}
	return false
}

// CanInstallation reports the same for resources of the installation: the permission
// must be held in the system organization.
func (c Caller) CanInstallation(service, verb string) bool {
	return c.Installation || c.Organization == System && c.Can(service, verb)
}

// May reports whether the caller may do a verb on resources of a kind.
func (c Caller) May(k *kind.Kind, verb string) bool {
	if k.Scope == kind.ScopeInstallation {
		return c.CanInstallation(k.Service, verb)
	}
	return c.Organization != "" && c.Can(k.Service, verb)
}

// Kind is the caller as kinds know it.
func (c Caller) Kind() kind.Caller {
	return kind.Caller{Who: c.Who, TrustedDomains: c.Can("dns", Trust)}
}

// mayGrant reports whether the caller may give a permission to another: only what
// they have, and trust only as an operator of the installation.
func (c Caller) mayGrant(permission string) bool {
	s, v, _ := strings.Cut(permission, ":")
	switch {
	case c.Installation:
		return true
	case v == Trust:
		return false
	case v != "*":
		return c.Can(s, v)
	}
	for _, p := range c.Permissions {
		if p == permission || p == "admin:*" {
			return true
		}
	}
	return false
}

type callerKey struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the context's caller; without one, a caller who may do nothing.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}
