package controlplane

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/cluster"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/obs"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Methods that control nodes call of each other, over consensus's transport.
const (
	callEnter  = "control/enter"  // a joined node asks the leader to add it
	callStatus = "control/status" // what a control node knows of its edges
)

// members reads where each control node listens, by name.
func (n *Node) members() map[string]*statev1.MemberRecord {
	out := map[string]*statev1.MemberRecord{}
	names, err := n.core.store.MetaNames(metaMember)
	if err != nil {
		n.cfg.Logger.Error("read members", "err", err)
		return out
	}
	for _, name := range names {
		b, _, err := n.core.store.Meta(name)
		m := &statev1.MemberRecord{}
		if err != nil || b == nil || proto.Unmarshal(b, m) != nil {
			continue
		}
		out[name[len(metaMember):]] = m
	}
	return out
}

// feeds are the addresses of all feeds; this node's own even before it is announced.
func (n *Node) feeds() map[string]string {
	out := map[string]string{n.core.self.Name: n.feedAddr}
	for name, m := range n.members() {
		out[name] = m.Feed
	}
	return out
}

func (n *Node) transports() map[string]string {
	out := map[string]string{n.core.self.Name: n.core.node.Addr()}
	for name, m := range n.members() {
		out[name] = m.Transport
	}
	return out
}

// announce writes where this node listens, when that is not what is written.
func (n *Node) announce(ctx context.Context) error {
	m := &statev1.MemberRecord{
		ServerId: n.core.self.ServerID, Transport: n.core.node.Addr(), Feed: n.feedAddr, Api: n.apiAddr,
		Version: n.cfg.Version, FeatureLevel: FeatureLevel,
	}
	for ctx.Err() == nil {
		have := n.members()[n.core.self.Name]
		if proto.Equal(have, m) {
			return nil
		}
		tx := &statev1.Transaction{Origin: &statev1.Origin{Who: "node:" + n.core.self.Name, Method: "announce"}}
		if err := putMeta(tx, metaMember+n.core.self.Name, m); err != nil {
			return err
		}
		out, err := n.core.log.Propose(ctx, tx)
		if err == nil {
			return n.core.store.WaitRevision(ctx, out.Revision-1)
		}
		if !pause(ctx, 200*time.Millisecond) {
			break
		}
	}
	return ctx.Err()
}

// enter asks the leader, through any member that is known, to add this node; it goes on
// until the node is a member. A node that is one already asks nobody.
func (n *Node) enter(ctx context.Context, through []string) error {
	req, err := proto.Marshal(&clusterv1.Member{Name: n.core.self.ServerID, Address: n.core.node.Addr()})
	if err != nil {
		return err
	}
	told := obs.NewSparse()
	for !n.isMember() {
		for _, addr := range through {
			if _, err = n.core.node.Call(ctx, addr, callEnter, req); err == nil {
				break
			}
		}
		if err != nil {
			n.tellWaiting(told, err)
		}
		if !pause(ctx, 300*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// tellWaiting says why this node is no member yet: once, and then once a minute.
func (n *Node) tellWaiting(told *obs.Sparse, err error) {
	if ok, _ := told.Allow(err.Error()); !ok {
		return
	}
	attrs := []any{"err", err}
	if errs.Is(err, errs.Conflict) {
		attrs = append(attrs, "do", "where that member is gone for good, as after `darkd rejoin`, remove it at a "+
			"control node that is well: dark members remove NAME --yes")
	}
	if errors.Is(err, consensus.ErrRefused) {
		n.cfg.Logger.Error("this control node is not let into its cluster", "err", err, "do",
			"stop it here; to come back it needs a new token and an empty directory: docs/operations/nodes.md")
		return
	}
	n.cfg.Logger.Warn("waiting to be added to the cluster", attrs...)
}

func (n *Node) isMember() bool {
	members, err := n.core.group.Members()
	if err != nil {
		return false
	}
	for _, m := range members {
		if string(m.ID) == n.core.self.ServerID {
			return true
		}
	}
	return false
}

// admitMember is the leader's side of enter: first without a vote; promote gives it one.
func (n *Node) admitMember(ctx context.Context, peer string, req []byte) ([]byte, error) {
	if !n.core.group.IsLeader() {
		_, addr, ok := n.core.group.Leader()
		if !ok {
			return nil, errs.New(errs.Unavailable, "no control node leads at the moment")
		}
		return n.core.node.Call(ctx, addr, callEnter, req)
	}
	var m clusterv1.Member
	if err := proto.Unmarshal(req, &m); err != nil {
		return nil, errs.New(errs.Invalid, "malformed member")
	}
	if err := n.mayEnter(peer, m.Name); err != nil {
		return nil, err
	}
	return nil, n.core.group.AddLearner(ctx, consensus.Server{
		ID: consensus.ServerID(m.Name), Addr: m.Address,
		Learner: true,
	})
}

// mayEnter: a recorded control node enters, under its own name. The door has judged its
// certificate, though maybe when this member was behind.
func (n *Node) mayEnter(peer, id string) error {
	node, _, err := n.core.recorded(peer)
	switch {
	case err != nil:
		return err
	case node.GetSpec().GetRole() != ca.Control:
		return errs.New(errs.Denied, "%s is no control node of this installation", peer)
	case !n.isOwnID(peer, id):
		return errs.New(errs.Denied, "%s may not enter as %s", peer, id)
	}
	return nil
}

// isOwnID reports whether an id in consensus is one that a control node of this name gets. One
// that another member announced is not, and neither is another node's name, which is its id
// where it began the cluster: the node c1-abcdef is not c1.
func (n *Node) isOwnID(name, id string) bool {
	for other, m := range n.members() {
		if m.ServerId == id {
			return other == name
		}
	}
	if id != name {
		if node, _, err := n.core.recorded(id); err != nil || node != nil {
			return false
		}
	}
	return idFits(name, id)
}

// promote gives a vote to learners that answer and have nearly all of the log.
func (n *Node) promote(ctx context.Context) {
	members, err := n.core.group.Members()
	if err != nil {
		return
	}
	for _, m := range members {
		if !m.Learner {
			continue
		}
		cctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		b, err := n.core.node.Call(cctx, m.Addr, callStatus, nil)
		cancel()
		var s clusterv1.ControlReport
		if err != nil || proto.Unmarshal(b, &s) != nil || s.Finished+1000 < n.core.group.Finished() {
			continue
		}
		if err := n.core.group.AddVoter(ctx, consensus.Server{ID: m.ID, Addr: m.Addr}); err != nil {
			n.cfg.Logger.Warn("give a vote", "member", m.ID, "err", err)
		}
	}
}

// nameOf is the name of the node that has an id in consensus: the id itself, or what stands
// before what Enrol appended to it.
func (n *Node) nameOf(id consensus.ServerID) string {
	if name, ok := n.memberNames()[id]; ok {
		return name
	}
	name := string(id)
	if node, _, err := n.core.recorded(name); err == nil && node != nil {
		return name
	}
	if i := strings.LastIndexByte(name, '-'); i > 0 {
		if node, _, err := n.core.recorded(name[:i]); err == nil && node != nil {
			return name[:i]
		}
	}
	return name
}

// idOf is the reverse: the id of the member that is called so, by its name or its id.
func (n *Node) idOf(called string) (consensus.ServerID, bool, error) {
	members, err := n.core.group.Members()
	if err != nil {
		return "", false, err
	}
	for _, m := range members {
		if string(m.ID) == called || n.nameOf(m.ID) == called {
			return m.ID, true, nil
		}
	}
	return "", false, nil
}

// RemoveMember takes a control node out of consensus and of the installation: its vote, its
// Node, its address, and its certificate, which is denied from the same transaction on. A
// removal that was cut short is finished by the next.
func (n *Node) RemoveMember(ctx context.Context, called string, who *statev1.Origin) error {
	name := n.nameOf(consensus.ServerID(called))
	req, err := proto.Marshal(&clusterv1.Member{Name: called})
	if err != nil {
		return err
	}
	if err := n.onLeader(ctx, callRemove, req); err != nil {
		return err
	}
	node, _, err := n.core.recorded(name)
	if err != nil {
		return err
	}
	tx := &statev1.Transaction{
		Origin: who,
		Ops:    []*statev1.Op{{Op: &statev1.Op_DeleteMeta{DeleteMeta: metaMember + name}}},
	}
	if node != nil {
		tx.Ops = append(tx.Ops, cluster.Deny(node, n.cfg.Clock.Now())...)
		tx.Ops = append(tx.Ops, &statev1.Op{Op: &statev1.Op_DeleteResource{DeleteResource: &statev1.Ref{
			Kind: nodeKind,
			Name: node.Name,
		}}})
	}
	_, err = n.core.log.Propose(ctx, tx)
	return err
}

const (
	callRemove   = "control/remove"
	callTransfer = "control/transfer"
)

// onLeader carries out a call on the leader, which may be this node.
func (n *Node) onLeader(ctx context.Context, method string, req []byte) error {
	if _, _, ok := n.core.group.Leader(); !ok {
		return errs.New(errs.Unavailable, "no control node leads at the moment")
	}
	if n.core.group.IsLeader() {
		_, err := n.core.node.Call(ctx, n.core.node.Addr(), method, req)
		return err
	}
	_, err := n.core.group.CallLeader(ctx, method, req)
	return err
}

func (n *Node) serveRemove(ctx context.Context, _ string, req []byte) ([]byte, error) {
	var m clusterv1.Member
	if err := proto.Unmarshal(req, &m); err != nil {
		return nil, errs.New(errs.Invalid, "malformed member")
	}
	id, some, err := n.idOf(m.Name)
	if err != nil {
		return nil, err
	}
	if !some {
		// An earlier removal may have ended here.
		if node, _, err := n.core.recorded(m.Name); err != nil || node.GetSpec().GetRole() == ca.Control {
			return nil, err
		}
		return nil, errs.New(errs.NotFound, "%s is no member; `dark members list` has their names", m.Name)
	}
	if members, err := n.core.group.Members(); err != nil || len(members) == 1 {
		return nil, errs.Wrap(errs.Conflict, err, "%s is the only control node", m.Name)
	}
	return nil, n.core.group.Remove(ctx, id)
}

// TransferLeadership hands leadership over and tells who has it.
func (n *Node) TransferLeadership(ctx context.Context, to string) (string, error) {
	req, err := proto.Marshal(&clusterv1.Member{Name: to})
	if err != nil {
		return "", err
	}
	before, _, _ := n.core.group.Leader()
	if err := n.onLeader(ctx, callTransfer, req); err != nil {
		return "", err
	}
	for {
		if now, _, ok := n.core.group.Leader(); ok && (now != before || string(now) == to || n.nameOf(now) == to) {
			return n.nameOf(now), nil
		}
		if !pause(ctx, 10*time.Millisecond) {
			return "", errs.New(errs.Unavailable, "leadership was handed over; who has it is not known yet")
		}
	}
}

func (n *Node) serveTransfer(ctx context.Context, _ string, req []byte) ([]byte, error) {
	var m clusterv1.Member
	if err := proto.Unmarshal(req, &m); err != nil {
		return nil, errs.New(errs.Invalid, "malformed member")
	}
	id, err := n.heir(m.Name)
	if err != nil {
		return nil, err
	}
	members, err := n.core.group.Members()
	if err != nil {
		return nil, err
	}
	if len(members) == 1 {
		return nil, errs.New(errs.Conflict, "%s is the only control node; there is nobody to hand over to",
			n.core.self.Name)
	}
	err = n.core.group.Transfer(ctx, id)
	// Raft may not know how it ended; whether this node still leads is what counts.
	for until := time.Now().Add(time.Second); err != nil && n.core.group.IsLeader() && time.Now().Before(until); {
		if !pause(ctx, 10*time.Millisecond) {
			break
		}
	}
	if err != nil && !n.core.group.IsLeader() {
		return nil, nil
	}
	return nil, err
}

// heir is the member to hand over to; none where consensus chooses.
func (n *Node) heir(called string) (consensus.ServerID, error) {
	if called == "" {
		return "", nil
	}
	id, some, err := n.idOf(called)
	if err == nil && !some {
		err = errs.New(errs.NotFound, "%s is no member; `dark members list` has their names", called)
	}
	return id, err
}

// pause waits d; false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
