package controlplane

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
)

const (
	membersEvery = 2 * time.Second // how often a control node asks the others how far they are
	leaderless   = 3 * time.Second // an election takes less; after it the log says that nobody leads
	sayAgain     = time.Minute     // the log repeats what still is wrong
)

// askSelf is the body of callStatus by which a control node asks another for a report without
// its edges.
const askSelf = "self"

// member is a control node as this one sees it.
type member struct {
	consensus.Server
	name    string
	answers bool
	// finished is the log's index that it has carried out, when it answered last.
	finished uint64
	// ahead is how far its clock was before this node's, when it answered last.
	ahead time.Duration
}

// seen is what the last round of questions to the members found.
type seen struct {
	mu struct {
		sync.Mutex
		members []member
	}
}

func (s *seen) last() []member {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.members
}

// askMembers asks all members how far they are, at the same time, for a second at most.
func (n *Node) askMembers(ctx context.Context) ([]member, error) {
	servers, err := n.core.group.Members()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	before, names := n.seen.last(), n.memberNames()
	out := make([]member, len(servers))
	var asking sync.WaitGroup
	for i, s := range servers {
		out[i] = member{Server: s, name: orID(names, s.ID)}
		if at := slices.IndexFunc(before, func(m member) bool { return m.ID == s.ID }); at >= 0 {
			out[i].finished = before[at].finished
		}
		asking.Go(func() { n.ask(ctx, &out[i]) })
	}
	asking.Wait()
	n.seen.mu.Lock()
	defer n.seen.mu.Unlock()
	n.seen.mu.members = out
	return out, nil
}

func (n *Node) ask(ctx context.Context, m *member) {
	if string(m.ID) == n.core.self.ServerID {
		m.answers, m.finished = true, n.core.group.Finished()
		return
	}
	var r clusterv1.ControlReport
	asked := n.cfg.Clock.Now()
	b, err := n.core.node.Call(ctx, m.Addr, callStatus, []byte(askSelf))
	if m.answers = err == nil && proto.Unmarshal(b, &r) == nil; m.answers {
		m.finished = r.Finished
		now := n.cfg.Clock.Now()
		m.ahead = time.Unix(0, r.Time).Sub(asked.Add(now.Sub(asked) / 2))
		if r.Time == 0 {
			m.ahead = 0 // of an earlier version, which does not tell
		}
	}
}

// memberNames are the nodes' names by their ids in consensus.
func (n *Node) memberNames() map[consensus.ServerID]string {
	out := map[consensus.ServerID]string{consensus.ServerID(n.core.self.ServerID): n.core.self.Name}
	for name, m := range n.members() {
		out[consensus.ServerID(m.ServerId)] = name
	}
	return out
}

// orID is the name of a member; its id where it has not announced itself yet.
func orID(names map[consensus.ServerID]string, id consensus.ServerID) string {
	if name, ok := names[id]; ok {
		return name
	}
	return string(id)
}

// leaderName is the name of the leader; empty when none is known.
func (n *Node) leaderName() string {
	id, _, ok := n.core.group.Leader()
	if !ok {
		return ""
	}
	return orID(n.memberNames(), id)
}

// majority says whether enough voters answer, and how many that are.
func majority(all []member) (voters, answer int, ok bool) {
	for _, m := range all {
		if m.Learner {
			continue
		}
		voters++
		if m.answers {
			answer++
		}
	}
	return voters, answer, 2*answer > voters
}

// watchMembers asks the members now and then, for the metrics, and tells the log when
// nobody leads, and when somebody does again.
func (n *Node) watchMembers(ctx context.Context) {
	w := leaderWatch{log: n.cfg.Logger, self: consensus.ServerID(n.core.self.ServerID)}
	every(ctx, membersEvery, func(ctx context.Context) {
		all, err := n.askMembers(ctx)
		if err != nil || ctx.Err() != nil {
			return
		}
		w.look(time.Now(), n.leaderName(), all)
		n.checkClock(ctx, all)
	})
}

// leaderWatch tells the log of the time without a leader. It belongs to one goroutine.
type leaderWatch struct {
	log    *slog.Logger
	self   consensus.ServerID
	since  time.Time // when the leader was missed first; zero while there is one
	spoken time.Time // when the log was told last; zero when it was not
}

// lostMajority is what an operator can do; docs/operations/quorum.md has it at length.
const lostMajority = "start the silent control nodes again, or mend the network between them; edges go on serving " +
	"meanwhile; do not wipe or `darkd rejoin` a member now: docs/operations/quorum.md"

func (w *leaderWatch) look(now time.Time, leader string, all []member) {
	if leader != "" {
		if !w.spoken.IsZero() {
			w.log.Info("a control node leads again: changes are accepted", "leader", leader,
				"after", now.Sub(w.since).Round(time.Second))
		}
		w.since, w.spoken = time.Time{}, time.Time{}
		return
	}
	if w.since.IsZero() {
		w.since = now
	}
	if now.Sub(w.since) < leaderless || now.Sub(w.spoken) < sayAgain {
		return
	}
	w.spoken = now
	if without(all, w.self) {
		w.log.Error("this control node is no member of its cluster: it was removed", "members", addresses(all),
			"do", removedHere)
		return
	}
	voters, answer, enough := majority(all)
	attrs := []any{"for", now.Sub(w.since).Round(time.Second), "answer", list(all, true), "silent", list(all, false)}
	if enough {
		w.log.Warn("no control node leads though a majority answers: an election goes on", attrs...)
		return
	}
	w.log.Error(fmt.Sprintf("the majority of control nodes is lost: %d of %d answer, %d are needed; no change is "+
		"accepted", answer, voters, voters/2+1),
		append(attrs, "do", lostMajority)...)
}

// removedHere is what to do about a control node that was removed and still runs.
const removedHere = "stop it here, and ask another control node; to come back it needs a new token and an empty " +
	"directory: docs/operations/nodes.md"

// without reports whether consensus has members, and self is none of them. A node that only joins
// has none yet, or a leader.
func without(all []member, self consensus.ServerID) bool {
	return len(all) > 0 && !slices.ContainsFunc(all, func(m member) bool { return m.ID == self })
}

// list names the members that answer, or those that do not, with their addresses.
func list(all []member, answers bool) string {
	return addresses(slices.DeleteFunc(slices.Clone(all), func(m member) bool { return m.answers != answers }))
}

func addresses(all []member) string {
	var names []string
	for _, m := range all {
		names = append(names, m.name+" ("+m.Addr+")")
	}
	return strings.Join(names, ", ")
}

// ListMembers lists the control nodes as consensus sees them, and asks each whether it answers.
func (n *Node) ListMembers(ctx context.Context) (*clusterv1.ListMembersResponse, error) {
	members, err := n.askMembers(ctx)
	if err != nil {
		return nil, err
	}
	leader, _, led := n.core.group.Leader()
	if !led && without(members, consensus.ServerID(n.core.self.ServerID)) {
		return nil, errs.New(errs.Conflict, "%s is no member of its cluster: it was removed. Its members are %s: %s",
			n.core.self.Name, addresses(members), removedHere)
	}
	resp := &clusterv1.ListMembersResponse{Term: n.core.group.Term()}
	for _, m := range members {
		suffrage := "voter"
		if m.Learner {
			suffrage = "learner"
		}
		resp.Members = append(resp.Members, &clusterv1.Member{
			Name: m.name, Id: string(m.ID), Address: m.Addr, Suffrage: suffrage, Leader: m.ID == leader,
			Answers: m.answers, Lag: lag(n.core.group.CommitIndex(), m.finished),
		})
	}
	return resp, nil
}

func lag(of, at uint64) uint64 { return max(of, at) - at }
