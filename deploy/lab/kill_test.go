package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	"github.com/dark-ecosystem/dark/proto/dark/resource/v1/resourcegrpc"
)

const (
	killRounds = 30
	writers    = 16
)

// ledger is what was acknowledged; it lives in this process, which nobody kills.
type ledger struct {
	mu struct {
		sync.Mutex
		acked map[string]string // owner → text
	}
	inFlight atomic.Int64
}

// write writes until ctx ends: each record has its own name and request id and is tried
// again under that id while the outcome is not known.
func (l *ledger) write(ctx context.Context, c *Cluster, conns []*grpc.ClientConn, writer int) {
	for n := 0; ctx.Err() == nil; n++ {
		owner, text := fmt.Sprintf("w%d-%d", writer, n), fmt.Sprintf("value %d of %d", n, writer)
		for try := 0; ctx.Err() == nil; try++ {
			l.inFlight.Add(1)
			wctx, cancel := context.WithTimeout(ctx, 15*time.Second)
			err := create(c.As(wctx, org), conns[(writer+try)%len(conns)], owner, text, "id-"+owner)
			cancel()
			l.inFlight.Add(-1)
			if err == nil {
				l.mu.Lock()
				l.mu.acked[owner] = text
				l.mu.Unlock()
				break
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func TestKilledProcessesLoseNoAcknowledgedWrite(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	c := start(t, Options{Controls: 3, Edges: 2, Timing: "lan"})
	conns := []*grpc.ClientConn{dial(t, c, c.Controls[0]), dial(t, c, c.Controls[1]), dial(t, c, c.Controls[2])}
	l := &ledger{}
	l.mu.acked = map[string]string{}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() { l.write(ctx, c, conns, w) })
	}
	busy, died := 0, map[string]int{}
	for round := range killRounds {
		select {
		case <-time.After(time.Duration(50+rnd.IntN(400)) * time.Millisecond):
		case <-ctx.Done():
		}
		victim, role := choose(t, c, rnd, round)
		// After an outage many writers pause before they try again; a kill then proves little.
		kctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		_ = c.until(kctx, "writes are in flight", func() bool { return l.inFlight.Load() >= 8 }) // counted below
		cancel()
		if l.inFlight.Load() >= 8 {
			busy++
		}
		victim.Kill()
		died[role]++
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	all.Wait()
	ready, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitReady(ready); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d kills, %d with at least 8 writes in flight; died: %v; %d writes acknowledged", killRounds, busy, died,
		len(l.mu.acked))
	if busy < killRounds*9/10 {
		t.Errorf("only %d of %d kills hit with writes in flight", busy, killRounds)
	}
	if died["leader"] < 5 {
		t.Errorf("only %d leaders died", died["leader"])
	}
	for _, p := range c.Controls {
		l.compare(t, c, patient(t, c, p), p.Name)
	}
	l.compareEdges(t, c)
}

// choose takes leaders, followers and edges in turn.
func choose(t *testing.T, c *Cluster, rnd *rand.Rand, round int) (*Proc, string) {
	t.Helper()
	if round%3 == 2 {
		return c.Edges[rnd.IntN(len(c.Edges))], "edge"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var leader *Proc
	if err := c.until(ctx, "somebody leads", func() bool { leader = c.Leader(ctx); return leader != nil }); err != nil {
		t.Fatal(err)
	}
	if round%3 == 0 {
		return leader, "leader"
	}
	for {
		if p := c.Controls[rnd.IntN(len(c.Controls))]; p != leader {
			return p, "follower"
		}
	}
}

// compare reads the whole zone from one member and compares it with the ledger.
func (l *ledger) compare(t *testing.T, c *Cluster, conn *grpc.ClientConn, name string) {
	t.Helper()
	got := map[string]string{}
	for token, first := "", true; first || token != ""; first = false {
		r, err := dnsgrpc.NewRecordSetServiceClient(conn).ListRecordSets(c.As(t.Context(), org),
			&dnsv1.ListRecordSetsRequest{Parent: "zones/" + apex, PageSize: 1000, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.RecordSets {
			owner := strings.Split(s.Name, "/")[3]
			if _, twice := got[owner]; twice {
				t.Errorf("%s has %s twice", name, owner)
			}
			got[owner] = strings.Trim(s.Spec.Records[0], `"`)
		}
		token = r.NextPageToken
	}
	missing := 0
	for owner, text := range l.mu.acked {
		if got[owner] != text {
			missing++
		}
	}
	if missing > 0 {
		t.Errorf("%s lost %d of %d acknowledged writes", name, missing, len(l.mu.acked))
	}
	// A write that happened twice would have left two versions.
	checked := 0
	for owner := range l.mu.acked {
		if checked++; checked > 200 {
			break
		}
		h, err := resourcegrpc.NewResourceServiceClient(conn).GetHistory(c.As(t.Context(), org),
			&resourcev1.GetHistoryRequest{Kind: "RecordSet", Name: apex + "/" + owner + "/TXT"})
		if err != nil {
			t.Fatal(err)
		}
		if len(h.Entries) != 1 {
			t.Errorf("%s has %d versions of %s, written once", name, len(h.Entries), owner)
		}
	}
	v, err := resourcegrpc.NewResourceServiceClient(conn).VerifyAudit(c.As(t.Context(), ""),
		&resourcev1.VerifyAuditRequest{})
	if err != nil || !v.Ok {
		t.Errorf("%s: audit chain %v, %v", name, v, err)
	}
}

func (l *ledger) compareEdges(t *testing.T, c *Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := writeUntil(ctx, c, patient(t, c, c.Controls[0]), "last", "last"); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Edges {
		reaches(t, c, e, "last", "last")
		for owner, text := range l.mu.acked {
			if got, err := ask(ctx, e, owner); err != nil || got != text {
				t.Errorf("%s answers %q, %v for %s, acknowledged with %q", e.Name, got, err, owner, text)
				break
			}
		}
	}
}
