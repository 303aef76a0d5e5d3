package controlplane

import (
	"context"
	"crypto/x509"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/membership"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// door is where nodes of a role reach this control node.
func (k *core) door(role string) membership.Door {
	d := membership.Door{
		Cluster: k.self.ClusterID, Roots: k.creds.Roots(), Role: role, Now: k.clock.Now, Denied: k.denied,
		Node: func(name string) (*membership.Record, error) {
			n, _, err := k.recorded(name)
			return cluster.Record(n), err
		},
	}
	if role == ca.Control {
		d.Behind = k.behind
	}
	return d
}

// known asks the door for a role, and notes when a key that is not the recorded one is used.
func (k *core) known(role string, c *x509.Certificate) (ca.Name, error) {
	name, err := k.door(role).Known(c)
	if err != nil {
		return name, err
	}
	n, _, err := k.recorded(name.Node)
	if err == nil && n != nil && string(n.GetSpec().GetPublicKey()) != string(c.RawSubjectPublicKeyInfo) &&
		ofRecord(n, c) {
		select {
		case k.used <- usedKey{name.Node, c}:
		default: // its next connection tells of it again
		}
	}
	return name, nil
}

// ofRecord says whether a certificate may become the one of a Node: by its renewed key, or
// where the Node is of a version that recorded none when it renewed.
func ofRecord(n *clusterv1.Node, c *x509.Certificate) bool {
	name, err := ca.NameOf(c)
	r := cluster.Record(n)
	return err == nil && (r.Holds(c.RawSubjectPublicKeyInfo) || r.Instance == "" && name.Instance == "")
}

// usedKey is a certificate whose key was used for the first time.
type usedKey struct {
	node string
	cert *x509.Certificate
}

// recordKeys makes keys that were used the recorded ones, until ctx ends: a node's old key
// is kept until the renewed one was used.
func (n *Node) recordKeys(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case u := <-n.core.used:
			if err := n.recordKey(ctx, u); err != nil && ctx.Err() == nil {
				n.cfg.Logger.Warn("record the key of a renewed certificate", "node", u.node, "err", err)
			}
		}
	}
}

func (n *Node) recordKey(ctx context.Context, u usedKey) error {
	node, revision, err := n.core.recorded(u.node)
	if err != nil || node == nil || !ofRecord(node, u.cert) {
		return err
	}
	public := u.cert.RawSubjectPublicKeyInfo
	if string(node.GetSpec().GetPublicKey()) == string(public) {
		return nil
	}
	node.Spec.PublicKey = public
	if string(node.Spec.RenewedPublicKey) == string(public) {
		node.Spec.RenewedPublicKey = nil
	}
	tx := &statev1.Transaction{Origin: &statev1.Origin{Who: "node:" + u.node, Method: "Renew"}}
	if err := putNode(tx, node, revision); err != nil {
		return err
	}
	_, err = n.core.log.Propose(ctx, tx)
	if errs.Is(err, errs.Conflict) {
		return nil // it changed meanwhile; its next connection tells of it again
	}
	return err
}

// recorded reads a Node as it is now, and the revision of its last change; nil when there is
// none.
func (k *core) recorded(name string) (*clusterv1.Node, uint64, error) {
	r, err := k.store.At(0)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	v, ok, err := r.Get(nodeKind, "", "nodes/"+name)
	if err != nil || !ok {
		return nil, 0, err
	}
	n := &clusterv1.Node{}
	return n, v.Revision, proto.Unmarshal(v.Value, n)
}

// denied reads the deny entries of nodes; what cannot be read is denied.
func (k *core) denied(subject string) bool {
	b, _, err := k.store.Meta(cluster.MetaDenied + subject)
	return err != nil || b != nil
}

// behind: a member that knows no leader may be one that was away, and may lack the record of
// the member that leads now.
func (k *core) behind() bool {
	g := k.started.Load()
	if g == nil {
		return true
	}
	_, _, ok := g.Leader()
	return !ok
}

// putNode writes a Node that was read at a revision (0: there was none).
func putNode(tx *statev1.Transaction, n *clusterv1.Node, revision uint64) error {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(n)
	if err != nil {
		return err
	}
	ref := &statev1.Ref{Kind: nodeKind, Name: n.Name}
	tx.Preconditions = append(tx.Preconditions, &statev1.Precondition{Condition: &statev1.Precondition_ResourceAt{
		ResourceAt: &statev1.ResourceAt{Ref: ref, Revision: revision},
	}})
	tx.Ops = append(tx.Ops, &statev1.Op{Op: &statev1.Op_PutResource{PutResource: &statev1.PutResource{
		Ref:   ref,
		Value: value,
	}}})
	return nil
}

// watchNodes judges open connections again when a Node changed, until ctx ends: who was
// removed keeps none.
func (n *Node) watchNodes(ctx context.Context) error {
	at := n.core.store.LastChange()
	for {
		if err := n.core.store.WaitChange(ctx, at); err != nil {
			return nil //nolint:nilerr // ctx ended
		}
		now := n.core.store.LastChange()
		if names, some := nodesChanged(n.core.store, at, now); some {
			n.core.node.Recheck()
			n.feed.Recheck(names)
		}
		at = now
	}
}

// nodesChanged names the nodes that changed in (from, to]; nil stands for any of them.
func nodesChanged(s *state.Store, from, to uint64) (names map[string]bool, some bool) {
	names = map[string]bool{}
	for from < to {
		commits, err := s.Commits(from, 16)
		if err != nil || len(commits) == 0 {
			return nil, true
		}
		for _, c := range commits {
			from = c.Revision
			for _, ref := range c.Changed {
				if ref.Kind == nodeKind {
					names[strings.TrimPrefix(ref.Name, "nodes/")] = true
				}
			}
		}
	}
	return names, len(names) > 0
}

// sweepDenied forgets entries of certificates that have ended.
func (n *Node) sweepDenied(ctx context.Context) error {
	names, err := n.core.store.MetaNames(cluster.MetaDenied)
	if err != nil {
		return err
	}
	for _, name := range names {
		value, revision, err := n.core.store.Meta(name)
		if err != nil {
			return err
		}
		ends, err := strconv.ParseInt(string(value), 10, 64)
		if err == nil && n.cfg.Clock.Now().Before(time.Unix(ends, 0).Add(24*time.Hour)) {
			continue
		}
		tx := &statev1.Transaction{
			Origin: n.controller("sweep"), Preconditions: []*statev1.Precondition{metaAt(name, revision)},
			Ops: []*statev1.Op{{Op: &statev1.Op_DeleteMeta{DeleteMeta: name}}},
		}
		if _, err := n.core.log.Propose(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}
