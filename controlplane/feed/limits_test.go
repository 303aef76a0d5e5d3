package feed_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// peer speaks the protocol by hand.
type peer struct {
	t    testing.TB
	conn *tls.Conn
}

func (w *world) peer(t testing.TB, node string, h *feedv1.Hello) *peer {
	t.Helper()
	cfg, err := w.clientTLS(node)()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", w.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := &peer{t, conn}
	if h == nil {
		h = &feedv1.Hello{Cluster: w.src.cluster}
	}
	p.send(&feedv1.Up{Message: &feedv1.Up_Hello{Hello: h}})
	return p
}

func (p *peer) send(up *feedv1.Up) {
	p.t.Helper()
	if _, err := frame.WriteMsg(p.conn, nil, up); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) ack(revision uint64) {
	p.t.Helper()
	p.send(&feedv1.Up{Message: &feedv1.Up_Ack{Ack: &feedv1.Ack{Revision: revision}}})
}

// read returns the next message; nil when there is none within a time.
func (p *peer) read(within time.Duration) *feedv1.Down {
	p.conn.SetReadDeadline(time.Now().Add(within))
	msg, err := frame.ReadMsg(p.conn, nil, frame.MaxHello)
	if err != nil {
		return nil
	}
	down := &feedv1.Down{}
	if err := proto.Unmarshal(msg, down); err != nil {
		p.t.Fatal(err)
	}
	return down
}

// until reads until a Progress of a revision, and returns the frames before it.
func (p *peer) until(revision uint64) (frames int) {
	p.t.Helper()
	for {
		down := p.read(5 * time.Second)
		if down == nil {
			p.t.Fatalf("no progress to revision %d", revision)
		}
		if down.GetFrame() != nil {
			frames++
		}
		if down.GetProgress().GetRevision() >= revision {
			return frames
		}
	}
}

func TestSnapshotsAreLimited(t *testing.T) {
	src := newSource(t, "org/acme")
	src.publish(t, "org/acme", set("a", "1"))
	gate := make(chan struct{})
	src.inSnapshot = func(string) { <-gate }
	w := start(t, src, func(o *feed.Options) { o.RetryAfter = 123 * time.Millisecond })
	anew := &feedv1.Hello{Cluster: "test", Positions: []*feedv1.Position{{Stream: "org/acme"}}}
	var peers []*peer
	for i := range 32 {
		peers = append(peers, w.peer(t, fmt.Sprint("edge", i), anew))
	}
	for _, p := range peers {
		if p.read(5*time.Second).GetWelcome() == nil {
			t.Fatal("no Welcome")
		}
	}
	eventually(t, "one too many is told to come later", func() bool {
		p := w.peer(t, "edge33", anew)
		if p.read(5*time.Second).GetWelcome() == nil {
			t.Fatal("no Welcome")
		}
		b := p.read(5 * time.Second).GetBehind()
		return b.GetReason() == "busy" && b.GetRetryAfterMs() == 123
	})
	close(gate)
	for _, p := range peers {
		if n := p.until(1); n != 1 {
			t.Fatalf("%d frames", n)
		}
	}
	last := w.peer(t, "edge33", anew)
	if n := last.until(1); n != 1 {
		t.Fatalf("the one told to come later got %d frames", n)
	}
}

// A new stream reaches all edges at the same moment, and is no reason for snapshots.
func TestANewStreamNeedsNoSnapshots(t *testing.T) {
	src := newSource(t, "system")
	rev := src.publish(t, "system", set("s", "1"))
	w := start(t, src, func(o *feed.Options) { o.Snapshots = 1 })
	var peers []*peer
	for i := range 20 {
		p := w.peer(t, fmt.Sprint("edge", i), nil)
		p.until(rev)
		peers = append(peers, p)
	}
	src.subscribe("*", "system", "org/new")
	rev = src.publish(t, "org/new", set("a", "1"))
	for _, p := range peers {
		if n := p.until(rev); n != 1 {
			t.Fatalf("%d frames", n)
		}
	}
	if c := w.srv.Counters(); c.SnapshotsSent != 0 || c.TurnedAway != 0 {
		t.Fatalf("%+v", c)
	}
}

// The canary gets a change at once, the others on its ack, deny entries at once, and
// without an ack the others wait no longer than the limit.
func TestTheCanaryGoesFirst(t *testing.T) {
	src := newSource(t, "org/acme")
	rev := src.publish(t, "org/acme", set("a", "1"))
	w := start(t, src, func(o *feed.Options) { o.Canary = time.Minute })
	canary := w.peer(t, "edge1", nil)
	canary.until(rev)
	canary.ack(rev)
	others := []*peer{w.peer(t, "edge2", nil), w.peer(t, "edge3", nil)}
	for _, p := range others {
		p.until(rev)
		p.ack(rev)
	}
	rev = src.publish(t, "org/acme", set("a", "2"))
	canary.until(rev)
	for _, p := range others {
		if m := p.read(50 * time.Millisecond); m != nil {
			t.Fatalf("before the canary's ack: %v", m)
		}
	}
}

func TestOthersFollowTheCanarysAck(t *testing.T) {
	src := newSource(t, "org/acme")
	rev := src.publish(t, "org/acme", set("a", "1"))
	w := start(t, src, func(o *feed.Options) { o.Canary = time.Minute })
	canary := w.peer(t, "edge1", nil)
	canary.until(rev)
	canary.ack(rev)
	other := w.peer(t, "edge2", nil)
	other.until(rev)
	for range 5 {
		rev = src.publish(t, "org/acme", set("a", "x"))
		canary.until(rev)
		canary.ack(rev)
		other.until(rev)
	}
	// What is denied waits for nobody, and neither does what was before it.
	src.publish(t, "org/acme", set("a", "y"))
	other.until(src.publish(t, "org/acme", deny("key:1")))
	// A canary that goes holds nobody up.
	rev = src.publish(t, "org/acme", set("a", "z"))
	canary.conn.Close()
	other.until(rev)
}

func TestADeadCanaryHoldsOthersUpForTheLimitOnly(t *testing.T) {
	src := newSource(t, "org/acme")
	rev := src.publish(t, "org/acme", set("a", "1"))
	w := start(t, src, func(o *feed.Options) { o.Canary = 30 * time.Millisecond })
	w.peer(t, "edge1", nil).until(rev)
	other := w.peer(t, "edge2", nil)
	other.until(rev)
	for range 3 {
		other.until(src.publish(t, "org/acme", set("a", "x")))
	}
}

// A slow edge is set back to its revision and costs no more than the ring; it ends up
// with everything.
func TestASlowEdgeIsSetBack(t *testing.T) {
	src := newSource(t, "org/acme")
	src.publish(t, "org/acme", set("first", "1"))
	w := start(t, src, func(o *feed.Options) { o.RingBytes, o.RingFrames = 64<<10, 32 })
	var hold sync.WaitGroup
	hold.Add(1)
	slow := w.edge("slow", vfs.NewMem(), func(_ *config.Options, r *records) {
		r.before = func(rev uint64) {
			if rev > 1 {
				hold.Wait()
			}
		}
	})
	slow.reach(t, 1)
	var rev uint64
	big := strings.Repeat("x", 256<<10)
	for i := range 48 { // 12 MiB: more than all buffers of the connection
		rev = src.publish(t, "org/acme", set(fmt.Sprint("k", i), big))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	quick := w.edge("quick", vfs.NewMem(), nil)
	quick.reach(t, rev)
	if err := w.srv.WaitNode(ctx, "quick", rev); err != nil {
		t.Fatal(err)
	}
	hold.Done()
	slow.reach(t, rev)
	if c := w.srv.Counters(); c.SetBacks == 0 {
		t.Fatalf("%+v: never set back", c)
	}
	if len(slow.all()) != 49 || len(slow.RefusedFrames()) != 0 {
		t.Fatalf("%d records, refused %v", len(slow.all()), slow.RefusedFrames())
	}
}

func TestStrangersAndOtherClustersAreTurnedAway(t *testing.T) {
	src := newSource(t, "org/acme")
	src.publish(t, "org/acme", set("a", "1"))
	w := start(t, src, nil)
	for reason, h := range map[string]*feedv1.Hello{
		"cluster": {Cluster: "elsewhere"},
		"epoch":   {Cluster: "test", Epoch: 2},
		"behind":  {Cluster: "test", Epoch: 1, Positions: []*feedv1.Position{{Stream: "org/acme", Revision: 9}}},
	} {
		if b := w.peer(t, "edge1", h).read(5 * time.Second).GetBehind(); b.GetReason() != reason ||
			b.GetRevision() != 1 || b.GetRetryAfterMs() == 0 {
			t.Errorf("%s: %v", reason, b)
		}
	}
	if b := w.peer(t, "edge1", &feedv1.Hello{
		Cluster:  "test",
		Revision: 9,
	}).read(5 * time.Second).GetBehind(); b.GetReason() != "behind" {
		t.Errorf("a view ahead of ours: %v", b)
	}
	other := newAuthority(t)
	cert := other.issue(t, "edge1", time.Now().Add(-time.Hour))
	conn, err := tls.Dial("tcp", w.addr, &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: w.ca.pool})
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	if err == nil {
		t.Error("a certificate of another CA was taken")
	}
}

// Resume goes back in a stream, also to its beginning.
func TestResume(t *testing.T) {
	src := newSource(t, "org/acme")
	src.publish(t, "org/acme", set("a", "1"))
	src.publish(t, "org/acme", set("a", "2"))
	w := start(t, src, nil)
	p := w.peer(t, "edge1", nil)
	p.until(2)
	first := src.streams["org/acme"].frames[0]
	for _, pos := range []*feedv1.Position{
		{Stream: "org/acme", Revision: 1, Hash: first.Hash, Last: true},
		{Stream: "org/acme"},
	} {
		p.send(&feedv1.Up{Message: &feedv1.Up_Resume{Resume: &feedv1.Resume{Position: pos}}})
		if n := p.until(2); n != 1 {
			t.Errorf("from %v: %d frames", pos, n)
		}
	}
	if c := w.srv.Counters(); c.SnapshotsSent != 1 {
		t.Errorf("%+v", c)
	}
}

// TestSilentStrangersKeepNoEdgeOut: they hold no place of an edge, and displace each other.
func TestSilentStrangersKeepNoEdgeOut(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, func(o *feed.Options) { o.Connections, o.Strangers, o.PerSource = 1, 8, 4 })
	for range 20 {
		c, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
	}
	begin := time.Now()
	e := w.edge("edge1", vfs.NewMem(), nil)
	e.reach(t, src.publish(t, "org/acme", set("a", "1")))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("an edge had its place after %v", took)
	}
}

// TestARecheckEndsTheConnectionsOfWhoWasRemoved, and of nobody else.
func TestARecheckEndsTheConnectionsOfWhoWasRemoved(t *testing.T) {
	src := newSource(t, "org/acme")
	var removed atomic.Bool
	w := start(t, src, func(o *feed.Options) {
		o.Identify = func(c *x509.Certificate) (string, error) {
			if removed.Load() && c.Subject.CommonName == "edge1" {
				return "", errors.New("removed")
			}
			return c.Subject.CommonName, nil
		}
	})
	gone, stays := w.edge("edge1", vfs.NewMem(), nil), w.edge("edge2", vfs.NewMem(), nil)
	rev := src.publish(t, "org/acme", set("a", "1"))
	gone.reach(t, rev)
	stays.reach(t, rev)
	before := w.srv.Counters().Connections
	removed.Store(true)
	w.srv.Recheck(map[string]bool{"edge1": true})
	eventually(t, "the removed edge is disconnected", func() bool { return !w.srv.Status()["edge1"].Connected })
	stays.reach(t, src.publish(t, "org/acme", set("a", "2")))
	if gone.get("org/acme", "a") != "1" || w.srv.Counters().Connections != before {
		t.Errorf("the removed edge has %q, after %d more connections", gone.get("org/acme", "a"),
			w.srv.Counters().Connections-before)
	}
}

// TestOneEdgeHasAFewPlaces: with one certificate every place was taken, and no other edge heard
// of anything. Its oldest connections end, which may be dead ones.
func TestOneEdgeHasAFewPlaces(t *testing.T) {
	src := newSource(t, "org/acme")
	rev := src.publish(t, "org/acme", set("a", "1"))
	w := start(t, src, func(o *feed.Options) { o.Connections, o.PerNode = 6, 4 })
	var greedy []*peer
	for range 12 {
		p := w.peer(t, "edge1", nil)
		p.until(rev)
		greedy = append(greedy, p)
	}
	w.peer(t, "edge2", nil).until(rev)
	rev = src.publish(t, "org/acme", set("a", "2"))
	for _, p := range greedy[8:] {
		p.until(rev)
	}
	for i, p := range greedy[:8] {
		for m := p.read(time.Minute); m != nil; m = p.read(time.Minute) {
			if m.GetProgress().GetRevision() >= rev {
				t.Fatalf("connection %d of edge1 goes on", i)
			}
		}
	}
}

// TestWhatAnEdgeSaysOfItselfIsBounded: it is kept.
func TestWhatAnEdgeSaysOfItselfIsBounded(t *testing.T) {
	src := newSource(t, "org/acme")
	rev := src.publish(t, "org/acme", set("a", "1"))
	w := start(t, src, nil)
	w.peer(t, "edge1", &feedv1.Hello{Cluster: "test", Kinds: []string{strings.Repeat("k", 1<<10)}}).until(rev)
	big := &feedv1.Hello{Cluster: "test", Kinds: []string{strings.Repeat("k", 1<<17)}}
	if m := w.peer(t, "edge2", big).read(time.Minute); m != nil {
		t.Errorf("a Hello with kinds of 128 KiB was answered: %v", m)
	}
}
