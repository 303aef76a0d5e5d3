package serve

import (
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/dns"
)

func TestCounts(t *testing.T) {
	com, org := zoneOf(t, "example.com", "www A 192.0.2.1", "cut NS ns.elsewhere."), zoneOf(t, "example.org")
	h := handlerOf()
	v := &dns.View{}
	v.Zones = v.Zones.With(com.Numbered(1)).With(org.Numbered(300))
	h.Swap(v)
	s := NewSampler(2, 2)
	h.Sample(s)
	x := h.newExchange() // one loop: those of the pool count samples apart
	for i, q := range [][2]string{
		{"www.example.com", "A"},
		{"www.example.com", "AAAA"},
		{"no.example.com", "TXT"},
		{"x.cut.example.com", "A"},
		{"example.org", "SOA"},
		{"example.net", "A"},
	} {
		m, err := question(q[0], q[1]).Pack()
		if err != nil {
			t.Fatal(err)
		}
		x.batched = i%2 == 0 // every other one by tier 1
		x.handle(nil, m, client, UDP)
	}
	got, _ := h.ZoneCounts("example.com")
	if want := (ZoneCounts{
		Queries: 4, Tier1: 2, Tier2: 2, NXDomain: 1, NoData: 1, Referrals: 1, A: 2, AAAA: 1,
		OtherTypes: 1,
	}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, _ := h.ZoneCounts("example.org"); got != (ZoneCounts{Queries: 1, Tier1: 1, OtherTypes: 1}) {
		t.Errorf("%+v", got)
	}
	if _, ok := h.ZoneCounts("example.net"); ok {
		t.Error("a zone that is not served was counted")
	}
	c := h.Counts()
	if c.Queries != 6 || c.Rcodes[3] != 1 || c.Rcodes[5] != 1 || c.Via[UDP] != 6 || c.Tier1 != 3 || c.Tier2 != 3 {
		t.Errorf("%+v", c)
	}
	if len(s.Samples()) != 2 || c.Unsampled != 1 {
		t.Errorf("%d samples, %d lost, want 2 in the queue and 1 lost", len(s.Samples()), c.Unsampled)
	}
}
