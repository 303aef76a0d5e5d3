package controlplane

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/keyring"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// joinTokenLife is how long a join token can be used.
const joinTokenLife = time.Hour

// nodeKind is the full name of the kind of machines.
var nodeKind = string((&clusterv1.Node{}).ProtoReflect().Descriptor().FullName())

var errJoinToken = errs.New(errs.Denied, "the join token is unknown, used or ended: make a new one with `dark nodes token NAME`")

// CreateJoinToken makes a token for one machine, one use and one hour.
func (n *Node) CreateJoinToken(ctx context.Context, r *clusterv1.CreateJoinTokenRequest, who *statev1.Origin) (*clusterv1.CreateJoinTokenResponse, error) {
	k, err := n.core.openCluster()
	if err != nil {
		return nil, err
	}
	token := ca.NewJoinToken(k.authority.Cert)
	expires := n.cfg.Clock.Now().Add(joinTokenLife)
	tx := &statev1.Transaction{Origin: who}
	err = putMeta(tx, metaJoin+token.Key(), &statev1.JoinTokenRecord{
		Node: r.Node, Role: r.Role, Digest: token.Digest(), Expires: expires.Unix(),
	})
	if err == nil {
		_, err = n.core.log.Propose(ctx, tx)
	}
	if err != nil {
		return nil, err
	}
	return &clusterv1.CreateJoinTokenResponse{Token: token.String(), ExpireTime: timestamppb.New(expires)}, nil
}

// Join makes the machine that holds a token a node, and ends the token.
func (n *Node) Join(ctx context.Context, r *clusterv1.JoinRequest, from string) (*clusterv1.JoinResponse, error) {
	token, err := ca.ParseJoinToken(r.Token)
	if err != nil {
		return nil, errs.New(errs.Invalid, "%s", err)
	}
	if err := n.core.log.Current(ctx); err != nil {
		return nil, err
	}
	name := metaJoin + token.Key()
	b, revision, err := n.core.store.Meta(name)
	if err != nil {
		return nil, err
	}
	record := &statev1.JoinTokenRecord{}
	if err := proto.Unmarshal(b, record); err != nil {
		return nil, fmt.Errorf("join token: %w", err)
	}
	if b == nil || !token.Matches(record.Digest) || n.cfg.Clock.Now().Unix() >= record.Expires {
		return nil, errJoinToken
	}
	k, err := n.core.openCluster()
	if err != nil {
		return nil, err
	}
	leaf, err := k.authority.IssueFor(ca.Name{Cluster: k.ClusterId, Role: record.Role, Node: record.Node}, r.CertificateRequest, n.cfg.Clock.Now())
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "certificate request")
	}
	resp := &clusterv1.JoinResponse{
		Certificates: [][]byte{leaf.Raw}, Authorities: [][]byte{k.authority.Cert.Raw},
		ClusterId: k.ClusterId, PublishingKey: k.publishing.Public().(ed25519.PublicKey),
		Feeds: n.feeds(), Members: n.transports(), Node: record.Node, Epoch: k.Epoch,
	}
	if record.Role == ca.Control {
		if resp.WrappedRoot, err = n.wrapRootFor(r.MachineKey, k.RecoveryRecipient); err != nil {
			return nil, err
		}
	}
	tx := &statev1.Transaction{
		Origin:        &statev1.Origin{Who: "node:" + record.Node, From: from, Method: "Join"},
		Preconditions: []*statev1.Precondition{metaAt(name, revision)},
		Ops:           []*statev1.Op{{Op: &statev1.Op_DeleteMeta{DeleteMeta: name}}},
	}
	op, err := nodeResource(record.Node, record.Role, string(r.MachineKey), leaf.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	tx.Ops = append(tx.Ops, op)
	if _, err := n.core.log.Propose(ctx, tx); err != nil {
		if errs.Is(err, errs.Conflict) {
			return nil, errJoinToken // somebody else used it at the same moment
		}
		return nil, err
	}
	return resp, nil
}

// wrapRootFor wraps the root key to a joining control node, and to the recovery key.
func (n *Node) wrapRootFor(machine []byte, recovery string) ([]byte, error) {
	own, err := keyring.ParseRecipient(string(machine))
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "machine_key")
	}
	offline, err := keyring.ParseRecipient(recovery)
	if err != nil {
		return nil, err
	}
	return n.core.root.Wrap(own, offline)
}

// nodeResource writes the Node that a machine becomes.
func nodeResource(name, role, machine string, public []byte) (*statev1.Op, error) {
	node := &clusterv1.Node{
		Name: "nodes/" + name,
		Spec: &clusterv1.NodeSpec{Role: role, MachineKey: []byte(machine), PublicKey: public},
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(node)
	if err != nil {
		return nil, err
	}
	return &statev1.Op{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
		Ref: &statev1.Ref{Kind: nodeKind, Name: node.Name}, Value: value,
	}}}, nil
}

// renew issues a new certificate to a node that is known by its present one.
func (n *Node) renew(ctx context.Context, role, node string, request []byte) ([][]byte, error) {
	k, err := n.core.openCluster()
	if err != nil {
		return nil, err
	}
	r, err := n.core.store.At(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if _, ok, err := r.Get(nodeKind, "", "nodes/"+node); err != nil || !ok {
		return nil, errs.Wrap(errs.Denied, err, "node %s was removed", node)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	leaf, err := k.authority.IssueFor(ca.Name{Cluster: k.ClusterId, Role: role, Node: node}, request, n.cfg.Clock.Now())
	if err != nil {
		return nil, err
	}
	return [][]byte{leaf.Raw, k.authority.Cert.Raw}, nil
}
