package consensus_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
)

// TestACallEndsWhenItsLeaderIsReplaced: the leader hangs, as a stopped process does, and
// its connections stay. A call that waits for it ends when another member leads.
func TestACallEndsWhenItsLeaderIsReplaced(t *testing.T) {
	ca := ct.NewCA(t)
	l := ct.Listen(t, "")
	a, err := ca.Open(ct.Setup{
		FS: vfs.NewMem(), ID: "a", Listener: l,
		Bootstrap: []consensus.Server{{ID: "a", Addr: l.Addr().String()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, a)
	b, err := ca.Open(ct.Setup{FS: vfs.NewMem(), ID: "b"})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	c, err := ca.Open(ct.Setup{FS: vfs.NewMem(), ID: "c"})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, c)
	ctx := within(t, time.Minute)
	ct.WaitLeader(t, a)
	for _, m := range []*ct.Member{b, c} {
		if err := errors.Join(a.Group.AddLearner(ctx, consensus.Server{ID: m.ID, Addr: m.Node.Addr()}),
			a.Group.AddVoter(ctx, consensus.Server{ID: m.ID, Addr: m.Node.Addr()})); err != nil {
			t.Fatal(err)
		}
		if err := m.Group.WaitApplied(ctx, a.Group.CommitIndex()); err != nil {
			t.Fatal(err)
		}
	}
	asked, free := make(chan struct{}, 1), make(chan struct{})
	defer close(free)
	a.Node.Handle("hang", func(context.Context, string, []byte) ([]byte, error) {
		asked <- struct{}{}
		<-free
		return nil, nil
	})
	done := make(chan error, 1)
	go func() { _, err := b.Group.CallLeader(ctx, "hang", nil); done <- err }()
	<-asked
	if err := a.Group.Transfer(ctx, "c"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := <-done; !errors.Is(err, consensus.ErrReplaced) || !errors.Is(err, consensus.ErrUnknown) {
		t.Fatalf("%v", err)
	}
	if took := time.Since(began); took > 10*time.Second { // ten times the promise
		t.Fatalf("it ended %v after leadership was lost", took)
	}
}
