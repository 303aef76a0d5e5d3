package edge

import (
	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// zones yields the counts of each zone that was asked for.
func (d *dnsServer) zones(yield func(*feedv1.ZoneStats) bool) {
	countedZones(d.h, func(apex string, c serve.ZoneCounts) bool {
		return yield(&feedv1.ZoneStats{
			Zone: apex, Queries: c.Queries, Nxdomain: c.NXDomain, Nodata: c.NoData, Referrals: c.Referrals,
			Truncated: c.Truncated, A: c.A, Aaaa: c.AAAA, OtherTypes: c.OtherTypes, Tier1: c.Tier1,
		})
	})
}

func countedZones(h *serve.Handler, yield func(string, serve.ZoneCounts) bool) {
	h.View().Zones.Ascend(func(z *zone.Zone) bool {
		c, ok := h.ZoneCounts(z.Apex())
		return !ok || c.Queries == 0 || yield(z.Apex(), c)
	})
}

// zoneStats yields those of all parts.
func (n *Node) zoneStats(yield func(*feedv1.ZoneStats) bool) {
	for _, p := range n.parts {
		if p.Zones == nil {
			continue
		}
		for z := range p.Zones {
			if !yield(z) {
				return
			}
		}
	}
}
