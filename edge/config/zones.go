package config

import (
	"cmp"
	"slices"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// ackedZones is the most zones that one ack tells of.
const ackedZones = 200

// zonesTold is how many queries of each zone the control node of a session was told.
type zonesTold map[string]uint64

// ackCounts is an ack with the counts of zones that rose, the most risen first, and with
// what changed in the store.
func (s *session) ackCounts(told zonesTold, kept *storageTold) error {
	a := s.newAck(nil, 0)
	a.CountingSince = s.c.began.UnixNano()
	if s.c.o.Zones != nil {
		a.Zones = told.next(s.c.o.Zones)
	}
	if s.c.o.Storage != nil {
		a.Storage = kept.next(s.c.o.Storage())
	}
	return s.write(&feedv1.Up{Message: &feedv1.Up_Ack{Ack: a}})
}

// next picks the zones to tell of and notes that they were told.
func (t zonesTold) next(all func(func(*feedv1.ZoneStats) bool)) []*feedv1.ZoneStats {
	var risen []*feedv1.ZoneStats
	all(func(z *feedv1.ZoneStats) bool {
		if z.GetQueries() != t[z.GetZone()] {
			risen = append(risen, z)
		}
		return true
	})
	slices.SortFunc(risen, func(a, b *feedv1.ZoneStats) int {
		return cmp.Or(cmp.Compare(b.Queries-t[b.Zone], a.Queries-t[a.Zone]), cmp.Compare(a.Zone, b.Zone))
	})
	risen = risen[:min(len(risen), ackedZones)]
	for _, z := range risen {
		t[z.Zone] = z.Queries
	}
	return risen
}
