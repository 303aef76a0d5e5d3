package controlplane

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/internal/preauth"
)

// metrics tells Prometheus how this control node is, when it asks. Labels are names of this
// installation's own machines; nothing of its tenants is in them. docs/operations/metrics.md lists
// them all.
type metrics struct {
	n    *Node
	core *core
	// fsync is the one that is written to as it happens.
	fsync prometheus.Histogram
}

var (
	controlLeader  = controlDesc("leader", "1 while this control node leads.")
	controlLed     = controlDesc("leader_known", "1 while this control node knows one that leads.")
	controlTerm    = controlDesc("term", "Term of the consensus; it rises with each election.")
	controlCommit  = controlDesc("commit_index", "Index of the log up to which a majority has it.")
	controlApplied = controlDesc("applied_index",
		"Index of the log up to which this control node has carried it out.")
	controlLast      = controlDesc("last_index", "Last index of this control node's log.")
	controlSnapshot  = controlDesc("snapshot_index", "Index of the log that the newest snapshot covers; 0 without one.")
	controlSnapshots = controlDesc("snapshots_total", "Snapshots that this control node made since its start.")
	controlAnswers   = controlDesc("member_answers", "1 for a member that answered this control node the last time.",
		"member")
	controlLag = controlDesc("member_lag_entries",
		"Committed entries of the log that a member has not carried out.", "member")
	controlFree      = controlDesc("disk_free_bytes", "Octets that the file system of the node's directory has left.")
	controlReserve   = controlDesc("disk_reserve_bytes", "Octets that the node leaves free.")
	controlFull      = controlDesc("disk_full", "1 while no write is accepted for want of space.")
	controlRevision  = controlDesc("revision", "Revision of the last change that can be read here.")
	controlPublished = controlDesc("published_revision", "Revision up to which changes are published to edges.")
	controlBehind    = controlDesc("publication_lag_revisions",
		"Revisions between the last change of a resource and what is published.")
	controlBehindFor = controlDesc("publication_lag_seconds",
		"Age of the oldest change that is not published; 0 when all are.")
	controlExpiry = controlDesc("certificate_expiry_timestamp_seconds",
		"When the node's certificate ends, Unix time.")
	controlEdges    = controlDesc("edges_connected", "Edges that are connected to this control node.")
	controlPosition = controlDesc("edge_position_revision", "Revision to which a connected edge is complete.", "edge")
	controlContact  = controlDesc("edge_last_contact_timestamp_seconds",
		"When an edge was heard of last here, Unix time.", "edge")
	controlRefused = controlDesc("edge_refused_items_total",
		"Items that an edge refused since this control node began.", "edge")
	controlAside = controlDesc("set_aside_items",
		"Resources that cannot be published as they are; edges keep what they had of them.")
	controlWaiting  = controlDesc("unauthenticated_connections", "Connections whose caller is not known yet.", "door")
	controlAccepted = controlDesc("accepted_connections_total", "Connections that were accepted.", "door")
	controlClosed   = controlDesc("unauthenticated_closed_total",
		"Connections that were closed before their caller was known.", "door", "reason")
	controlBudget = controlDesc("edge_budget_seconds",
		"Time until the first of an edge's certificate and keys ends, to the day.", "edge")
)

func controlDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dark_control_"+name, help, labels, nil)
}

func newFsync() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "dark_control_fsync_seconds", Help: "Time that a write to the log waited for its sync.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 12),
	})
}

// count registers the metrics of the node.
func (n *Node) count(fsync prometheus.Histogram) error {
	if n.cfg.Registry == nil {
		return nil
	}
	m := &metrics{n: n, core: n.core, fsync: fsync}
	if err := n.cfg.Registry.Register(m); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	n.metrics = m
	return nil
}

// Describe lists the metrics.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.fsync.Describe(ch)
	for _, d := range []*prometheus.Desc{
		controlLeader, controlLed, controlTerm, controlCommit, controlApplied, controlLast, controlSnapshot,
		controlSnapshots,
		controlAnswers, controlLag, controlFree, controlReserve, controlFull, controlRevision, controlPublished,
		controlBehind,
		controlBehindFor, controlExpiry, controlEdges, controlPosition, controlContact, controlRefused, controlBudget,
		controlAside, controlWaiting, controlAccepted, controlClosed,
	} {
		ch <- d
	}
}

// gather is where the parts of a scrape go.
type gather chan<- prometheus.Metric

func (g gather) gauge(d *prometheus.Desc, v float64, labels ...string) {
	g <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (g gather) counter(d *prometheus.Desc, v uint64, labels ...string) {
	g <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (g gather) flag(d *prometheus.Desc, v bool, labels ...string) {
	one := 0.0
	if v {
		one = 1
	}
	g.gauge(d, one, labels...)
}

// Collect reads what the node knows; it asks nobody.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.fsync.Collect(ch)
	g := gather(ch)
	m.consensus(g)
	m.members(g)
	m.disk(g)
	m.publication(g)
	g.gauge(controlExpiry, float64(m.core.creds.Leaf().NotAfter.Unix()))
	m.edges(g)
	m.doors(g)
}

func (m *metrics) consensus(g gather) {
	group := m.core.group
	_, _, known := group.Leader()
	g.flag(controlLeader, group.IsLeader())
	g.flag(controlLed, known)
	g.gauge(controlTerm, float64(group.Term()))
	g.gauge(controlCommit, float64(group.CommitIndex()))
	g.gauge(controlApplied, float64(group.Finished()))
	g.gauge(controlLast, float64(group.LastIndex()))
	index, made := group.Snapshots()
	g.gauge(controlSnapshot, float64(index))
	g.counter(controlSnapshots, made)
}

// members are as the last round of questions found them, some seconds ago.
func (m *metrics) members(g gather) {
	commit := m.core.group.CommitIndex()
	for _, s := range m.n.seen.last() {
		g.flag(controlAnswers, s.answers, s.name)
		finished := s.finished
		if string(s.ID) == m.core.self.ServerID {
			finished = m.core.group.Finished()
		}
		g.gauge(controlLag, float64(lag(commit, finished)), s.name)
	}
}

func (m *metrics) disk(g gather) {
	if free, err := m.core.disk.Avail(); err == nil {
		g.gauge(controlFree, float64(free))
	}
	g.gauge(controlReserve, float64(m.core.disk.Reserve()))
	g.flag(controlFull, m.n.diskFull())
}

func (m *metrics) publication(g gather) {
	store := m.core.store
	through, _ := store.Through()
	last := store.LastChange()
	g.gauge(controlRevision, float64(store.Revision()))
	g.gauge(controlPublished, float64(through))
	g.gauge(controlBehind, float64(lag(last, through)))
	age := 0.0
	if last > through {
		if c, err := store.Commits(through, 1); err == nil && len(c) == 1 {
			age = max(0, m.n.cfg.Clock.Now().Sub(time.Unix(0, c[0].Time)).Seconds())
		}
	}
	g.gauge(controlBehindFor, age)
	if aside, err := store.MetaNames("aside/"); err == nil {
		g.gauge(controlAside, float64(len(aside)))
	}
}

// doors tell of the connections of strangers.
func (m *metrics) doors(g gather) {
	all := map[string]preauth.Stats{"api": {}, "feed": {}, "transport": m.core.node.Strangers()}
	select {
	case <-m.n.ready:
		all["api"], all["feed"] = m.n.api.Strangers(), m.n.feed.Strangers()
	default: // they are not made yet
	}
	for door, s := range all {
		g.gauge(controlWaiting, float64(s.Waiting), door)
		g.counter(controlAccepted, s.Accepted, door)
		g.counter(controlClosed, s.ClosedByFull, door, "full")
		g.counter(controlClosed, s.ClosedByDeadline, door, "deadline")
	}
}

// edges are those that connected here; another control node tells of the others.
func (m *metrics) edges(g gather) {
	var all map[string]feed.NodeStatus
	select {
	case <-m.n.ready:
		all = m.n.feed.Status()
	default: // the feed is not made yet
	}
	connected := 0
	for name, s := range all {
		if s.Connected {
			connected++
			g.gauge(controlPosition, float64(s.Revision), name)
		}
		g.gauge(controlContact, float64(s.LastContact.UnixNano())/1e9, name)
		g.counter(controlRefused, s.Refused, name)
		g.gauge(controlBudget, float64(s.BudgetDays)*24*3600, name)
	}
	g.gauge(controlEdges, float64(connected))
}
