package consensus

import (
	"time"

	"github.com/hashicorp/raft"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// A member whose disk is full must neither lead nor acknowledge, and must not end either:
// it serves what it has. It refuses before Pebble meets the full disk, because after a
// failed write of the log nothing can be trusted but a restart.

// room is an error below the reserve divided by part.
func (n *Node) room(part int64) error {
	d := n.cfg.Disk
	if d == nil || !d.Below(d.Reserve()/part) {
		return nil
	}
	avail, _ := d.Avail()
	return fullError{errs.New(errs.Unavailable,
		"the disk of %s is full: %d MiB are free and %d MiB are kept; nothing was written; make space there",
		n.cfg.ID, avail>>20, d.Reserve()/part>>20)}
}

// What is kept of the reserve: a store of users' data on the same disk stops at the whole
// of it, and must not stop the control plane too; entries of other members and raft's own
// may go further than what is proposed here.
const (
	proposePart = 2
	appendPart  = 8
)

// Room is nil while this member has space for what is proposed through it, and the
// refusal, which matches ErrDiskFull, when it has none.
func (g *Group) Room() error { return g.node.room(proposePart) }

// appendRoom is nil while entries may be appended. They get the ballast: a leader that has an
// entry which the others cannot take could have nothing confirmed, not even a read.
func (n *Node) appendRoom() error {
	err := n.room(appendPart)
	if err != nil && n.cfg.Disk.GiveUp() {
		err = n.room(appendPart)
	}
	return err
}

// A member without space for proposals leaves elections to those that have some. When it
// has known no leader for so many election timeouts nobody has any, and it stands: reads need a
// leader, and an election needs little more than the space for one entry.
const patience = 10

// voteless is a transport for members that stand for no election that another should win.
type voteless struct {
	*raft.NetworkTransport
	stands func() error
}

// stands is an error while this member leaves an election to others.
func (g *Group) stands() error {
	err := g.Room()
	if err == nil || time.Since(g.ledAt()) < patience*g.node.cfg.Timing.Election {
		return err
	}
	return g.node.appendRoom()
}

// ledAt is when this member heard from a leader, or was one; when it started, if neither was.
func (g *Group) ledAt() time.Time {
	if at := g.raft.LastContact(); at.After(g.began) {
		return at
	}
	return g.began
}

// RequestVote implements raft.Transport.
func (t voteless) RequestVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestVoteRequest,
	resp *raft.RequestVoteResponse,
) error {
	if err := t.stands(); err != nil {
		return err
	}
	return t.NetworkTransport.RequestVote(id, target, args, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (t voteless) RequestPreVote(id raft.ServerID, target raft.ServerAddress, args *raft.RequestPreVoteRequest,
	resp *raft.RequestPreVoteResponse,
) error {
	if err := t.stands(); err != nil {
		return err
	}
	return t.NetworkTransport.RequestPreVote(id, target, args, resp)
}

var _ raft.WithPreVote = voteless{}
