package controlplane

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/errs"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// callZones asks another control node how its edges are asked for zones.
const callZones = "control/zones"

// reportedZones bounds what one control node tells another: its busiest.
const reportedZones = 5000

// ZoneStats are the counts of an organization's zones, or of one of them ("zones/NAME"),
// summed over the edges that are connected to any control node, the busiest first.
func (n *Node) ZoneStats(ctx context.Context, organization, zone string) ([]*clusterv1.ZoneStats, error) {
	if zone != "" {
		if found, err := n.hasZone(organization, zone); err != nil || !found {
			return nil, errs.Wrap(errs.NotFound, err, "%s does not exist", zone)
		}
	}
	own, err := n.ownZoneStats(organization, zone)
	if err != nil {
		return nil, err
	}
	query, err := proto.Marshal(&clusterv1.ZoneStatsCall{Organization: organization, Zone: zone})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	sums := zoneSums{}
	sums.add(own)
	var mu sync.Mutex
	var asking sync.WaitGroup
	for name, m := range n.members() {
		if name == n.core.self.Name {
			continue
		}
		asking.Go(func() {
			b, err := n.core.node.Call(ctx, m.Transport, callZones, query)
			r := &clusterv1.ListZoneStatsResponse{}
			if err == nil {
				err = proto.Unmarshal(b, r)
			}
			if err != nil {
				n.cfg.Logger.Warn("ask for counts of zones", "node", name, "err", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			sums.add(r.Zones)
		})
	}
	asking.Wait()
	if zone != "" && len(sums) == 0 {
		sums[zone] = &clusterv1.ZoneStats{Name: zone}
	}
	return sums.busiest(), nil
}

func (n *Node) hasZone(organization, zone string) (bool, error) {
	r, err := n.core.store.At(0)
	if err != nil {
		return false, err
	}
	defer r.Close()
	_, ok, err := r.Get(zoneKind, organization, zone)
	return ok, err
}

// serveZones answers another control node.
func (n *Node) serveZones(_ context.Context, _ string, body []byte) ([]byte, error) {
	q := &clusterv1.ZoneStatsCall{}
	if err := proto.Unmarshal(body, q); err != nil {
		return nil, err
	}
	zones, err := n.ownZoneStats(q.Organization, q.Zone)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(&clusterv1.ListZoneStatsResponse{Zones: zones[:min(len(zones), reportedZones)]})
}

// ownZoneStats sums over the edges that are connected here.
func (n *Node) ownZoneStats(organization, zone string) ([]*clusterv1.ZoneStats, error) {
	if n.feed == nil {
		return nil, nil
	}
	sums := zoneSums{}
	if zone != "" {
		n.feed.ZoneStats(strings.TrimPrefix(zone, "zones/"), sums.count)
		return sums.busiest(), nil
	}
	r, err := n.core.store.At(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	err = r.Scan(zoneKind, organization, "zones/", "", func(v state.Version) bool {
		n.feed.ZoneStats(strings.TrimPrefix(v.Name, "zones/"), sums.count)
		return true
	})
	return sums.busiest(), err
}

// zoneSums are sums by name of zone.
type zoneSums map[string]*clusterv1.ZoneStats

func (s zoneSums) count(z *feedv1.ZoneStats) {
	s.add([]*clusterv1.ZoneStats{{
		Name: "zones/" + z.Zone, Queries: z.Queries, Nxdomain: z.Nxdomain, Nodata: z.Nodata, Referrals: z.Referrals,
		Truncated: z.Truncated, A: z.A, Aaaa: z.Aaaa, OtherTypes: z.OtherTypes, Tier1: z.Tier1, Edges: 1,
	}})
}

func (s zoneSums) add(all []*clusterv1.ZoneStats) {
	for _, z := range all {
		t := s[z.Name]
		if t == nil {
			t = &clusterv1.ZoneStats{Name: z.Name}
			s[z.Name] = t
		}
		t.Queries += z.Queries
		t.Nxdomain += z.Nxdomain
		t.Nodata += z.Nodata
		t.Referrals += z.Referrals
		t.Truncated += z.Truncated
		t.A += z.A
		t.Aaaa += z.Aaaa
		t.OtherTypes += z.OtherTypes
		t.Tier1 += z.Tier1
		t.Edges += z.Edges
	}
}

func (s zoneSums) busiest() []*clusterv1.ZoneStats {
	return slices.SortedFunc(maps.Values(s), func(a, b *clusterv1.ZoneStats) int {
		return cmp.Or(cmp.Compare(b.Queries, a.Queries), cmp.Compare(a.Name, b.Name))
	})
}
