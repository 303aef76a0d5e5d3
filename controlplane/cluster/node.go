// Package cluster describes the machines of an installation as a kind. What a node
// says of itself is not kept in the replicated state: it is asked of those who know,
// when a node is read. The package owns no state.
package cluster

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/membership"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Node is the kind of machines. status tells what is known of one at the moment, nil
// when nothing is; it may itself be nil.
func Node(status func(ctx context.Context, name string) (*clusterv1.NodeStatus, error)) *kind.Kind {
	return &kind.Kind{
		Message: &clusterv1.Node{},
		Plural:  "nodes", Pattern: "nodes/{node}", Service: "cluster",
		// Of the deny lane, as credentials are: a node that was removed is not rolled back.
		Lane:  kind.LaneDeny,
		Scope: kind.ScopeInstallation, ConfirmDelete: true, Admit: admitNode, Publish: publishNode, Deny: denyNode,
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
		return admitRemoval(a)
	}
	n := a.New.(*clusterv1.Node)
	if n.GetSpec() == nil {
		a.Bad("spec", "value is required")
		return nil
	}
	if a.Old == nil {
		return errs.New(errs.Invalid, "a node is made by a machine that joins; `dark nodes token NAME` makes the "+
			"token that the machine joins with")
	}
	n.Status = nil // never kept
	old := a.Old.(*clusterv1.Node).GetSpec()
	if old.GetRole() != n.Spec.GetRole() {
		a.Bad("spec.role", "a node keeps the role it joined with; remove it and let it join again")
	}
	keepIdentity(a, old, n.Spec)
	return nil
}

// keepIdentity: who a node is is set by joining and renewing alone. A document that leaves
// these fields out leaves them as they are.
func keepIdentity(a *kind.Admission, old, now *clusterv1.NodeSpec) {
	const text = "is set when the node joins or renews its certificate; leave it out"
	if now.Instance != "" && now.Instance != old.GetInstance() {
		a.Bad("spec.instance", text)
	}
	for _, f := range []struct {
		name string
		old  []byte
		now  *[]byte
	}{
		{"spec.publicKey", old.GetPublicKey(), &now.PublicKey},
		{"spec.renewedPublicKey", old.GetRenewedPublicKey(), &now.RenewedPublicKey},
	} {
		if len(*f.now) > 0 && !bytes.Equal(*f.now, f.old) {
			a.Bad(f.name, text)
		}
		*f.now = f.old
	}
	now.Instance = old.GetInstance()
	switch { // it joins with its machine key: without it nothing could be sealed to it any more
	case len(old.GetMachineKey()) > 0 && len(now.MachineKey) > 0 && !bytes.Equal(now.MachineKey, old.MachineKey):
		a.Bad("spec.machineKey", text)
	case len(old.GetMachineKey()) > 0:
		now.MachineKey = old.MachineKey
	}
}

func admitRemoval(a *kind.Admission) error {
	old := a.Old.(*clusterv1.Node)
	if old.GetSpec().GetRole() == ca.Control {
		name := strings.TrimPrefix(a.Name, "nodes/")
		return errs.New(errs.Conflict, "%s is a control node; `dark members remove %s` removes it, with its vote "+
			"where it has become a member", name, name)
	}
	a.Ops = append(a.Ops, Deny(old, a.Now)...)
	return nil
}

// FeedAddressKind is the kind of the records of the stream "system" that say where a control
// node's feed is; they have its name.
const FeedAddressKind = "dark.feed.v1.FeedAddress"

// MetaDenied is the prefix of the keys of the state's index under which control nodes find
// the deny entries of nodes: SUBJECT, with the Unix second in which its certificate has ended.
const MetaDenied = "denied/"

// Record is what the installation records of a node, for package membership; nil of nil.
func Record(n *clusterv1.Node) *membership.Record {
	if n == nil {
		return nil
	}
	r := &membership.Record{Role: n.GetSpec().GetRole(), Instance: n.GetSpec().GetInstance()}
	for _, k := range [][]byte{n.GetSpec().GetPublicKey(), n.GetSpec().GetRenewedPublicKey()} {
		if len(k) > 0 {
			r.Keys = append(r.Keys, k)
		}
	}
	return r
}

// Deny keeps a node that ends, or whose name another machine gets, away from control nodes
// from the same transaction on, for as long as its certificate lives.
func Deny(n *clusterv1.Node, now time.Time) []*statev1.Op {
	var ops []*statev1.Op
	for _, subject := range Record(n).Denials() {
		m := &statev1.PutMeta{Key: MetaDenied + subject, Value: strconv.AppendInt(nil, now.Add(ca.NodeLife).Unix(), 10)}
		ops = append(ops, &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: m}}, admit.Ended("", denial(subject, now)))
	}
	return ops
}

// denial is the entry of the deny set for a node: it lives as long as the node's
// certificate may.
func denial(subject string, now time.Time) kind.Record {
	return identity.Revocation(nodeKind, subject, now, ca.NodeLife, nil)
}

var nodeKind = string((&clusterv1.Node{}).ProtoReflect().Descriptor().FullName())

// denyNode tells edges of a node that ended, or whose name another machine got.
func denyNode(_ context.Context, p kind.Publication, emit func(kind.Record) error) error {
	old, _ := p.Old.(*clusterv1.Node)
	now, _ := p.New.(*clusterv1.Node)
	if old == nil || now != nil && now.GetSpec().GetInstance() == old.GetSpec().GetInstance() {
		return nil
	}
	for _, subject := range Record(old).Denials() {
		if err := emit(denial(subject, p.Now)); err != nil {
			return err
		}
	}
	return nil
}

// publishNode ends the record of a control node's feed with the node.
func publishNode(_ context.Context, p kind.Publication, emit func(kind.Record) error) error {
	old, _ := p.Old.(*clusterv1.Node)
	if p.New != nil || old.GetSpec().GetRole() != ca.Control {
		return nil
	}
	return emit(kind.Record{
		Kind: FeedAddressKind, Stream: "system", Name: strings.TrimPrefix(p.Stored, "nodes/"),
		Lane: kind.LaneData,
	})
}

func show(ctx context.Context, status func(context.Context, string) (*clusterv1.NodeStatus, error),
	m proto.Message,
) error {
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
