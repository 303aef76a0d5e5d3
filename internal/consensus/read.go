package consensus

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/hashicorp/raft"
)

// Linearizable reads (Raft, section 8; Ongaro's thesis, 6.4), which the library does
// not have. The leader: has committed something in its term, so that its commit index
// covers everything that earlier leaders committed; takes its commit index; then hears
// from a quorum that it still leads (confirm.go). Whatever was answered before the
// read began is at or below that index. The reader then waits until its own machine
// has finished it (WaitApplied).

// ReadIndex returns an index such that a machine that has finished it shows every
// proposal answered before ReadIndex was called. A follower asks the leader. Readers
// that wait at the same time share one round.
func (g *Group) ReadIndex(ctx context.Context) (uint64, error) {
	if g.raft.State() == raft.Leader {
		return g.leaderReadIndex(ctx)
	}
	b, err := g.CallLeader(ctx, methodReadIndex, []byte(g.name))
	if err != nil {
		return 0, fmt.Errorf("read index from the leader: %w", err)
	}
	if len(b) != 8 {
		return 0, errs.New(errs.Internal, "read index of %d bytes from the leader", len(b))
	}
	return binary.BigEndian.Uint64(b), nil
}

// WaitApplied returns when the machine has finished every command at or below index.
func (g *Group) WaitApplied(ctx context.Context, index uint64) error {
	return g.mark.wait(ctx, index)
}

// Read is ReadIndex and WaitApplied: what the machine shows after it is current.
func (g *Group) Read(ctx context.Context) error {
	index, err := g.ReadIndex(ctx)
	if err != nil {
		return err
	}
	return g.WaitApplied(ctx, index)
}

const methodReadIndex = "consensus.ReadIndex"

func (n *Node) handleReadIndex(ctx context.Context, _ string, req []byte) ([]byte, error) {
	g := n.group(string(req))
	if g == nil {
		return nil, errs.New(errs.Unavailable, "group %q does not run here", req)
	}
	index, err := g.leaderReadIndex(ctx)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(nil, index), nil
}

// reader gathers reads: those that come while a round is under way share the next one,
// since the round under way may have taken its index before they began.
type reader struct {
	mu struct {
		sync.Mutex
		next    *readRound
		running bool
	}
	// term is the newest term in which a barrier of ours was committed. Rounds alone
	// use it, and they come one after another.
	term uint64
}

type readRound struct {
	done  chan struct{}
	index uint64
	err   error
}

func (g *Group) leaderReadIndex(ctx context.Context) (uint64, error) {
	r, err := g.joinRound()
	if err != nil {
		return 0, err
	}
	select {
	case <-r.done:
		return r.index, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (g *Group) joinRound() (*readRound, error) {
	g.reads.mu.Lock()
	defer g.reads.mu.Unlock()
	if g.reads.mu.next == nil {
		g.reads.mu.next = &readRound{done: make(chan struct{})}
	}
	r := g.reads.mu.next
	if g.reads.mu.running {
		return r, nil
	}
	if err := g.begin(); err != nil {
		g.reads.mu.next = nil
		return nil, err
	}
	g.reads.mu.running = true
	go g.runRounds()
	return r, nil
}

// runRounds runs rounds until nobody waits for one.
func (g *Group) runRounds() {
	defer g.end()
	for {
		g.reads.mu.Lock()
		r := g.reads.mu.next
		g.reads.mu.next = nil
		if r == nil {
			g.reads.mu.running = false
			g.reads.mu.Unlock()
			return
		}
		g.reads.mu.Unlock()
		r.index, r.err = g.round()
		close(r.done)
	}
}

func (g *Group) round() (uint64, error) {
	term := g.raft.CurrentTerm()
	if g.raft.State() != raft.Leader {
		return 0, g.notLeader()
	}
	if g.reads.term != term {
		if err := g.raft.Barrier(enqueueTimeout).Error(); err != nil {
			return 0, g.readError(err)
		}
		if g.raft.CurrentTerm() != term {
			return 0, g.notLeader()
		}
		g.reads.term = term
	}
	index := g.raft.CommitIndex()
	return index, g.confirm(term)
}

// readError: a read that fails has no effect, so its outcome is never unknown.
func (g *Group) readError(err error) error {
	if g.raft.State() != raft.Leader {
		return g.notLeader()
	}
	return errs.Wrap(errs.Unavailable, err, "group %s cannot confirm its leader, try again", g.name)
}
