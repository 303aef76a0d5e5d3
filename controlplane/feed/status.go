package feed

import (
	"context"
	"maps"
	"sync"
	"time"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// keepRefusals is how many of a node's last refusals are kept for the operator.
const keepRefusals = 16

// NodeStatus is what is known of a node that connected here since this node's start.
type NodeStatus struct {
	Node      string
	Connected bool
	Version   string
	// Kinds that it can compile.
	Kinds []string
	// Revision to which all its streams are durable and active.
	Revision uint64
	// LastContact is when it was heard of last.
	LastContact time.Time
	// Refusals are its last ones, the newest last; Refused counts all.
	Refusals []*feedv1.Refusal
	Refused  uint64
	// RefusedFrames counts by reason, since the edge's start.
	RefusedFrames map[string]uint64
	// Activation is the time from a frame's arrival to its activation, of the last cut.
	Activation time.Duration
	// BudgetDays until the first of its certificates and keys ends.
	BudgetDays uint32
	// ClockOffset is how far its clock is ahead of ours, the way included.
	ClockOffset time.Duration
	// S3Hosts is how it reads host names of S3; nil where it does not tell. It is not changed.
	S3Hosts *storagev1.S3Hosts
}

type nodes struct {
	mu struct {
		sync.Mutex
		byName  map[string]*nodeState
		changed chan struct{} // closed and replaced at each ack while someone waits
		waiting int
	}
}

// nodeState is guarded by nodes.mu.
type nodeState struct {
	NodeStatus
	connections int
	zones       zoneStats
	storage     storageStats
}

func newNodes() *nodes {
	n := &nodes{}
	n.mu.byName = map[string]*nodeState{}
	n.mu.changed = make(chan struct{})
	return n
}

func (n *nodes) hello(node string, h *feedv1.Hello, now time.Time) *nodeState {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.mu.byName[node]
	if s == nil {
		s = &nodeState{}
		n.mu.byName[node] = s
	}
	s.Node, s.Version, s.Kinds, s.LastContact = node, h.GetVersion(), h.GetKinds(), now
	return s
}

func (n *nodes) connected(s *nodeState, up bool, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if up {
		s.connections++
		s.LastContact = now
	} else {
		s.connections--
	}
	if s.Connected = s.connections > 0; !s.Connected {
		s.storage.gone()
		s.zones = zoneStats{} // it tells all again, here or to another control node
	}
}

func (n *nodes) ack(s *nodeState, a *feedv1.Ack, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s.LastContact = now
	s.Revision = a.GetRevision()
	s.Refused += uint64(len(a.GetRefusals()))
	s.Refusals = append(s.Refusals, a.GetRefusals()...)
	if over := len(s.Refusals) - keepRefusals; over > 0 {
		s.Refusals = append([]*feedv1.Refusal(nil), s.Refusals[over:]...)
	}
	if a.GetRefusedFrames() != nil {
		s.RefusedFrames = a.GetRefusedFrames()
	}
	if a.GetActivationNanos() > 0 {
		s.Activation = time.Duration(a.GetActivationNanos())
	}
	s.zones.take(a)
	s.storage.take(a)
	s.BudgetDays = a.GetBudgetDays()
	if a.GetTime() != 0 {
		s.ClockOffset = time.Unix(0, a.GetTime()).Sub(now)
	}
	if n.mu.waiting > 0 {
		close(n.mu.changed)
		n.mu.changed = make(chan struct{})
	}
}

// Status returns every node that connected since the start, by name.
func (s *Server) Status() map[string]NodeStatus {
	n := s.nodes
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[string]NodeStatus, len(n.mu.byName))
	for name, st := range n.mu.byName {
		c := st.NodeStatus
		c.Refusals = append([]*feedv1.Refusal(nil), c.Refusals...)
		c.RefusedFrames = maps.Clone(c.RefusedFrames)
		c.S3Hosts = st.storage.store.GetHosts()
		all[name] = c
	}
	return all
}

// WaitNode returns when node has acked revision, or with the context's error.
func (s *Server) WaitNode(ctx context.Context, node string, revision uint64) error {
	n := s.nodes
	n.mu.Lock()
	n.mu.waiting++
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.mu.waiting--
		n.mu.Unlock()
	}()
	for {
		n.mu.Lock()
		st, changed := n.mu.byName[node], n.mu.changed
		done := st != nil && st.Revision >= revision
		n.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
