package controlplane

import (
	"context"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/domains"
	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// runDomains looks again and again whether the owners of pending names have shown control
// over them.
func (n *Node) runDomains(ctx context.Context) {
	domains.Run(ctx, domains.Config{Sources: []domains.Source{n.pendingZones()}, Log: n.cfg.Logger})
}

// pendingZones are zones whose owners show control by the apex's NS records, or by the
// challenge.
func (n *Node) pendingZones() domains.Source {
	return domains.Source{
		Pending: n.zoneClaims,
		Prove: func(ctx context.Context, c domains.Claim) bool {
			return domains.ChallengeShown(ctx, n.cfg.Resolver, c.Name, c.Challenge) ||
				domains.DelegatedTo(ctx, n.cfg.Resolver, c.Name, n.cfg.NameServers)
		},
		Shown: n.zoneShown,
	}
}

func (n *Node) zoneClaims() ([]domains.Claim, error) {
	r, err := n.core.store.At(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []domains.Claim
	err = r.ScanAll(zoneKind, func(v state.Version) bool {
		var z dnsv1.Zone
		if proto.Unmarshal(v.Value, &z) == nil && z.GetStatus().GetControl() == dnsv1.ZoneStatus_CONTROL_PENDING {
			out = append(out, domains.Claim{
				Kind: zoneKind, Organization: v.Organization, Stored: v.Name, Revision: v.Revision,
				Name: strings.TrimPrefix(v.Name, "zones/"), Challenge: z.GetStatus().GetChallenge(),
			})
		}
		return true
	})
	return out, err
}

// zoneShown has a zone served. One that was changed meanwhile is looked at again.
func (n *Node) zoneShown(ctx context.Context, c domains.Claim) error {
	r, err := n.core.store.At(0)
	if err != nil {
		return err
	}
	defer r.Close()
	v, ok, err := r.Get(zoneKind, c.Organization, c.Stored)
	if err != nil || !ok || v.Revision != c.Revision {
		return err
	}
	z := &dnsv1.Zone{}
	if err := proto.Unmarshal(v.Value, z); err != nil {
		return err
	}
	z.Status.Control = dnsv1.ZoneStatus_CONTROL_SHOWN
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(z)
	if err != nil {
		return err
	}
	ref := &statev1.Ref{Kind: zoneKind, Organization: c.Organization, Name: c.Stored}
	_, err = n.core.log.Propose(ctx, &statev1.Transaction{
		Origin:        n.controller("domains"),
		Preconditions: []*statev1.Precondition{admit.At(ref, v.Revision)},
		Ops: []*statev1.Op{{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
			Ref: ref, Value: value, Claims: zoneNames(c.Name, z),
		}}}},
	})
	if errs.Is(err, errs.Conflict) {
		return nil // it was changed; the next round reads it again
	}
	return err
}

// zoneNames is the name that a zone holds, as its admission asked for it.
func zoneNames(apex string, z *dnsv1.Zone) []*statev1.Claim {
	return []*statev1.Claim{{Space: "dns", Name: apex, Hierarchical: true, Grants: z.GetSpec().GetGrants()}}
}
