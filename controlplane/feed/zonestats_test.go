package feed

import (
	"testing"
	"time"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// TestZoneStatsAreThoseOfConnectedEdges: the last of each, anew when an edge began anew,
// and gone with its connection.
func TestZoneStatsAreThoseOfConnectedEdges(t *testing.T) {
	s := &Server{nodes: newNodes()}
	now := time.Now()
	one, two := s.nodes.hello("one", &feedv1.Hello{}, now), s.nodes.hello("two", &feedv1.Hello{}, now)
	s.nodes.connected(one, true, now)
	s.nodes.connected(two, true, now)
	ack := func(st *nodeState, since int64, zone string, queries uint64) {
		s.nodes.ack(st, &feedv1.Ack{CountingSince: since, Zones: []*feedv1.ZoneStats{{Zone: zone, Queries: queries}}},
			now)
	}
	expect := func(zone string, want uint64) {
		t.Helper()
		sum := uint64(0)
		s.ZoneStats(zone, func(z *feedv1.ZoneStats) { sum += z.Queries })
		if sum != want {
			t.Errorf("%s: %d queries, want %d", zone, sum, want)
		}
	}
	ack(one, 1, "a", 10)
	ack(one, 1, "b", 5)
	ack(two, 7, "a", 3)
	ack(one, 1, "a", 11)
	expect("a", 14)
	expect("b", 5)
	s.nodes.ack(one, &feedv1.Ack{Revision: 9}, now) // one that tells nothing of zones
	expect("a", 14)
	ack(one, 2, "a", 1) // it was started again
	expect("a", 4)
	expect("b", 0)
	s.nodes.connected(two, false, now)
	expect("a", 1)
}
