package domains

import (
	"context"
	"net"
	"slices"
	"strings"
)

// challengeAt is before a name whose TXT record shows its challenge.
const challengeAt = "_dark-challenge."

// Resolver looks up what shows control over a name; *net.Resolver is one.
type Resolver interface {
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// ChallengeShown looks whether a name shows its challenge. It asks the world's DNS, never
// this installation's own answers.
func ChallengeShown(ctx context.Context, r Resolver, name, challenge string) bool {
	txt, err := r.LookupTXT(ctx, challengeAt+name+".")
	return err == nil && challenge != "" && slices.Contains(txt, challenge)
}

// DelegatedTo looks whether a name is delegated to one of these name servers, which only
// who controls it could do.
func DelegatedTo(ctx context.Context, r Resolver, name string, servers []string) bool {
	if len(servers) == 0 {
		return false
	}
	ns, err := r.LookupNS(ctx, name+".")
	return err == nil && slices.ContainsFunc(ns, func(s *net.NS) bool {
		return slices.Contains(servers, strings.ToLower(strings.TrimSuffix(s.Host, ".")))
	})
}
