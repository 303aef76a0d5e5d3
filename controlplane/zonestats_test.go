package controlplane

import (
	"testing"

	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// TestZoneSums: edges of one control node, then what another control node summed.
func TestZoneSums(t *testing.T) {
	s := zoneSums{}
	s.count(&feedv1.ZoneStats{
		Zone: "a.example", Queries: 10, Nxdomain: 1, Nodata: 2, Referrals: 3, Truncated: 4, A: 5,
		Aaaa: 6, OtherTypes: 7,
	})
	s.count(&feedv1.ZoneStats{Zone: "a.example", Queries: 1, A: 1})
	s.count(&feedv1.ZoneStats{Zone: "b.example", Queries: 12})
	s.add([]*clusterv1.ZoneStats{{Name: "zones/a.example", Queries: 5, Edges: 3}, {
		Name: "zones/c.example", Queries: 12,
		Edges: 1,
	}})
	got := s.busiest()
	if len(got) != 3 || got[0].Name != "zones/a.example" || got[1].Name != "zones/b.example" ||
		got[2].Name != "zones/c.example" {
		t.Fatalf("%v", got)
	}
	a := got[0]
	if a.Queries != 16 || a.Edges != 5 || a.Nxdomain != 1 || a.Nodata != 2 || a.Referrals != 3 || a.Truncated != 4 ||
		a.A != 6 || a.Aaaa != 6 || a.OtherTypes != 7 {
		t.Errorf("%v", a)
	}
}
