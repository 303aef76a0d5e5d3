package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/errs"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// statusFor is how long what other control nodes said is used again: a list of a
// thousand nodes asks them once.
const statusFor = 200 * time.Millisecond

// statusCache holds the last round of reports.
type statusCache struct {
	mu struct {
		sync.Mutex
		at    time.Time
		nodes map[string]*clusterv1.NodeStatus
	}
}

// Status tells how the installation is, as this node sees it.
func (n *Node) Status(context.Context) (*clusterv1.GetStatusResponse, error) {
	through, _ := n.core.store.Through()
	return &clusterv1.GetStatusResponse{
		ClusterId: n.core.self.ClusterID, Revision: n.core.store.Revision(), Node: n.core.self.Name,
		Leader: n.leaderName(), Version: n.cfg.Version, Published: through, Epoch: n.epoch,
		Oldest: n.core.store.Oldest(), FeatureLevel: n.core.store.FeatureLevel(),
	}, nil
}

// NodeStatus is what is known of a node at the moment; NotFound when nothing is.
func (n *Node) NodeStatus(ctx context.Context, name string) (*clusterv1.NodeStatus, error) {
	if s := n.statuses(ctx, statusFor)[name]; s != nil {
		return s, nil
	}
	return nil, errs.New(errs.NotFound, "nothing was heard of %s", name)
}

// statuses asks all control nodes what they know of their edges, and puts it together.
func (n *Node) statuses(ctx context.Context, maxAge time.Duration) map[string]*clusterv1.NodeStatus {
	n.status.mu.Lock()
	defer n.status.mu.Unlock()
	if time.Since(n.status.mu.at) < maxAge {
		return n.status.mu.nodes
	}
	out := map[string]*clusterv1.NodeStatus{}
	leader, _, _ := n.core.group.Leader()
	for name, report := range n.reports(ctx) {
		m := n.members()[name]
		out[name] = &clusterv1.NodeStatus{
			Connected: report != nil, State: "silent", Version: m.GetVersion(), Address: m.GetTransport(),
			Leader: m.GetServerId() == string(leader),
		}
		if report == nil {
			continue
		}
		out[name].State, out[name].Position = "ready", report.Revision
		out[name].S3Hosts = report.S3Hosts
		if report.DiskFull {
			out[name].State = "disk full"
		}
		for _, e := range report.Nodes {
			edge := strings.TrimPrefix(e.Name, "nodes/")
			if have := out[edge]; have == nil || newer(e.Status, have) {
				out[edge] = e.Status
			}
		}
	}
	for _, s := range out {
		if s.Leader {
			n.setAside(s)
		}
	}
	n.status.mu.at, n.status.mu.nodes = time.Now(), out
	return out
}

// setAside says on the leader's status what its publisher could not publish; every member
// of the state has the notes of it.
func (n *Node) setAside(s *clusterv1.NodeStatus) {
	names, err := n.core.store.MetaNames("aside/")
	if err != nil || len(names) == 0 {
		return
	}
	s.SetAside = uint64(len(names))
	value, _, err := n.core.store.Meta(names[0])
	a := &statev1.SetAside{}
	if err == nil && proto.Unmarshal(value, a) == nil && a.Ref != nil {
		s.LastSetAside = strings.TrimSpace(fmt.Sprintf("%s %s: %s", a.Ref.Organization, n.cfg.shown(a.Ref), a.Reason))
	}
}

// newer: a connection counts more than a memory of one, and a later memory more.
func newer(a, b *clusterv1.NodeStatus) bool {
	if a.Connected != b.Connected {
		return a.Connected
	}
	return a.GetLastContact().AsTime().After(b.GetLastContact().AsTime())
}

// reports asks each control node; nil stands for one that did not answer.
func (n *Node) reports(ctx context.Context) map[string]*clusterv1.ControlReport {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	out := map[string]*clusterv1.ControlReport{n.core.self.Name: n.report()}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for name, m := range n.members() {
		if name == n.core.self.Name {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			var r *clusterv1.ControlReport
			if b, err := n.core.node.Call(ctx, m.Transport, callStatus, nil); err == nil {
				r = &clusterv1.ControlReport{}
				if proto.Unmarshal(b, r) != nil {
					r = nil
				}
			}
			mu.Lock()
			out[name] = r
			mu.Unlock()
		}()
	}
	wg.Wait()
	return out
}

// report is what this node says of itself and its edges.
func (n *Node) report() *clusterv1.ControlReport {
	r := n.ownReport()
	if n.feed == nil {
		return r
	}
	last := n.core.store.LastChange()
	for name, s := range n.feed.Status() {
		r.Nodes = append(r.Nodes, &clusterv1.Node{Name: "nodes/" + name, Status: edgeStatus(s, last)})
	}
	return r
}

// ownReport is what this node says of itself.
func (n *Node) ownReport() *clusterv1.ControlReport {
	r := &clusterv1.ControlReport{
		Finished: n.core.group.Finished(), Revision: n.core.store.Revision(),
		DiskFull: n.diskFull(), Time: n.cfg.Clock.Now().UnixNano(),
	}
	if n.storage != nil {
		r.S3Hosts = &storagev1.S3Hosts{Domains: n.storage.Hosts().Domains()}
	}
	return r
}

func edgeStatus(s feed.NodeStatus, last uint64) *clusterv1.NodeStatus {
	out := &clusterv1.NodeStatus{
		Connected: s.Connected, Position: s.Revision, Refusals: s.Refused, Version: s.Version,
		LastContact: timestamppb.New(s.LastContact), BudgetDays: s.BudgetDays, RefusedFrames: s.RefusedFrames,
		State: "ready", S3Hosts: s.S3Hosts,
	}
	if last > s.Revision {
		out.Lag = last - s.Revision
	}
	if !s.Connected {
		out.State = "silent"
	}
	if len(s.Refusals) > 0 {
		r := s.Refusals[len(s.Refusals)-1]
		out.LastRefusalStream = r.Stream
		out.LastRefusal = strings.TrimSpace(fmt.Sprintf("%s at revision %d: %s", r.Name, r.Revision, r.Reason))
	}
	return out
}

func (n *Node) serveStatus(_ context.Context, _ string, req []byte) ([]byte, error) {
	if string(req) == askSelf {
		return proto.Marshal(n.ownReport())
	}
	return proto.Marshal(n.report())
}

// Wait tells of each edge that has reached a revision, until all that are heard have; of each
// what the asker may see.
func (n *Node) Wait(ctx context.Context, who asker, revision uint64, send func(*clusterv1.WaitResponse) error) error {
	if revision > n.core.store.Revision() {
		return errs.New(errs.NotFound, "revision %d is yet to come; the latest is %d", revision,
			n.core.store.Revision())
	}
	// What counts is the last change at or before the revision: others reach no edge.
	revision = min(revision, n.core.store.LastChange())
	committed := n.commitTime(revision)
	told := map[string]bool{}
	for {
		waiting := []string{}
		all := n.statuses(ctx, 5*time.Millisecond)
		edges, err := n.edges()
		if err != nil {
			return err
		}
		heard := 0
		for i, name := range edges {
			s := all[name]
			shown := who.name(i, name)
			switch {
			case s == nil || !s.Connected:
				waiting = append(waiting, shown)
			case s.Position < revision:
				waiting = append(waiting, shown)
				heard++
			case !told[name]:
				told[name] = true
				resp := &clusterv1.WaitResponse{
					Node: shown, Refusal: who.refusal(s),
					Milliseconds: uint32(max(0, n.cfg.Clock.Now().Sub(committed).Milliseconds())),
				}
				if err := send(resp); err != nil {
					return err
				}
			}
		}
		if heard == 0 {
			if len(waiting) > 0 {
				return send(&clusterv1.WaitResponse{Waiting: waiting}) // silent edges: they catch up when they return
			}
			return nil
		}
		if !pause(ctx, 5*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// asker is who waits for edges: operators see their names and all refusals, others a number
// for each edge and the refusals that concern their organization.
type asker struct {
	operator     bool
	organization string
}

func (a asker) name(i int, name string) string {
	if a.operator {
		return name
	}
	return fmt.Sprintf("edge %d", i+1)
}

func (a asker) refusal(s *clusterv1.NodeStatus) string {
	if a.operator || a.organization != "" && s.GetLastRefusalStream() == "org/"+a.organization {
		return s.GetLastRefusal()
	}
	return ""
}

func (n *Node) commitTime(revision uint64) time.Time {
	if revision > 0 {
		if c, err := n.core.store.Commits(revision-1, 1); err == nil && len(c) == 1 {
			return time.Unix(0, c[0].Time)
		}
	}
	return n.cfg.Clock.Now()
}

// edges lists the names of all edges.
func (n *Node) edges() ([]string, error) {
	r, err := n.core.store.At(0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var names []string
	err = r.Scan(nodeKind, "", "nodes/", "", func(v state.Version) bool {
		var node clusterv1.Node
		if proto.Unmarshal(v.Value, &node) == nil && node.GetSpec().GetRole() == ca.Edge {
			names = append(names, strings.TrimPrefix(v.Name, "nodes/"))
		}
		return true
	})
	slices.Sort(names)
	return names, err
}
