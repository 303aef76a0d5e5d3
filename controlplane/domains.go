package controlplane

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

const (
	domainsEvery = 30 * time.Second
	lookupTime   = 5 * time.Second
	challengeAt  = "_dark-challenge."
)

// Resolver looks up what shows control over a name; *net.Resolver is one.
type Resolver interface {
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// runDomains looks again and again whether the owners of pending zones have shown
// control over their names: by the zone's NS records, or by the challenge.
func (n *Node) runDomains(ctx context.Context) {
	every(ctx, domainsEvery, func(ctx context.Context) {
		zones, err := n.pendingZones()
		if err != nil {
			n.cfg.Logger.Warn("read pending zones", "err", err)
		}
		for _, v := range zones {
			if err := n.verifyDomain(ctx, v); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Warn("verify domain", "zone", v.Name, "err", err)
			}
		}
	})
}

func (n *Node) pendingZones() ([]state.Version, error) {
	r, err := n.core.store.At(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []state.Version
	err = r.ScanAll(zoneKind, func(v state.Version) bool {
		var z dnsv1.Zone
		if proto.Unmarshal(v.Value, &z) == nil && z.GetStatus().GetControl() == dnsv1.ZoneStatus_CONTROL_PENDING {
			out = append(out, v)
		}
		return true
	})
	return out, err
}

func (n *Node) verifyDomain(ctx context.Context, v state.Version) error {
	m, err := admit.Decode(zoneKind, v.Value)
	if err != nil {
		return err
	}
	z := m.(*dnsv1.Zone)
	apex := strings.TrimPrefix(v.Name, "zones/")
	if !n.controlShown(ctx, apex, z.GetStatus().GetChallenge()) {
		return nil
	}
	z = proto.Clone(z).(*dnsv1.Zone)
	z.Status.Control = dnsv1.ZoneStatus_CONTROL_SHOWN
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(z)
	if err != nil {
		return err
	}
	ref := &statev1.Ref{Kind: zoneKind, Organization: v.Organization, Name: v.Name}
	_, err = n.core.log.Propose(ctx, &statev1.Transaction{
		Origin:        n.controller("domains"),
		Preconditions: []*statev1.Precondition{admit.At(ref, v.Revision)},
		Ops: []*statev1.Op{{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
			Ref: ref, Value: value, Claims: zoneClaims(apex, z),
		}}}},
	})
	if errs.Is(err, errs.Conflict) {
		return nil // it was changed; the next round reads it again
	}
	return err
}

// zoneClaims is the name that a zone holds, as its admission asked for it.
func zoneClaims(apex string, z *dnsv1.Zone) []*statev1.Claim {
	return []*statev1.Claim{{Space: "dns", Name: apex, Hierarchical: true, Grants: z.GetSpec().GetGrants()}}
}

// controlShown asks the world's DNS, never this installation's own answers.
func (n *Node) controlShown(ctx context.Context, apex, challenge string) bool {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	if txt, err := n.cfg.Resolver.LookupTXT(ctx, challengeAt+apex+"."); err == nil && challenge != "" && slices.Contains(txt, challenge) {
		return true
	}
	if len(n.cfg.NameServers) == 0 {
		return false
	}
	ns, err := n.cfg.Resolver.LookupNS(ctx, apex+".")
	if err != nil || len(ns) == 0 {
		return false
	}
	return slices.ContainsFunc(ns, func(s *net.NS) bool {
		return slices.Contains(n.cfg.NameServers, strings.ToLower(strings.TrimSuffix(s.Host, ".")))
	})
}
