package main

import (
	"testing"

	"github.com/dark-ecosystem/dark/edge"
)

func TestDNSSettings(t *testing.T) {
	for _, c := range []struct {
		sample, rate string
		want         [2]int // sample, rate
		bad          bool
	}{
		{"1", "0", [2]int{1, 0}, false},
		{"", "", [2]int{1, 0}, false},
		{"1000", "-1", [2]int{1000, -1}, false},
		{"0", "0", [2]int{}, true},
		{"all", "0", [2]int{}, true},
		{"1", "5/s", [2]int{}, true},
	} {
		var got edge.Config
		err := (&dnsSettings{
			nsid: "n", serverID: "-", queryLog: "q", dnstap: "t", sample: c.sample,
			rate: c.rate,
		}).configure(&got)
		if (err != nil) != c.bad {
			t.Errorf("%q %q: %v", c.sample, c.rate, err)
		}
		if err == nil && ([2]int{got.QueryLogSample, got.DNSRate} != c.want || got.NSID != "n" || got.ServerID != "-" ||
			got.QueryLog != "q" || got.DNSTap != "t") {
			t.Errorf("%q %q: %+v", c.sample, c.rate, got)
		}
	}
}
