package serve

import (
	"sync/atomic"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

// Zones are counted by their number, in chunks that come to be with the first query:
// 16 KiB for 256 zones and each loop. Numbers beyond all chunks share the first
// place, which belongs to no zone.
const (
	zoneChunkSize = 256
	zoneChunks    = 1024
)

type zoneChunk [zoneChunkSize]zoneCounters

// zoneCounters belong to one loop, or to all streams. A query for a zone touches one cache line.
type zoneCounters struct {
	tier1, nxdomain, nodata, referrals, truncated, a, aaaa, other atomic.Uint64
}

// ZoneCounts are the queries of one zone since the handler began.
type ZoneCounts struct {
	Queries                                uint64
	Tier1, Tier2                           uint64 // of the queries; see Counts
	NXDomain, NoData, Referrals, Truncated uint64 // of the answers
	A, AAAA, OtherTypes                    uint64 // of the questions
}

// zone returns the counters of a zone's number.
func (c *counters) zone(number uint32) *zoneCounters {
	if number >= zoneChunks*zoneChunkSize {
		number = 0
	}
	p := &c.zones[number/zoneChunkSize]
	chunk := p.Load()
	if chunk == nil {
		p.CompareAndSwap(nil, new(zoneChunk))
		chunk = p.Load()
	}
	return &chunk[number%zoneChunkSize]
}

// count counts the answer in work.
func (z *zoneCounters) count(x *exchange) {
	if x.first {
		z.tier1.Add(1)
	}
	switch {
	case x.full:
		z.truncated.Add(1)
	case x.rcode == wire.NXDomain:
		z.nxdomain.Add(1)
	case x.flags&wire.FlagAA == 0:
		z.referrals.Add(1)
	case x.rcode == wire.NoError && x.b.Count(wire.Answer) == 0:
		z.nodata.Add(1)
	}
	switch x.q.Type {
	case wire.TypeA:
		z.a.Add(1)
	case wire.TypeAAAA:
		z.aaaa.Add(1)
	default:
		z.other.Add(1)
	}
}

// ZoneCounts sums the counters of a zone of the present view, by its apex.
func (h *Handler) ZoneCounts(apex string) (t ZoneCounts, ok bool) {
	z, ok := h.View().Zones.Zone(apex)
	if !ok || z.Number() >= zoneChunks*zoneChunkSize {
		return t, ok
	}
	s := &h.counters
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.all {
		chunk := c.zones[z.Number()/zoneChunkSize].Load()
		if chunk == nil {
			continue
		}
		n := &chunk[z.Number()%zoneChunkSize]
		t.Tier1 += n.tier1.Load()
		t.NXDomain += n.nxdomain.Load()
		t.NoData += n.nodata.Load()
		t.Referrals += n.referrals.Load()
		t.Truncated += n.truncated.Load()
		t.A += n.a.Load()
		t.AAAA += n.aaaa.Load()
		t.OtherTypes += n.other.Load()
	}
	t.Queries = t.A + t.AAAA + t.OtherTypes // each is of one type
	t.Tier2 = t.Queries - min(t.Queries, t.Tier1)
	return t, true
}
