package controlplane

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/consensus"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// TestPlacementRisesBeforeStreamsChange: and not for what changes no stream.
func TestPlacementRisesBeforeStreamsChange(t *testing.T) {
	store, err := state.Open("state", state.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	index := uint64(0)
	apply := func(op *statev1.Op) {
		t.Helper()
		index++
		entry := &statev1.Entry{
			Time:         int64(index),
			Transactions: []*statev1.Transaction{{Origin: &statev1.Origin{Who: "t"}, Ops: []*statev1.Op{op}}},
		}
		data, err := proto.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := state.Settle(index, store.Apply([]consensus.Command{{
			Index: index, Term: 1,
			Data: data,
		}})[0]); err != nil {
			t.Fatal(err)
		}
	}
	put := func(kind, organization, name string, m proto.Message) *statev1.Op {
		value, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return &statev1.Op{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{Ref: &statev1.Ref{
			Kind:         kind,
			Organization: organization, Name: name,
		}, Value: value}}}
	}
	s := &source{store: store}
	edge := put(nodeKind, "", "nodes/edge-1", nodeResource("edge-1", ca.Edge, "i1", nil))
	last := uint64(0)
	var before []string
	for _, c := range []struct {
		what  string
		op    *statev1.Op
		rises bool
	}{
		{"a node", edge, true},
		{"an organization", put(organizationKind, "", "organizations/acme",
			&identityv1.Organization{Spec: &identityv1.OrganizationSpec{}}), true},
		{"a zone", put(zoneKind, "acme", "zones/example.com", &identityv1.Organization{}), false},
		{
			"one placed elsewhere", put(organizationKind, "", "organizations/acme",
				&identityv1.Organization{
					Spec: &identityv1.OrganizationSpec{Placement: map[string]string{"site": "x"}},
				}),
			true,
		},
	} {
		apply(c.op)
		at := s.Placement()
		streams, _, err := s.Streams("edge-1")
		if err != nil {
			t.Fatal(err)
		}
		if rises := at > last; rises != c.rises {
			t.Errorf("%s: %d after %d", c.what, at, last)
		}
		if same := slices.Equal(streams, before); same == c.rises {
			t.Errorf("%s: streams %v after %v", c.what, streams, before)
		}
		if again := s.Placement(); again != at {
			t.Errorf("%s: it rose by being asked", c.what)
		}
		last, before = at, streams
	}
}
