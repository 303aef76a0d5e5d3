package cluster_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
)

func TestStatusIsShownAndNeverKept(t *testing.T) {
	k := cluster.Node(func(_ context.Context, name string) (*clusterv1.NodeStatus, error) {
		switch name {
		case "n1":
			return &clusterv1.NodeStatus{Connected: true}, nil
		case "n2":
			return nil, errs.New(errs.NotFound, "never heard of it")
		}
		return nil, errors.New("broken")
	})
	for name, ok := range map[string]bool{"n1": true, "n2": true, "n3": false} {
		n := &clusterv1.Node{Name: "nodes/" + name}
		if err := k.Show(t.Context(), nil, n); (err == nil) != ok || n.GetStatus().GetConnected() != (name == "n1") {
			t.Errorf("%s: %v %v", name, n, err)
		}
	}
	a := &kind.Admission{Old: &clusterv1.Node{Spec: &clusterv1.NodeSpec{Role: "edge"}}, New: &clusterv1.Node{
		Spec:   &clusterv1.NodeSpec{Role: "edge"},
		Status: &clusterv1.NodeStatus{Connected: true},
	}}
	if err := k.Admit(t.Context(), a); err != nil || a.New.(*clusterv1.Node).Status != nil {
		t.Errorf("%v %v", a.New, err)
	}
	a = &kind.Admission{New: &clusterv1.Node{Spec: &clusterv1.NodeSpec{Role: "edge"}}}
	if err := k.Admit(t.Context(), a); !errs.Is(err, errs.Invalid) {
		t.Errorf("a node that nobody enrolled: %v", err)
	}
}

func TestANodeKeepsItsRole(t *testing.T) {
	k := cluster.Node(nil)
	for _, c := range []struct {
		role string
		bad  int
	}{{"edge", 0}, {"control", 1}} {
		a := &kind.Admission{
			Old: &clusterv1.Node{Spec: &clusterv1.NodeSpec{Role: "edge"}},
			New: &clusterv1.Node{Spec: &clusterv1.NodeSpec{Role: c.role}},
		}
		if err := k.Admit(t.Context(), a); err != nil || len(a.Violations) != c.bad {
			t.Errorf("%s: %v %v", c.role, a.Violations, err)
		}
	}
}

// TestADocumentWithoutTheMachineKeyKeepsIt: nothing could be sealed to the node any more, and
// no key or bucket reached it.
func TestADocumentWithoutTheMachineKeyKeepsIt(t *testing.T) {
	k := cluster.Node(nil)
	for given, bad := range map[string]int{"": 0, "age1own": 0, "age1other": 1} {
		n := &clusterv1.Node{Spec: &clusterv1.NodeSpec{Role: "edge", Drained: true, MachineKey: []byte(given)}}
		a := &kind.Admission{Old: &clusterv1.Node{Spec: &clusterv1.NodeSpec{
			Role:       "edge",
			MachineKey: []byte("age1own"),
		}}, New: n}
		if err := k.Admit(t.Context(), a); err != nil || len(a.Violations) != bad {
			t.Errorf("%q: %v %v", given, a.Violations, err)
		}
		if bad == 0 && string(n.Spec.MachineKey) != "age1own" {
			t.Errorf("%q: the machine key became %q", given, n.Spec.MachineKey)
		}
	}
}
