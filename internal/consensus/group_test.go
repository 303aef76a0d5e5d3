package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// one opens a member of a cluster of its own.
func one(t testing.TB, ca *ct.CA, fsys vfs.FS) *ct.Member {
	t.Helper()
	l := ct.Listen(t, "")
	m, err := ca.Open(ct.Setup{
		FS: fsys, ID: "a", Listener: l,
		Bootstrap: []consensus.Server{{ID: "a", Addr: l.Addr().String()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOneMemberKeepsWhatItAcknowledgedAcrossARestart(t *testing.T) {
	ca, fsys := ct.NewCA(t), vfs.NewMem()
	ctx := within(t, time.Minute)
	m := one(t, ca, fsys)
	ct.WaitLeader(t, m)
	for i := range 10 {
		r, err := m.Group.Propose(ctx, fmt.Appendf(nil, "c%d", i))
		if err != nil || r.Value != uint64(1) || r.Index == 0 {
			t.Fatalf("propose: %+v, %v", r, err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m = one(t, ca, fsys)
	defer func() { _ = m.Close() }()
	ct.WaitLeader(t, m)
	if err := m.Group.Read(ctx); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if n := m.Ledger.Count(fmt.Sprintf("c%d", i)); n != 1 {
			t.Errorf("c%d applied %d times", i, n)
		}
	}
}

// three opens a cluster of three on loopback.
func three(t testing.TB, ca *ct.CA, fss []vfs.FS, change func(*consensus.GroupConfig)) []*ct.Member {
	t.Helper()
	setups := make([]ct.Setup, 3)
	var boot []consensus.Server
	for i := range setups {
		l := ct.Listen(t, "")
		id := consensus.ServerID('a' + rune(i))
		setups[i] = ct.Setup{FS: fss[i], ID: id, Listener: l, Change: change}
		boot = append(boot, consensus.Server{ID: id, Addr: l.Addr().String()})
	}
	out := make([]*ct.Member, 3)
	for i, s := range setups {
		s.Bootstrap = boot
		m, err := ca.Open(s)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = m
	}
	return out
}

func mems(n int) []vfs.FS {
	out := make([]vfs.FS, n)
	for i := range out {
		out[i] = vfs.NewMem()
	}
	return out
}

func closeAll(t testing.TB, members []*ct.Member) {
	t.Helper()
	for _, m := range members {
		if m == nil {
			continue
		}
		if err := m.Close(); err != nil {
			t.Errorf("close %s: %v", m.ID, err)
		}
	}
}

// readOn reads when the member knows who leads, which a follower may learn a moment after
// the leader does.
func readOn(t *testing.T, ctx context.Context, m *ct.Member) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := m.Group.Read(ctx)
		var unknown *consensus.NotLeaderError
		if err == nil {
			return
		}
		if !errors.As(err, &unknown) || ctx.Err() != nil {
			t.Fatalf("read on %s: %v", m.ID, err)
		}
		<-tick.C
	}
}

func TestThreeMembersAgreeAndReadOnEachIsCurrent(t *testing.T) {
	members := three(t, ct.NewCA(t), mems(3), nil)
	defer closeAll(t, members)
	leader := ct.WaitLeader(t, members...)
	ctx := within(t, time.Minute)
	for i := range 20 {
		cmd := fmt.Sprintf("c%d", i)
		if _, err := leader.Group.Propose(ctx, []byte(cmd)); err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			readOn(t, ctx, m)
			if n := m.Ledger.Count(cmd); n != 1 {
				t.Fatalf("%s shows %s %d times after a read", m.ID, cmd, n)
			}
		}
	}
}

func TestAFollowerSaysWhoLeads(t *testing.T) {
	members := three(t, ct.NewCA(t), mems(3), nil)
	defer closeAll(t, members)
	leader := ct.WaitLeader(t, members...)
	ctx := within(t, time.Minute)
	for _, m := range members {
		if m == leader {
			continue
		}
		readOn(t, ctx, m) // so that it knows its leader
		_, err := m.Group.Propose(ctx, []byte("x"))
		var nl *consensus.NotLeaderError
		if !errors.As(err, &nl) || nl.Leader != leader.ID || nl.Addr != leader.Node.Addr() ||
			errors.Is(err, consensus.ErrUnknown) {
			t.Errorf("%s: %v", m.ID, err)
		}
	}
}
