package lab

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
)

// TestAStoppedLeaderHandsOver: with timing ci an election takes a second and more; a
// leader that is asked to stop leaves no such gap.
func TestAStoppedLeaderHandsOver(t *testing.T) {
	c := start(t, Options{Controls: 3, Edges: 0})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	leader := c.Leader(ctx)
	if leader == nil {
		t.Fatal("nobody leads")
	}
	var other *Proc
	for _, p := range c.Controls {
		if p != leader {
			other = p
		}
	}
	conn := dial(t, c, other)
	if err := writeUntil(ctx, c, conn, "before", "x"); err != nil {
		t.Fatal(err)
	}
	leader.Signal(syscall.SIGTERM)
	begin := time.Now()
	if err := writeUntil(ctx, c, conn, "after", "x"); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	t.Logf("a write went through %v after the leader was asked to stop", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("writes stood still for %v", took)
	}
	leader.wait(10 * time.Second)
	if leader.Running() {
		t.Error("the leader did not end")
	}
}

// TestAFrozenLeaderHoldsNoWrite: a leader that is stopped by a signal answers nobody and keeps
// its connections. A single write that a follower forwarded to it ends when another one
// leads, acknowledged or refused; and the old leader follows when it goes on.
func TestAFrozenLeaderHoldsNoWrite(t *testing.T) {
	c := start(t, Options{Controls: 3, Edges: 0})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	leader := c.Leader(ctx)
	if leader == nil {
		t.Fatal("nobody leads")
	}
	other := c.Controls[0]
	if other == leader {
		other = c.Controls[1]
	}
	conn := dial(t, c, other, grpc.WithDisableRetry())
	if err := writeUntil(ctx, c, conn, "before", "x"); err != nil {
		t.Fatal(err)
	}
	leader.Signal(syscall.SIGSTOP)
	defer leader.Signal(syscall.SIGCONT)
	begin := time.Now()
	err := create(c.As(ctx, org), conn, "during", "x", "request-during")
	t.Logf("a write to a follower ended %v after its leader was frozen: %v", time.Since(begin).Round(time.Millisecond),
		err)
	if took := time.Since(begin); took > 10*frozenTime {
		t.Errorf("it was held for %v", took)
	}
	if code := status.Code(err); code != codes.OK && code != codes.Unavailable {
		t.Errorf("it ended with %v", err)
	}
	if err := writeUntil(ctx, c, conn, "during", "x"); err != nil {
		t.Fatal(err)
	}
	t.Logf("it was acknowledged after %v", time.Since(begin).Round(time.Millisecond))
	leader.Signal(syscall.SIGCONT)
	records := dnsgrpc.NewRecordSetServiceClient(patient(t, c, leader))
	for _, owner := range []string{"before", "during"} {
		r, err := records.GetRecordSet(c.As(ctx, org), &dnsv1.GetRecordSetRequest{Name: txt(owner, "").Name})
		if err != nil || len(r.GetSpec().GetRecords()) != 1 {
			t.Errorf("%s at the old leader: %v, %v", owner, r, err)
		}
	}
}

// TestACutOffControlNodeBelievesNoKey: without a leader a control node cannot know which keys
// were ended. It refuses them, at a pinned revision too, and ends what they watch; its socket
// goes on.
func TestACutOffControlNodeBelievesNoKey(t *testing.T) {
	c := start(t, Options{Controls: 3, Edges: 0})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	alone := c.Controls[0]
	conn := dial(t, c, alone, grpc.WithDisableRetry())
	if err := writeUntil(ctx, c, conn, "kept", "x"); err != nil {
		t.Fatal(err)
	}
	api := dnsgrpc.NewRecordSetServiceClient(conn)
	pinned := &dnsv1.GetRecordSetRequest{Name: txt("kept", "").Name, Stale: true}
	if _, err := api.GetRecordSet(c.As(ctx, org), pinned); err != nil {
		t.Fatal(err)
	}
	watch, err := resourcegrpc.NewResourceServiceClient(conn).Watch(c.As(ctx, org), &resourcev1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := watch.Recv(); err != nil {
				ended <- err
				return
			}
		}
	}()
	c.Controls[1].Kill()
	c.Controls[2].Kill()
	begin := time.Now()
	if err := <-ended; status.Code(err) != codes.Unavailable {
		t.Errorf("the watch ended with %v", err)
	}
	t.Logf("the watch ended after %v", time.Since(begin).Round(time.Millisecond))
	if err := c.until(ctx, "a key is refused", func() bool {
		_, err := api.GetRecordSet(c.As(ctx, org), pinned)
		return status.Code(err) == codes.Unavailable
	}); err != nil {
		t.Fatal(err)
	}
	socket, err := grpc.NewClient("unix://"+filepath.Join(alone.dir, "control.sock"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	members, err := clustergrpc.NewClusterServiceClient(socket).ListMembers(ctx, &clusterv1.ListMembersRequest{})
	if err != nil || len(members.Members) != 3 {
		t.Errorf("the socket: %v, %v", members, err)
	}
}

// frozenTime is the most that a forwarded write waits for a leader that answers no more:
// an election, and what a follower takes to see it.
const frozenTime = 3 * time.Second

// TestADeadMemberIsReplaced: what is lost for good is removed, and a new machine takes its
// place by a token, with all that was written.
func TestADeadMemberIsReplaced(t *testing.T) {
	c := start(t, Options{Controls: 3, Edges: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	conn := patient(t, c, c.Controls[0])
	api := clustergrpc.NewClusterServiceClient(conn)
	if err := writeUntil(ctx, c, conn, "old", "kept"); err != nil {
		t.Fatal(err)
	}
	dead := c.Controls[2]
	dead.Kill()
	if err := os.RemoveAll(dead.dir); err != nil {
		t.Fatal(err)
	}
	members, err := api.ListMembers(c.As(ctx, ""), &clusterv1.ListMembersRequest{})
	if err != nil || len(members.Members) != 3 {
		t.Fatalf("%v, %v", members, err)
	}
	if err := c.until(ctx, "the dead member is removed", func() bool {
		_, err = api.RemoveMember(c.As(ctx, ""), &clusterv1.RemoveMemberRequest{
			Name:   dead.Name,
			Reason: "its disk died",
		})
		return err == nil
	}); err != nil {
		t.Fatal(err)
	}
	token, err := api.CreateJoinToken(c.As(ctx, ""), &clusterv1.CreateJoinTokenRequest{
		Node: "c4", Role: "control",
		Hosts: []string{dead.Addr},
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh := c.proc("c4", dead.Addr)
	fresh.args = []string{
		"control", "--dir", filepath.Join(c.o.Dir, "c4"), "--transport", fresh.Addr + ":7001", "--feed",
		fresh.Addr + ":7002",
		"--api", fresh.Addr + ":8080", "--timing", c.o.Timing, "--log", "warn",
	}
	c.Controls[2] = fresh
	if err := fresh.Start("--join", token.Token, "--through", c.Controls[0].Addr+":8080"); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	// The new member decides with one of the two old ones when the other is dead.
	c.Controls[1].Kill()
	newConn := dial(t, c, fresh)
	if err := writeUntil(ctx, c, newConn, "new", "through c4"); err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[string]string{"old": "kept", "new": "through c4"} {
		reaches(t, c, c.Edges[0], owner, want)
	}
}
