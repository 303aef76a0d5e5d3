package consensus_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
	"github.com/dark-ecosystem/dark/internal/diskroom"
)

const plenty = 1 << 40

// roomy is a disk with space, until somebody says otherwise.
func roomy() *diskroom.Disk {
	d := diskroom.New(vfs.NewMem(), "/data", 64<<20)
	d.Measure()
	d.Believe(plenty, time.Hour)
	return d
}

// TestAFullDiskAcknowledgesNothing: of two members both must have an entry. A full
// follower takes none, a full leader proposes none, and both go on when they have space.
func TestAFullDiskAcknowledgesNothing(t *testing.T) {
	ca, la, lb := ct.NewCA(t), ct.Listen(t, ""), ct.Listen(t, "")
	servers := []consensus.Server{{ID: "a", Addr: la.Addr().String()}, {ID: "b", Addr: lb.Addr().String()}}
	disks := map[consensus.ServerID]*diskroom.Disk{"a": roomy(), "b": roomy()}
	a, err := ca.Open(ct.Setup{FS: vfs.NewMem(), ID: "a", Listener: la, Bootstrap: servers, Disk: disks["a"]})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, a)
	b, err := ca.Open(ct.Setup{FS: vfs.NewMem(), ID: "b", Listener: lb, Bootstrap: servers, Disk: disks["b"]})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	leader := ct.WaitLeader(t, a, b)
	follower := a
	if leader == a {
		follower = b
	}
	propose(t, leader, 0, 10)

	disks[follower.ID].Believe(1<<20, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := leader.Group.Propose(ctx, []byte("c10")); !errors.Is(err, consensus.ErrUnknown) {
		t.Errorf("proposed while the other cannot keep it: %v", err)
	}
	if n := leader.Group.CommitIndex(); n >= leader.Group.LastIndex() {
		t.Errorf("all %d entries count as committed, one of which the follower has no space for", n)
	}
	disks[follower.ID].Believe(plenty, time.Hour)
	leader = ct.WaitLeader(t, a, b)
	propose(t, leader, 11, 12)
	wantOnce(t, leader, 12)

	disks[leader.ID].Believe(20<<20, time.Hour)
	last := leader.Group.LastIndex()
	_, err = leader.Group.Propose(within(t, time.Minute), []byte("refused"))
	if !errors.Is(err, consensus.ErrDiskFull) || errors.Is(err, consensus.ErrUnknown) ||
		leader.Group.LastIndex() != last {
		t.Errorf("proposed on a full disk: %v", err)
	}
	disks[leader.ID].Believe(plenty, time.Hour)
	propose(t, ct.WaitLeader(t, a, b), 12, 15)
	wantOnce(t, ct.WaitLeader(t, a, b), 15)
}

// TestFullDisksElectSomebody: no member has space for proposals when the leader ends. One that
// has space for an entry leads after a while, and reads are answered.
func TestFullDisksElectSomebody(t *testing.T) {
	ca := ct.NewCA(t)
	listeners := map[consensus.ServerID]net.Listener{}
	for _, id := range []consensus.ServerID{"a", "b", "c"} {
		listeners[id] = ct.Listen(t, "")
	}
	var servers []consensus.Server
	for id, l := range listeners {
		servers = append(servers, consensus.Server{ID: id, Addr: l.Addr().String()})
	}
	disks, members := map[consensus.ServerID]*diskroom.Disk{}, []*ct.Member{}
	for id, l := range listeners {
		disks[id] = roomy()
		m, err := ca.Open(ct.Setup{FS: vfs.NewMem(), ID: id, Listener: l, Bootstrap: servers, Disk: disks[id]})
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, m)
	}
	leader := ct.WaitLeader(t, members...)
	propose(t, leader, 0, 5)
	for _, d := range disks {
		d.Believe(20<<20, time.Hour)
	}
	mustClose(t, leader)
	members = slices.DeleteFunc(members, func(m *ct.Member) bool { return m == leader })
	for _, m := range members {
		defer mustClose(t, m)
	}
	leader = ct.WaitLeader(t, members...)
	if err := leader.Group.Read(within(t, time.Minute)); err != nil {
		t.Error("a read while every disk is full:", err)
	}
	if _, err := leader.Group.Propose(within(t, time.Minute), []byte("no")); !errors.Is(err, consensus.ErrDiskFull) {
		t.Error("proposed on a full disk:", err)
	}
}
