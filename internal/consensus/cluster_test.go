package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
)

func TestALearnerIsBroughtUpByASnapshotAndBecomesAVoter(t *testing.T) {
	ca, mem := ct.NewCA(t), vfs.NewMem()
	l := ct.Listen(t, "")
	m, err := ca.Open(ct.Setup{
		FS: mem, ID: "a", Listener: l, Change: quickSnapshots,
		Bootstrap: []consensus.Server{{ID: "a", Addr: l.Addr().String()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, m)
	propose(t, m, 0, 50)
	ctx := within(t, time.Minute)
	if err := m.Group.Snapshot(ctx); err != nil {
		t.Fatal(err)
	}
	propose(t, m, 50, 55)

	disk := vfs.NewMem()
	b, err := ca.Open(ct.Setup{FS: disk, ID: "b", Change: quickSnapshots})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Group.AddLearner(ctx, consensus.Server{ID: "b", Addr: b.Node.Addr()}); err != nil {
		t.Fatal(err)
	}
	if err := b.Group.WaitApplied(ctx, m.Group.CommitIndex()); err != nil {
		t.Fatal(err)
	}
	if all := b.Ledger.All(); len(all) != 55 {
		t.Fatalf("the learner has %d commands of 55", len(all))
	}
	if list, _ := disk.List("/data/snapshots/test"); len(list) != 1 {
		t.Errorf("the learner was meant to get a snapshot; it has %v", list)
	}
	if err := m.Group.AddVoter(ctx, consensus.Server{ID: "b", Addr: b.Node.Addr()}); err != nil {
		t.Fatal(err)
	}
	members, err := m.Group.Members()
	if err != nil || len(members) != 2 || members[1].Learner {
		t.Fatalf("members are %v, %v", members, err)
	}

	// It restarts from what it was sent, on another port.
	addr := b.Node.Addr()
	mustClose(t, b)
	if b, err = ca.Open(ct.Setup{FS: disk, ID: "b", Addr: addr, Change: quickSnapshots}); err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	wantOnce(t, ct.WaitLeader(t, m, b), 55)

	if err := ct.WaitLeader(t, m, b).Group.Transfer(ctx, ""); err != nil {
		t.Fatal(err)
	}
	leader := ct.WaitLeader(t, m, b)
	other := m
	if leader == m {
		other = b
	}
	if err := leader.Group.Remove(ctx, other.ID); err != nil {
		t.Fatal(err)
	}
	if members, _ := leader.Group.Members(); len(members) != 1 {
		t.Errorf("members are %v after the removal", members)
	}
}

func TestLeadershipIsToldAndTransferred(t *testing.T) {
	members := three(t, ct.NewCA(t), mems(3), nil)
	defer closeAll(t, members)
	leader := ct.WaitLeader(t, members...)
	ctx := within(t, time.Minute)
	told := leader.Group.Leadership()
	if !<-told {
		t.Fatal("the leader is told that it does not lead")
	}
	to := members[0]
	if to == leader {
		to = members[1]
	}
	if err := leader.Group.Transfer(ctx, to.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case leads := <-told:
		if leads {
			t.Error("told of leadership after handing it over")
		}
	case <-ctx.Done():
		t.Fatal("not told")
	}
}

// The watermark must pass entries that never reach the machine.
func TestReadsDoNotWaitForEntriesThatAreNoCommands(t *testing.T) {
	members := three(t, ct.NewCA(t), mems(3), nil)
	defer closeAll(t, members)
	ctx := within(t, time.Minute)
	leader := ct.WaitLeader(t, members...)
	if _, err := leader.Group.Propose(ctx, []byte("last")); err != nil {
		t.Fatal(err)
	}
	command := leader.Group.LastIndex()
	// Only memberships, no-ops and barriers from here on.
	if err := leader.Group.AddLearner(ctx, consensus.Server{ID: "z", Addr: "127.0.0.1:1"}); err != nil {
		t.Fatal(err)
	}
	if err := leader.Group.Remove(ctx, "z"); err != nil {
		t.Fatal(err)
	}
	if err := leader.Group.Transfer(ctx, ""); err != nil {
		t.Fatal(err)
	}
	ct.WaitLeader(t, members...)
	for _, m := range members {
		var index uint64
		for {
			var err error
			if index, err = m.Group.ReadIndex(ctx); err == nil {
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
		if index < command+3 {
			t.Errorf("%s reads at %d, the last entries are above %d", m.ID, index, command+2)
		}
		if err := m.Group.WaitApplied(ctx, index); err != nil {
			t.Errorf("%s waits for entries that are no commands: %v", m.ID, err)
		}
		if at := m.Group.Finished(); at < index {
			t.Errorf("%s: finished %d, read at %d", m.ID, at, index)
		}
	}
}

// A command that is committed and not yet applied holds readers back.
func TestReadsWaitForTheMachineToFinish(t *testing.T) {
	m := one(t, ct.NewCA(t), vfs.NewMem())
	defer mustClose(t, m)
	ct.WaitLeader(t, m)
	ctx := within(t, time.Minute)
	entered, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	m.Ledger.Gate = func() { once.Do(func() { close(entered); <-open }) }
	done := make(chan error, 1)
	go func() {
		_, err := m.Group.Propose(ctx, []byte("slow"))
		done <- err
	}()
	<-entered
	index, err := m.Group.ReadIndex(ctx)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
	defer cancel()
	if err := m.Group.WaitApplied(short, index); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a read did not wait for the machine: %v", err)
	}
	close(open)
	if err := m.Group.WaitApplied(ctx, index); err != nil {
		t.Fatal(err)
	}
	if m.Ledger.Count("slow") != 1 {
		t.Error("the read shows too little")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A leader cut off from the others must not serve a read.
func TestALeaderWithoutAQuorumDoesNotRead(t *testing.T) {
	members := three(t, ct.NewCA(t), mems(3), nil)
	leader := ct.WaitLeader(t, members...)
	defer mustClose(t, leader)
	for _, m := range members {
		if m != leader {
			mustClose(t, m)
		}
	}
	ctx := within(t, time.Minute)
	if _, err := leader.Group.ReadIndex(ctx); err == nil {
		t.Error("it read without a quorum")
	}
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := leader.Group.Propose(short, []byte("x")); err == nil {
		t.Error("it committed without a quorum")
	}
}

func TestAProposalTooLongIsInvalid(t *testing.T) {
	m := one(t, ct.NewCA(t), vfs.NewMem())
	defer mustClose(t, m)
	ct.WaitLeader(t, m)
	if _, err := m.Group.Propose(context.Background(), make([]byte, consensus.MaxEntry+1)); err == nil {
		t.Error("accepted")
	}
}

func TestManyGroupsShareANode(t *testing.T) {
	ca, mem := ct.NewCA(t), vfs.NewMem()
	m, err := single(t, ca, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := within(t, time.Minute)
	var ledgers []*ct.Ledger
	var members []*ct.Member
	for i := range 4 {
		l, err := ct.OpenLedger(mem, fmt.Sprintf("/data/cell%d", i))
		if err != nil {
			t.Fatal(err)
		}
		g, err := m.Node.Start(consensus.GroupConfig{
			Name: fmt.Sprintf("cell-%d", i), Machine: l, Bootstrap: []consensus.Server{{ID: "a", Addr: "127.0.0.1:1"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ledgers = append(ledgers, l)
		members = append(members, &ct.Member{ID: "a", Node: m.Node, Group: g, Ledger: l})
	}
	if _, err := m.Node.Start(consensus.GroupConfig{Name: "cell-1", Machine: ledgers[1]}); err == nil {
		t.Error("a group was started twice")
	}
	for i, c := range members {
		ct.WaitLeader(t, c)
		if _, err := c.Group.Propose(ctx, fmt.Appendf(nil, "only %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range members {
		if all := c.Ledger.All(); len(all) != 1 || all[fmt.Sprintf("only %d", i)] != 1 {
			t.Errorf("group %d has %v", i, all)
		}
	}
	if err := members[2].Group.Close(); err != nil {
		t.Error(err)
	}
	mustClose(t, m)
	for _, l := range ledgers {
		mustClose(t, l)
	}
}
