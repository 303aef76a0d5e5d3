package config

import (
	"fmt"
	"testing"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// TestZonesAreToldAsTheyRise: the most risen first, no more than fit, all in the end,
// and none twice.
func TestZonesAreToldAsTheyRise(t *testing.T) {
	counts := map[string]uint64{}
	for i := range 500 {
		counts[fmt.Sprintf("z%d.example", i)] = uint64(i + 1)
	}
	all := func(yield func(*feedv1.ZoneStats) bool) {
		for z, n := range counts {
			if !yield(&feedv1.ZoneStats{Zone: z, Queries: n}) {
				return
			}
		}
	}
	told := zonesTold{}
	for i, want := range []int{200, 200, 100, 0} {
		got := told.next(all)
		if len(got) != want {
			t.Fatalf("ack %d tells of %d zones, want %d", i, len(got), want)
		}
		if i == 0 && (got[0].Zone != "z499.example" || got[199].Zone != "z300.example") {
			t.Errorf("first %v, last %v", got[0], got[199])
		}
	}
	counts["z0.example"] += 7
	counts["z1.example"]++
	if got := told.next(all); len(got) != 2 || got[0].Zone != "z0.example" || got[0].Queries != 8 {
		t.Errorf("%v", got)
	}
}
