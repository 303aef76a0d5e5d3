package api

import (
	"context"

	"google.golang.org/grpc"

	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
)

// Cluster is what ClusterService asks of the node that it runs in. Who writes is told
// by identity.From(ctx); permission has been checked.
type Cluster interface {
	Status(context.Context) (*clusterv1.GetStatusResponse, error)
	Members(context.Context) (*clusterv1.ListMembersResponse, error)
	Remove(ctx context.Context, name, reason string) error
	// Transfer hands leadership over, to whom consensus chooses for "", and returns the new leader.
	Transfer(ctx context.Context, to string) (leader string, err error)
	CreateJoinToken(context.Context, *clusterv1.CreateJoinTokenRequest) (*clusterv1.CreateJoinTokenResponse, error)
	// Join checks the token itself.
	Join(context.Context, *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error)
	// Wait sends one message for each edge that reaches the revision.
	Wait(ctx context.Context, revision uint64, send func(*clusterv1.WaitResponse) error) error
	// ZoneStats are the counts of an organization's zones, or of one of them, the busiest first.
	ZoneStats(ctx context.Context, organization, zone string) ([]*clusterv1.ZoneStats, error)
}

type clusterService struct {
	clustergrpc.UnimplementedClusterServiceServer
	c Cluster
}

func (s *clusterService) GetStatus(ctx context.Context,
	_ *clusterv1.GetStatusRequest,
) (*clusterv1.GetStatusResponse, error) {
	return s.c.Status(ctx)
}

func (s *clusterService) ListMembers(ctx context.Context,
	_ *clusterv1.ListMembersRequest,
) (*clusterv1.ListMembersResponse, error) {
	return s.c.Members(ctx)
}

func (s *clusterService) RemoveMember(ctx context.Context,
	q *clusterv1.RemoveMemberRequest,
) (*clusterv1.RemoveMemberResponse, error) {
	if err := s.c.Remove(ctx, q.Name, q.Reason); err != nil {
		return nil, err
	}
	return &clusterv1.RemoveMemberResponse{}, nil
}

func (s *clusterService) TransferLeadership(ctx context.Context,
	q *clusterv1.TransferLeadershipRequest,
) (*clusterv1.TransferLeadershipResponse, error) {
	leader, err := s.c.Transfer(ctx, q.To)
	if err != nil {
		return nil, err
	}
	return &clusterv1.TransferLeadershipResponse{Leader: leader}, nil
}

func (s *clusterService) CreateJoinToken(ctx context.Context,
	q *clusterv1.CreateJoinTokenRequest,
) (*clusterv1.CreateJoinTokenResponse, error) {
	return s.c.CreateJoinToken(ctx, q)
}

func (s *clusterService) Join(ctx context.Context, q *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
	return s.c.Join(ctx, q)
}

// zonesListed is how many zones are listed where the caller does not say.
const zonesListed = 100

func (s *clusterService) ListZoneStats(ctx context.Context,
	q *clusterv1.ListZoneStatsRequest,
) (*clusterv1.ListZoneStatsResponse, error) {
	all, err := s.c.ZoneStats(ctx, askedOf(ctx).caller.Organization, q.Zone)
	if err != nil {
		return nil, err
	}
	size := int(q.PageSize)
	if size == 0 {
		size = zonesListed
	}
	return &clusterv1.ListZoneStatsResponse{Zones: all[:min(len(all), size)]}, nil
}

func (s *clusterService) Wait(q *clusterv1.WaitRequest,
	stream grpc.ServerStreamingServer[clusterv1.WaitResponse],
) error {
	return s.c.Wait(stream.Context(), q.Revision, stream.Send)
}
