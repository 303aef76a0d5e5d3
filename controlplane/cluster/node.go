// Package cluster describes the machines of an installation as a kind. What a node
// says of itself is not kept in the replicated state: it is asked of those who know,
// when a node is read. The package owns no state.
package cluster

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
)

// Node is the kind of machines. status tells what is known of one at the moment, nil
// when nothing is; it may itself be nil.
func Node(status func(ctx context.Context, name string) (*clusterv1.NodeStatus, error)) *kind.Kind {
	return &kind.Kind{
		Message: &clusterv1.Node{},
		Plural:  "nodes", Pattern: "nodes/{node}", Service: "cluster",
		Scope: kind.ScopeInstallation, ConfirmDelete: true, Admit: admitNode,
		Show: func(ctx context.Context, _ kind.Reader, m proto.Message) error { return show(ctx, status, m) },
		Columns: []kind.Column{
			{Title: "ROLE", Path: "spec.role"},
			{Title: "STATE", Path: "status.state"},
			{Title: "POSITION", Path: "status.position"},
			{Title: "LAG", Path: "status.lag"},
			{Title: "REFUSALS", Path: "status.refusals"},
			{Title: "LAST REFUSAL", Path: "status.lastRefusal"},
		},
	}
}

func admitNode(_ context.Context, a *kind.Admission) error {
	if a.New == nil {
		return nil
	}
	n := a.New.(*clusterv1.Node)
	if n.GetSpec() == nil {
		a.Bad("spec", "value is required")
		return nil
	}
	n.Status = nil // never kept
	if a.Old == nil {
		return nil
	}
	old := a.Old.(*clusterv1.Node).GetSpec()
	if old.GetRole() != n.Spec.GetRole() {
		a.Bad("spec.role", "a node keeps the role it joined with; delete it and let it join again")
	}
	return nil
}

func show(ctx context.Context, status func(context.Context, string) (*clusterv1.NodeStatus, error), m proto.Message) error {
	if status == nil {
		return nil
	}
	n := m.(*clusterv1.Node)
	s, err := status(ctx, strings.TrimPrefix(n.GetName(), "nodes/"))
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("status of %s: %w", n.GetName(), err)
	}
	n.Status = s
	return nil
}
