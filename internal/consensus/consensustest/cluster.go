package consensustest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/diskroom"
)

// GroupName is the group that a Member runs.
const GroupName = "test"

// Member is one member of a test's cluster.
type Member struct {
	ID     consensus.ServerID
	Node   *consensus.Node
	Group  *consensus.Group
	Ledger *Ledger
}

// Setup says how a Member is opened.
type Setup struct {
	FS        vfs.FS
	Dir       string // "" is "/data"
	ID        consensus.ServerID
	Addr      string // "" is a free port
	Listener  net.Listener
	Bootstrap []consensus.Server
	Timing    consensus.Timing // zero is Fast
	Fatal     func(error)
	Disk      *diskroom.Disk // nil: it has no end
	Change    func(*consensus.GroupConfig)
	Logger    *slog.Logger
}

// Fast is for tests of one process. A leader keeps its office on a machine whose cores are
// all busy with other tests.
var Fast = consensus.Timing{
	Heartbeat: 600 * time.Millisecond, Election: 600 * time.Millisecond, Lease: 400 * time.Millisecond,
	Commit: 5 * time.Millisecond, RPC: 2 * time.Second,
}

// Listen returns a listener on loopback.
func Listen(tb testing.TB, addr string) net.Listener {
	tb.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// Open opens a Member.
func (ca *CA) Open(s Setup) (*Member, error) {
	if s.Dir == "" {
		s.Dir = "/data"
	}
	if s.Timing == (consensus.Timing{}) {
		s.Timing = Fast
	}
	if s.Listener == nil {
		s.Listener = Listen(ca.tb, s.Addr)
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	ledger, err := OpenLedger(s.FS, s.FS.PathJoin(s.Dir, "machine"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: %w", err), s.Listener.Close())
	}
	node, err := consensus.Open(consensus.Config{
		FS: s.FS, Dir: s.Dir, ID: s.ID, Listener: s.Listener, TLS: ca.TLS(string(s.ID)),
		Timing: s.Timing, Fatal: s.Fatal, Logger: s.Logger, Disk: s.Disk,
	})
	if err != nil {
		return nil, errors.Join(err, ledger.Close())
	}
	gc := consensus.GroupConfig{Name: GroupName, Machine: ledger, Bootstrap: s.Bootstrap}
	if s.Change != nil {
		s.Change(&gc)
	}
	group, err := node.Start(gc)
	if err != nil {
		return nil, errors.Join(err, node.Close(), ledger.Close())
	}
	return &Member{ID: s.ID, Node: node, Group: group, Ledger: ledger}, nil
}

// Close closes the member.
func (m *Member) Close() error { return errors.Join(m.Node.Close(), m.Ledger.Close()) }

// WaitLeader waits until one of the members leads and can be read from, and returns it.
func WaitLeader(tb testing.TB, members ...*Member) *Member {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, m := range members {
			if m == nil || !m.Group.IsLeader() {
				continue
			}
			if _, err := m.Group.ReadIndex(ctx); err == nil {
				return m
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			tb.Fatal("no leader within 20 s")
		}
	}
}
