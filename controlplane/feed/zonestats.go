package feed

import (
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// keepZones is the most zones of one edge whose counts are kept.
const keepZones = 1 << 17

// zoneStats are what a connected edge told of its zones. It is guarded by nodes.mu.
type zoneStats struct {
	since int64
	zones map[string]*feedv1.ZoneStats
}

// take keeps what an ack tells; counts that began anew replace all.
func (z *zoneStats) take(a *feedv1.Ack) {
	if a.GetCountingSince() == 0 {
		return // it tells nothing of zones
	}
	if a.GetCountingSince() != z.since {
		*z = zoneStats{since: a.GetCountingSince()}
	}
	if z.zones == nil {
		z.zones = map[string]*feedv1.ZoneStats{}
	}
	for _, s := range a.GetZones() {
		if _, known := z.zones[s.GetZone()]; known || len(z.zones) < keepZones {
			z.zones[s.GetZone()] = s
		}
	}
}

// ZoneStats calls yield with the counts of a zone at each edge that is connected here.
func (s *Server) ZoneStats(zone string, yield func(*feedv1.ZoneStats)) {
	n := s.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, st := range n.mu.byName {
		if z := st.zones.zones[zone]; z != nil && st.Connected {
			yield(z)
		}
	}
}
