package controlplane

import (
	"context"
	"time"
)

// diskEvery is how often a node looks whether its disk is full.
const diskEvery = time.Second

// diskFull says whether less is free than this node keeps, with which it takes no writes.
func (n *Node) diskFull() bool { return n.core.group.Room() != nil }

// watchDisk tells when the disk is full, and when it is not any more. A leader without
// space hands over: design/settled.md.
func (n *Node) watchDisk(ctx context.Context) {
	full := false
	every(ctx, diskEvery, func(ctx context.Context) {
		err := n.core.group.Room()
		switch {
		case err != nil && !full:
			n.cfg.Logger.Error("this control node takes no writes", "err", err)
		case err == nil && full:
			n.cfg.Logger.Info("there is space again: this control node takes writes")
		}
		if full = err != nil; full {
			n.stepDown(ctx)
			return
		}
		if err := n.core.disk.Restock(); err != nil {
			n.cfg.Logger.Warn("disk", "err", err)
		}
	})
}

// stepDown hands leadership to a member with space. Where none has any, this one goes on:
// it refuses writes, and answers reads.
func (n *Node) stepDown(ctx context.Context) {
	if !n.core.group.IsLeader() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for name, r := range n.reports(ctx) {
		if r == nil || r.DiskFull {
			continue
		}
		to, err := n.TransferLeadership(ctx, name)
		if err == nil {
			n.cfg.Logger.Info("handed leadership over", "to", to)
			return
		}
		n.cfg.Logger.Warn("hand leadership over", "to", name, "err", err)
	}
}
