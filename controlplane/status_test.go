package controlplane

import (
	"testing"

	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
)

// TestWaitShowsWhatTheAskerMaySee: a refusal may name another organization's zones.
func TestWaitShowsWhatTheAskerMaySee(t *testing.T) {
	s := &clusterv1.NodeStatus{LastRefusal: "zones/secret.test", LastRefusalStream: "org/acme"}
	of := &clusterv1.NodeStatus{LastRefusal: "nodes/e9", LastRefusalStream: "system"}
	for _, c := range []struct {
		who                   asker
		name, refusal, system string
	}{
		{asker{operator: true, organization: "system"}, "fra1", "zones/secret.test", "nodes/e9"},
		{asker{organization: "acme"}, "edge 3", "zones/secret.test", ""},
		{asker{organization: "other"}, "edge 3", "", ""},
		{asker{}, "edge 3", "", ""},
	} {
		if c.who.name(2, "fra1") != c.name || c.who.refusal(s) != c.refusal || c.who.refusal(of) != c.system {
			t.Errorf("%+v sees %q, %q, %q", c.who, c.who.name(2, "fra1"), c.who.refusal(s), c.who.refusal(of))
		}
	}
}
