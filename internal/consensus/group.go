package consensus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/hashicorp/raft"
)

// Group is one replicated log with its machine. Its methods may be called from any
// goroutine.
type Group struct {
	node    *Node
	name    string
	machine Machine
	raft    *raft.Raft
	log     *groupLog
	snaps   *snapStore
	fsm     *fsm
	mark    *watermark
	stream  *streamLayer
	reads   reader
	began   time.Time

	calls sync.WaitGroup // futures of raft that somebody must wait for
	tasks sync.WaitGroup // goroutines that end with the group

	mu struct {
		sync.Mutex
		closing  bool
		watchers []chan bool
		leading  bool
		inflight int
	}
	closed sync.Once
	err    error
}

// maxInflight bounds the requests to raft that wait at one time.
const maxInflight = 8192

// enqueueTimeout bounds the wait for a place in raft's queue, when the context does not.
const enqueueTimeout = 10 * time.Second

// Propose commits data as one entry and returns what the machine made of it. Only the
// leader can; elsewhere it returns a *NotLeaderError. After an error that matches
// ErrUnknown the entry may or may not be, or become, committed; after any other error
// it never will be.
func (g *Group) Propose(ctx context.Context, data []byte) (Result, error) {
	if len(data) > MaxEntry {
		return Result{}, errs.New(errs.Invalid, "an entry of %d bytes, at most %d are allowed", len(data), MaxEntry)
	}
	if g.raft.State() != raft.Leader {
		return Result{}, g.notLeader()
	}
	if err := g.Room(); err != nil {
		return Result{}, err
	}
	var f raft.ApplyFuture
	err := g.await(ctx, func() error {
		f = g.raft.Apply(data, timeoutOf(ctx))
		return f.Error()
	})
	if err != nil {
		return Result{}, err
	}
	return Result{Index: f.Index(), Value: f.Response()}, nil
}

// timeoutOf is the time that raft may take to accept a request.
func timeoutOf(ctx context.Context) time.Duration {
	if at, ok := ctx.Deadline(); ok {
		return max(time.Until(at), time.Millisecond)
	}
	return enqueueTimeout
}

// await runs call, which waits for a future of raft, no longer than ctx. raft's futures
// cannot be cancelled, so the waiting goroutine stays until raft answers, which it
// does: a leader without a quorum steps down and fails them all. Close waits for
// these goroutines before it stops raft, because a stopped raft leaves some unanswered.
func (g *Group) await(ctx context.Context, call func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := g.begin(); err != nil {
		return err
	}
	if ctx.Done() == nil {
		defer g.end()
		return g.translate(call())
	}
	done := make(chan error, 1)
	go func() {
		defer g.end()
		done <- call()
	}()
	select {
	case err := <-done:
		return g.translate(err)
	case <-ctx.Done():
		return unknown(ctx.Err())
	}
}

func (g *Group) begin() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closing {
		return ErrClosed
	}
	if g.mu.inflight >= maxInflight {
		return errs.New(errs.Unavailable, "group %s is overloaded, try again", g.name)
	}
	g.mu.inflight++
	g.calls.Add(1)
	return nil
}

func (g *Group) end() {
	g.mu.Lock()
	g.mu.inflight--
	g.mu.Unlock()
	g.calls.Done()
}

// Name returns the group's name.
func (g *Group) Name() string { return g.name }

// Leader returns the leader as this member knows it, false when it knows none.
func (g *Group) Leader() (ServerID, string, bool) {
	addr, id := g.raft.LeaderWithID()
	return ServerID(id), string(addr), id != ""
}

// IsLeader reports whether this member believes that it leads. Only ReadIndex or
// Propose show that it does.
func (g *Group) IsLeader() bool { return g.raft.State() == raft.Leader }

// Term returns the current term.
func (g *Group) Term() uint64 { return g.raft.CurrentTerm() }

// CommitIndex returns the highest index that this member knows to be committed.
func (g *Group) CommitIndex() uint64 { return g.raft.CommitIndex() }

// LastIndex returns the last index of this member's log.
func (g *Group) LastIndex() uint64 { return g.raft.LastIndex() }

// Finished returns the highest index at or below which the machine has finished every
// command.
func (g *Group) Finished() uint64 { return g.mark.load() }

// Snapshots returns the index that the newest snapshot covers, 0 without one, and how many this
// member made since its start.
func (g *Group) Snapshots() (newest, made uint64) {
	newest, _ = strconv.ParseUint(g.raft.Stats()["last_snapshot_index"], 10, 64)
	return newest, g.snaps.made.Load()
}

// Leadership returns a channel with whether this member leads: first as it is now, then
// each change. A reader that is slow sees only the latest. It is closed with the group.
func (g *Group) Leadership() <-chan bool {
	ch := make(chan bool, 1)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closing {
		close(ch)
		return ch
	}
	ch <- g.mu.leading
	g.mu.watchers = append(g.mu.watchers, ch)
	return ch
}

// watchLeadership passes raft's notices on until they end.
func (g *Group) watchLeadership(notices <-chan bool) {
	for leads := range notices {
		g.mu.Lock()
		g.mu.leading = leads
		for _, ch := range g.mu.watchers {
			select {
			case <-ch:
			default:
			}
			ch <- leads
		}
		g.mu.Unlock()
	}
}

// Snapshot takes a snapshot now and compacts the log. It returns nil when there is
// nothing new to put into one.
func (g *Group) Snapshot(ctx context.Context) error {
	err := g.await(ctx, func() error {
		err := g.raft.Snapshot().Error()
		if errors.Is(err, raft.ErrNothingNewToSnapshot) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("snapshot of group %s: %w", g.name, err)
	}
	return nil
}

// Close stops the group: requests under way are answered first. Leadership is not
// handed over; call Transfer before.
func (g *Group) Close() error {
	g.closed.Do(func() { g.err = g.close() })
	return g.err
}

func (g *Group) close() error {
	g.mu.Lock()
	g.mu.closing = true
	g.mu.Unlock()
	g.node.forget(g)
	g.mark.close() // readers first: they may wait for what raft never commits
	g.calls.Wait()
	err := g.raft.Shutdown().Error()
	g.stream.shut()
	close(g.stream.notices)
	g.tasks.Wait()
	g.mu.Lock()
	for _, ch := range g.mu.watchers {
		close(ch)
	}
	g.mu.watchers = nil
	g.mu.Unlock()
	return errors.Join(err, g.log.close())
}
