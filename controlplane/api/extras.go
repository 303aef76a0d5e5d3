package api

import (
	"google.golang.org/grpc"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/internal/clock"
)

// ZoneExtras are the methods of zones beside the standard ones.
func ZoneExtras(z *zones.Zones, s admit.State, p admit.Proposer, c clock.Clock) ([]Extra, error) {
	v, err := newValidator()
	if err != nil {
		return nil, err
	}
	t := z.Transfers(&admit.Writer{State: s, Proposer: p, Validate: v.violations, Clock: c})
	return []Extra{
		{"dark.dns.v1.ZoneService", "ImportZone", z.Zone(), identity.Write, func(stream grpc.ServerStream) error { return t.Import(stream) }},
		{"dark.dns.v1.ZoneService", "ExportZone", z.Zone(), identity.Read, func(stream grpc.ServerStream) error { return t.Export(stream) }},
	}, nil
}
