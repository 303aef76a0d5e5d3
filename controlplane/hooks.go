package controlplane

import (
	"context"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// clusterHooks is the node as ClusterService asks it.
type clusterHooks Node

func (h *clusterHooks) node() *Node { return (*Node)(h) }

func (h *clusterHooks) Status(ctx context.Context) (*clusterv1.GetStatusResponse, error) {
	return h.node().Status(ctx)
}

func (h *clusterHooks) Members(ctx context.Context) (*clusterv1.ListMembersResponse, error) {
	return h.node().ListMembers(ctx)
}

func (h *clusterHooks) Remove(ctx context.Context, name, reason string) error {
	return h.node().RemoveMember(ctx, name, origin(ctx, "RemoveMember", reason))
}

func (h *clusterHooks) Transfer(ctx context.Context, to string) (string, error) {
	return h.node().TransferLeadership(ctx, to)
}

func (h *clusterHooks) CreateJoinToken(ctx context.Context,
	r *clusterv1.CreateJoinTokenRequest,
) (*clusterv1.CreateJoinTokenResponse, error) {
	return h.node().CreateJoinToken(ctx, r, origin(ctx, "CreateJoinToken", r.Reason))
}

func (h *clusterHooks) Join(ctx context.Context, r *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
	who, _ := identity.From(ctx)
	return h.node().Join(ctx, r, who.From)
}

func (h *clusterHooks) Wait(ctx context.Context, revision uint64, send func(*clusterv1.WaitResponse) error) error {
	c, _ := identity.From(ctx)
	return h.node().Wait(ctx, asker{c.CanInstallation("cluster", identity.Read), c.Organization}, revision, send)
}

func (h *clusterHooks) ZoneStats(ctx context.Context, organization, zone string) ([]*clusterv1.ZoneStats, error) {
	return h.node().ZoneStats(ctx, organization, zone)
}

// Propose implements admit.Proposer.
func (p proposer) Propose(ctx context.Context, tx *statev1.Transaction) (admit.Outcome, error) {
	out, err := p.Log.Propose(ctx, tx)
	return admit.Outcome(out), err
}

var (
	_ api.Cluster    = (*clusterHooks)(nil)
	_ admit.Proposer = proposer{}
	_ admit.State    = stateReader{}
	_ feed.Placement = (*source)(nil)
)
