package edge

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
)

// metricZones bounds the series of zones: the busiest so far have some. `dark zones
// stats` tells of all.
const metricZones = 100

// dnsMetrics tells Prometheus what the handler counted.
type dnsMetrics struct {
	h     *serve.Handler
	names bool // of zones, too
}

var (
	dnsQueries   = dnsDesc("queries_total", "Messages that were read as queries.", "via")
	dnsAnswers   = dnsDesc("answers_total", "Answers by response code.", "rcode")
	dnsDropped   = dnsDesc("dropped_total", "Messages not worth an answer.")
	dnsTruncated = dnsDesc("truncated_total", "Answers with TC.")
	dnsLimited   = dnsDesc("limited_total", "Answers over the rate limit, dropped or slipped.")
	dnsUnsampled = dnsDesc("unsampled_total",
		"Samples for the query log or dnstap that were lost because their reader was slow.")
	dnsZone     = dnsDesc("zone_queries_total", "Queries of the busiest zones.", "zone")
	dnsZoneWhat = dnsDesc("zone_answers_total", "Answers of the busiest zones that gave no data, by what they gave.",
		"zone", "answer")
	dnsZoneType = dnsDesc("zone_types_total", "Queries of the busiest zones by type.", "zone", "type")
	dnsZoneTier = dnsDesc("zone_tiers_total", "Queries of the busiest zones by the tier that answered.", "zone", "tier")
	dnsTier     = dnsDesc("tiers_total", "Queries by the tier that answered.", "tier")
)

func dnsDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dark_dns_"+name, help, labels, nil)
}

// Names of transports and response codes (RFC 6895 2.3) as labels.
var (
	viaNames   = [...]string{"udp", "tcp", "tls", "quic", "https"}
	rcodeNames = map[int]string{
		0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
		6: "YXDOMAIN", 9: "NOTAUTH", 16: "BADVERS", 23: "BADCOOKIE",
	}
)

// Describe lists the metrics.
func (m dnsMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		dnsQueries, dnsAnswers, dnsDropped, dnsTruncated, dnsLimited, dnsUnsampled,
		dnsTier, dnsZone, dnsZoneWhat, dnsZoneType, dnsZoneTier,
	} {
		ch <- d
	}
}

// Collect reads the counters.
func (m dnsMetrics) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	c := m.h.Counts()
	for i, v := range c.Via {
		count(dnsQueries, v, viaNames[i])
	}
	for i, v := range c.Rcodes {
		if name, known := rcodeNames[i]; known {
			count(dnsAnswers, v, name)
		} else if v > 0 {
			count(dnsAnswers, v, fmt.Sprintf("RCODE%d", i))
		}
	}
	count(dnsDropped, c.Dropped)
	count(dnsTruncated, c.Truncated)
	count(dnsLimited, c.Limited)
	count(dnsUnsampled, c.Unsampled)
	count(dnsTier, c.Tier1, "1")
	count(dnsTier, c.Tier2, "2")
	if !m.names {
		return
	}
	for _, z := range m.busiest() {
		z.collect(count)
	}
}

type zoneCount struct {
	apex string
	serve.ZoneCounts
}

func (z zoneCount) collect(count func(*prometheus.Desc, uint64, ...string)) {
	count(dnsZone, z.Queries, z.apex)
	count(dnsZoneWhat, z.NXDomain, z.apex, "nxdomain")
	count(dnsZoneWhat, z.NoData, z.apex, "nodata")
	count(dnsZoneWhat, z.Referrals, z.apex, "referral")
	count(dnsZoneWhat, z.Truncated, z.apex, "truncated")
	count(dnsZoneType, z.A, z.apex, "A")
	count(dnsZoneType, z.AAAA, z.apex, "AAAA")
	count(dnsZoneType, z.OtherTypes, z.apex, "other")
	count(dnsZoneTier, z.Tier1, z.apex, "1")
	count(dnsZoneTier, z.Tier2, z.apex, "2")
}

func (m dnsMetrics) busiest() []zoneCount {
	var all []zoneCount
	countedZones(m.h, func(apex string, c serve.ZoneCounts) bool {
		all = append(all, zoneCount{apex, c})
		return true
	})
	slices.SortFunc(all, func(a, b zoneCount) int {
		return cmp.Or(cmp.Compare(b.Queries, a.Queries), cmp.Compare(a.apex, b.apex))
	})
	return all[:min(len(all), metricZones)]
}
