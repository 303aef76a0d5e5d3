package consensus

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Node is what the groups of a process share: the log's Pebble, the listener, and the
// connections to other members.
type Node struct {
	cfg   Config
	db    *logDB
	trans *transport

	mu struct {
		sync.Mutex
		groups map[string]*Group
		closed bool
	}
}

// Open opens a Node. It owns cfg.Listener from then on, also when it fails.
func Open(cfg Config) (*Node, error) {
	if err := cfg.complete(); err != nil {
		if cfg.Listener != nil {
			err = errors.Join(err, cfg.Listener.Close())
		}
		return nil, err
	}
	n := &Node{cfg: cfg}
	n.mu.groups = map[string]*Group{}
	var err error
	if n.db, err = n.openStore(); err != nil {
		return nil, errors.Join(err, cfg.Listener.Close())
	}
	n.db.synced = cfg.Synced
	n.db.room = n.appendRoom
	n.trans = newTransport(n)
	n.Handle(methodReadIndex, n.handleReadIndex)
	n.Handle(methodConfirm, n.handleConfirm)
	n.trans.start()
	return n, nil
}

func (n *Node) openStore() (*logDB, error) {
	fsys := n.cfg.FS
	for _, name := range []string{logDir, sideDir, snapshotDir} {
		if err := makeDir(fsys, fsys.PathJoin(n.cfg.Dir, name)); err != nil {
			return nil, fmt.Errorf("consensus: make directory %s: %w", name, err)
		}
	}
	return openLogDB(fsys, fsys.PathJoin(n.cfg.Dir, logDir), n.cfg.Logger, n.cfg.Fatal)
}

// Addr returns the address under which other members reach this one.
func (n *Node) Addr() string { return n.cfg.Advertise }

// Start starts a group: the conditions of prepare are checked, the machine is brought
// up to the newest snapshot, and raft is started.
func (n *Node) Start(cfg GroupConfig) (*Group, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if err := n.reserve(cfg.Name); err != nil {
		return nil, err
	}
	g, err := n.start(cfg)
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		delete(n.mu.groups, cfg.Name)
		return nil, err
	}
	n.mu.groups[cfg.Name] = g
	return g, nil
}

// reserve keeps a name from being started twice.
func (n *Node) reserve(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.closed {
		return ErrClosed
	}
	if _, ok := n.mu.groups[name]; ok {
		return fmt.Errorf("consensus: group %s runs already", name)
	}
	n.mu.groups[name] = nil
	return nil
}

func (n *Node) start(cfg GroupConfig) (*Group, error) {
	g := &Group{node: n, name: cfg.Name, machine: cfg.Machine, began: time.Now()}
	fsys, dir := n.cfg.FS, n.cfg.Dir
	var err error
	if g.log, err = openGroupLog(n.db, fsys, fsys.PathJoin(dir, sideDir), cfg.Name); err != nil {
		return nil, err
	}
	if err := g.open(cfg, fsys.PathJoin(dir, snapshotDir, cfg.Name)); err != nil {
		return nil, errors.Join(err, g.log.close())
	}
	return g, nil
}

func (g *Group) open(cfg GroupConfig, dir string) error {
	n := g.node
	var err error
	if g.snaps, err = openSnapStore(n.cfg.FS, dir, g.log, n.cfg.Logger); err != nil {
		return fmt.Errorf("group %s: snapshots: %w", g.name, err)
	}
	cache, err := raft.NewLogCache(cachedEntries, g.log)
	if err != nil {
		return err
	}
	applied, _ := g.machine.Applied()
	g.mark = newWatermark(applied, func() uint64 { return g.raft.CommitIndex() }, cache.GetLog)
	g.snaps.covered = g.mark.raise
	g.fsm = &fsm{group: g.name, machine: g.machine, mark: g.mark, snaps: g.snaps, fatal: n.cfg.Fatal}
	if err := g.prepare(); err != nil {
		return err
	}
	if err := g.bootstrap(cfg.Bootstrap); err != nil {
		return fmt.Errorf("group %s: bootstrap: %w", g.name, err)
	}
	return g.startRaft(cfg, cache)
}

// bootstrap writes the first membership where the group has no state at all.
func (g *Group) bootstrap(members []Server) error {
	if len(members) == 0 {
		return nil
	}
	has, err := raft.HasExistingState(g.log, g.log, g.snaps)
	if err != nil || has {
		return err
	}
	var conf raft.Configuration
	for _, s := range members {
		suffrage := raft.Voter
		if s.Learner {
			suffrage = raft.Nonvoter
		}
		conf.Servers = append(conf.Servers, raft.Server{
			Suffrage: suffrage, ID: raft.ServerID(s.ID),
			Address: raft.ServerAddress(s.Addr),
		})
	}
	return g.log.bootstrap(conf)
}

// Limits of raft. Entries may reach MaxEntry, so these bound memory too: 64 MiB
// of cache if every entry were that long, and in practice a few MiB.
const (
	cachedEntries    = 64
	maxAppendEntries = 256
)

func (g *Group) startRaft(cfg GroupConfig, logs raft.LogStore) error {
	n := g.node
	t := n.cfg.Timing
	logger := newHclog(n.cfg.Logger.With("group", g.name), "")
	notices := make(chan bool, 16)
	rc := &raft.Config{
		ProtocolVersion:    raft.ProtocolVersionMax,
		HeartbeatTimeout:   t.Heartbeat,
		ElectionTimeout:    t.Election,
		LeaderLeaseTimeout: t.Lease,
		CommitTimeout:      t.Commit,
		MaxAppendEntries:   maxAppendEntries,
		BatchApplyCh:       true,
		TrailingLogs:       cfg.TrailingLogs,
		SnapshotInterval:   cfg.SnapshotInterval,
		SnapshotThreshold:  cfg.SnapshotThreshold,
		LocalID:            raft.ServerID(n.cfg.ID),
		NotifyCh:           notices,
		Logger:             logger,
		// prepare restored what had to be restored (condition (d)).
		NoSnapshotRestoreOnStart: true,
		NoLegacyTelemetry:        true,
	}
	g.stream = n.trans.newStream(g.name, notices)
	trans := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: g.stream, MaxPool: 4, Timeout: t.RPC, Logger: logger, MsgpackUseNewTimeFormat: true,
	})
	var err error
	if g.raft, err = raft.NewRaft(rc, g.fsm, logs, g.log, g.snaps, voteless{trans, g.stands}); err != nil {
		err = errors.Join(fmt.Errorf("group %s: %w", g.name, err), trans.Close())
		g.stream.shut()
		return err
	}
	g.tasks.Go(func() { g.watchLeadership(notices) })
	n.trans.serve(g.stream)
	return nil
}

func (n *Node) group(name string) *Group {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.groups[name]
}

func (n *Node) forget(g *Group) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.mu.groups, g.name)
}

// Close closes the groups, the connections and the log.
func (n *Node) Close() error {
	n.mu.Lock()
	if n.mu.closed {
		n.mu.Unlock()
		return nil
	}
	n.mu.closed = true
	var groups []*Group
	for _, g := range n.mu.groups {
		if g != nil {
			groups = append(groups, g)
		}
	}
	n.mu.Unlock()
	var all []error
	for _, g := range groups {
		all = append(all, g.Close())
	}
	all = append(all, n.trans.close(), n.db.close())
	return errors.Join(all...)
}

// advertised is a net.Addr of the address that other members use.
type advertised string

func (advertised) Network() string  { return "tcp" }
func (a advertised) String() string { return string(a) }

var _ net.Addr = advertised("")
