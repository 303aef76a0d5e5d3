package consensus

import (
	"context"
	"encoding/binary"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/hashicorp/raft"
)

// The leader asks the voters itself whether it still leads. raft's VerifyLeader counts
// every answer to a heartbeat that arrives after it was called, also to one sent long
// before: a leader that was stopped for a while finds such answers in its sockets when
// it goes on, and takes them for the present, while another leads
// (docs/decisions/0002-consensus-on-pebble.md).
//
// Here each voter is asked after the read began and says whether its term is still no
// higher than the leader's. A leader of a higher term needs the votes of a quorum, and
// who votes has taken the higher term first; two quorums share a member; so if a quorum
// says yes, no such leader was elected, and nothing committed by one, when the read
// began.

const methodConfirm = "consensus.Confirm"

// confirm returns nil when a quorum still has no term above term.
func (g *Group) confirm(term uint64) error {
	members, err := g.Members()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.node.cfg.Timing.RPC)
	defer cancel()
	var others []Server
	voters, yes := 0, 0
	for _, s := range members {
		switch {
		case s.Learner:
		case s.ID == g.node.cfg.ID:
			voters, yes = voters+1, yes+1
		default:
			voters++
			others = append(others, s)
		}
	}
	answers := make(chan bool, len(others))
	for _, s := range others {
		g.calls.Add(1) // the round that runs us keeps it above zero
		go func() {
			defer g.calls.Done()
			answers <- g.askVoter(ctx, s, term)
		}()
	}
	for range others {
		if 2*yes > voters {
			break
		}
		if <-answers {
			yes++
		}
	}
	// Our own yes, given last: we still lead, in that term.
	if g.raft.State() != raft.Leader || g.raft.CurrentTerm() != term {
		return g.notLeader()
	}
	if 2*yes <= voters {
		return errs.New(errs.Unavailable, "group %s has no quorum to confirm its leader, try again", g.name)
	}
	return nil
}

func (g *Group) askVoter(ctx context.Context, s Server, term uint64) bool {
	req := binary.BigEndian.AppendUint64(nil, term)
	b, err := g.node.Call(ctx, s.Addr, methodConfirm, append(req, g.name...))
	// The answer carries the id: an address may by now be somebody else's.
	return err == nil && string(b) == string(s.ID)
}

// handleConfirm says yes, with our id, or fails.
func (n *Node) handleConfirm(_ context.Context, _ string, req []byte) ([]byte, error) {
	if len(req) < 8 {
		return nil, errs.New(errs.Invalid, "malformed request")
	}
	g := n.group(string(req[8:]))
	if g == nil {
		return nil, errs.New(errs.Unavailable, "group %q does not run here", req[8:])
	}
	if g.raft.CurrentTerm() > binary.BigEndian.Uint64(req) {
		return nil, g.notLeader()
	}
	return []byte(n.cfg.ID), nil
}
