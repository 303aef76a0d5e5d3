package controlplane

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/controlplane/cluster"
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

var errJoinToken = errs.New(errs.Denied,
	"the join token is unknown, used or ended: make a new one with `dark nodes token NAME`")

// CreateJoinToken makes a token for one machine, one use and one hour. It states the names
// that the machine's certificate will have.
func (n *Node) CreateJoinToken(ctx context.Context, r *clusterv1.CreateJoinTokenRequest,
	who *statev1.Origin,
) (*clusterv1.CreateJoinTokenResponse, error) {
	if err := n.nameIsFree(r.Node, r.Role); err != nil {
		return nil, err
	}
	k, err := n.core.openCluster()
	if err != nil {
		return nil, err
	}
	token := ca.NewJoinToken(k.authority.Cert)
	expires := n.cfg.Clock.Now().Add(joinTokenLife)
	tx := &statev1.Transaction{Origin: who}
	err = putMeta(tx, metaJoin+token.Key(), &statev1.JoinTokenRecord{
		Node: r.Node, Role: r.Role, Digest: token.Digest(), Expires: expires.Unix(), Hosts: canonical(r.Hosts),
	})
	if err == nil {
		_, err = n.core.log.Propose(ctx, tx)
	}
	if err != nil {
		return nil, err
	}
	return &clusterv1.CreateJoinTokenResponse{Token: token.String(), ExpireTime: timestamppb.New(expires)}, nil
}

// canonical are hosts as they stand in certificates.
func canonical(hosts []string) []string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = strings.ToLower(strings.TrimSuffix(h, "."))
		if ip := net.ParseIP(h); ip != nil {
			out[i] = ip.String()
		}
	}
	return out
}

// nameIsFree says whether a machine of a role may take a name: an edge may take that of an
// edge, which is then out; a control node's is free once it was removed.
func (n *Node) nameIsFree(name, role string) error {
	have, _, err := n.core.recorded(name)
	switch {
	case err != nil:
		return err
	case n.members()[name] != nil || have.GetSpec().GetRole() == ca.Control:
		return errs.New(errs.Conflict, "%s is a control node; remove it first with `dark members remove %s`, or take "+
			"another name", name, name)
	case have != nil && have.GetSpec().GetRole() != role:
		return errs.New(errs.Conflict, "%s is an edge; remove it first with `dark nodes remove %s`, or take another "+
			"name", name, name)
	}
	return nil
}

// joining is one request to join that was found good.
type joining struct {
	*statev1.JoinTokenRecord
	key      string // of the token in the state's index
	revision uint64 // of that
	instance string
	machine  []byte
	leaf     *x509.Certificate
}

// Join makes the machine that holds a token a node, and ends the token. What is refused
// leaves the token as it was.
func (n *Node) Join(ctx context.Context, r *clusterv1.JoinRequest, from string) (*clusterv1.JoinResponse, error) {
	if err := n.core.log.Current(ctx); err != nil {
		return nil, err
	}
	j, err := n.joinToken(r)
	if err != nil {
		return nil, err
	}
	k, err := n.core.openCluster()
	if err != nil {
		return nil, err
	}
	name := ca.Name{Cluster: k.ClusterId, Role: j.Role, Node: j.Node, Instance: j.instance}
	if j.leaf, err = k.authority.IssueFor(name, r.CertificateRequest, j.Hosts, n.cfg.Clock.Now()); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "certificate request")
	}
	resp := &clusterv1.JoinResponse{
		Certificates: [][]byte{j.leaf.Raw}, Authorities: [][]byte{k.authority.Cert.Raw},
		ClusterId: k.ClusterId, PublishingKey: k.publishing.Public().(ed25519.PublicKey),
		Feeds: n.feeds(), Members: n.transports(), Node: j.Node, Epoch: k.Epoch,
	}
	if j.Role == ca.Control {
		if resp.WrappedRoot, err = n.wrapRootFor(r.MachineKey, k.RecoveryRecipient); err != nil {
			return nil, err
		}
	}
	tx, err := n.joinTransaction(j, from)
	if err != nil {
		return nil, err
	}
	if _, err := n.core.log.Propose(ctx, tx); err != nil {
		if errs.Is(err, errs.Conflict) {
			return nil, errJoinToken // somebody else used it at the same moment
		}
		return nil, err
	}
	return resp, nil
}

// joinToken finds the token of a request, and refuses what it was not made for.
func (n *Node) joinToken(r *clusterv1.JoinRequest) (*joining, error) {
	token, err := ca.ParseJoinToken(r.Token)
	if err != nil {
		return nil, errs.New(errs.Invalid, "%s", err)
	}
	j := &joining{
		JoinTokenRecord: &statev1.JoinTokenRecord{}, key: metaJoin + token.Key(), instance: ca.NewInstance(),
		machine: r.MachineKey,
	}
	b, revision, err := n.core.store.Meta(j.key)
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(b, j.JoinTokenRecord); err != nil {
		return nil, fmt.Errorf("join token: %w", err)
	}
	j.revision = revision
	if b == nil || !token.Matches(j.Digest) || n.cfg.Clock.Now().Unix() >= j.Expires {
		return nil, errJoinToken
	}
	if r.Role != "" && r.Role != j.Role {
		return nil, errs.New(errs.Conflict, "this join token is for %s: run `darkd %s --join TOKEN`; it is still good",
			withArticle[j.Role], j.Role)
	}
	return j, n.wishes(j, r.CertificateRequest)
}

var withArticle = map[string]string{ca.Control: "a control node", ca.Edge: "an edge"}

// wishes refuses a request for names that the token does not state: they are not certified,
// and who asks should hear so while the token is good.
func (n *Node) wishes(j *joining, request []byte) error {
	r, err := ca.ParseRequest(request)
	if err != nil {
		return errs.Wrap(errs.Invalid, err, "certificate request")
	}
	for _, host := range ca.HostsOf(r) {
		if !slices.Contains(j.Hosts, strings.ToLower(host)) {
			return errs.New(errs.Conflict, "the join token of %s does not state %s; it states %s: correct "+
				"--transport or --hosts, or make another token with `dark nodes token %s --role %s --host %s`",
				j.Node, host, orNothing(j.Hosts), j.Node, j.Role, host)
		}
	}
	return n.nameIsFree(j.Node, j.Role)
}

func orNothing(hosts []string) string {
	if len(hosts) == 0 {
		return "no host"
	}
	return strings.Join(hosts, ", ")
}

// joinTransaction ends the token, records the node, and denies the machine that had its name.
func (n *Node) joinTransaction(j *joining, from string) (*statev1.Transaction, error) {
	tx := &statev1.Transaction{
		Origin:        &statev1.Origin{Who: "node:" + j.Node, From: from, Method: "Join"},
		Preconditions: []*statev1.Precondition{metaAt(j.key, j.revision)},
		Ops:           []*statev1.Op{{Op: &statev1.Op_DeleteMeta{DeleteMeta: j.key}}},
	}
	old, revision, err := n.core.recorded(j.Node)
	if err != nil {
		return nil, err
	}
	node := nodeResource(j.Node, j.Role, j.instance, j.leaf.RawSubjectPublicKeyInfo)
	node.Spec.MachineKey = j.machine
	if old != nil {
		node.Labels = old.Labels
		tx.Ops = append(tx.Ops, cluster.Deny(old, n.cfg.Clock.Now())...)
	}
	return tx, putNode(tx, node, revision)
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

// nodeResource is the Node that a machine becomes.
func nodeResource(name, role, instance string, public []byte) *clusterv1.Node {
	return &clusterv1.Node{
		Name: "nodes/" + name,
		Spec: &clusterv1.NodeSpec{Role: role, Instance: instance, PublicKey: public},
	}
}

// renew issues a new certificate to the node that is known by its present one. It keeps the
// names of that one, and only the key of the request is taken. The new key is recorded
// before the certificate is given away; the present one stays good until the new one is used.
func (n *Node) renew(ctx context.Context, present *x509.Certificate, request []byte) ([][]byte, error) {
	k, err := n.core.openCluster()
	if err != nil {
		return nil, err
	}
	name, err := ca.NameOf(present)
	if err != nil {
		return nil, err
	}
	if _, err := n.core.door(name.Role).Known(present); err != nil {
		return nil, errs.Wrap(errs.Denied, err, "the certificate is not renewed")
	}
	node, revision, err := n.core.recorded(name.Node)
	if err != nil || node == nil {
		return nil, errs.Wrap(errs.Denied, err, "node %s was removed", name.Node)
	}
	if node.Spec.Instance == "" { // of an older version: it gets one now
		node.Spec.Instance = ca.NewInstance()
	}
	name.Instance = node.Spec.Instance
	leaf, err := k.authority.IssueFor(name, request, ca.Hosts(present), n.cfg.Clock.Now())
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "certificate request")
	}
	node.Spec.PublicKey, node.Spec.RenewedPublicKey = present.RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo
	tx := &statev1.Transaction{Origin: &statev1.Origin{Who: "node:" + name.Node, Method: "Renew"}}
	if err := putNode(tx, node, revision); err != nil {
		return nil, err
	}
	if _, err := n.core.log.Propose(ctx, tx); err != nil {
		return nil, err
	}
	return [][]byte{leaf.Raw, k.authority.Cert.Raw}, nil
}
