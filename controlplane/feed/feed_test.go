package feed_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
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

func TestAChangeReachesTheEdge(t *testing.T) {
	src := newSource(t, "system", "org/acme")
	src.publish(t, "org/acme", set("a", "1"))
	w := start(t, src, nil)
	e := w.edge("edge1", vfs.NewMem(), nil)
	e.reach(t, 1)
	if got := e.get("org/acme", "a"); got != "1" {
		t.Fatalf("from the snapshot: %q", got)
	}
	rev := src.publish(t, "org/acme", set("b", "2"), end("a"))
	e.reach(t, rev)
	if e.get("org/acme", "a") != "" || e.get("org/acme", "b") != "2" {
		t.Fatalf("after a frame of two parts: %v", e.all())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.srv.WaitNode(ctx, "edge1", rev); err != nil {
		t.Fatal(err)
	}
	if st := w.srv.Status()["edge1"]; !st.Connected || st.Revision != rev || st.LastContact.IsZero() {
		t.Fatalf("status %+v", st)
	}
	if len(e.RefusedFrames()) != 0 {
		t.Fatalf("refused %v", e.RefusedFrames())
	}
}

func TestPrefixDeletionsReachTheEdge(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, nil)
	e := w.edge("edge1", vfs.NewMem(), nil)
	src.publish(t, "org/acme", append(append(set("z/1", "1"), set("z/2", "2")...), set("y", "3")...))
	rev := src.publish(t, "org/acme", []*feedv1.Item{{Kind: "test.Record", Name: "z/", Lane: 1, Prefix: true}})
	e.reach(t, rev)
	if all := e.all(); len(all) != 1 || e.get("org/acme", "y") != "3" {
		t.Fatalf("left: %v", all)
	}
}

func TestResumeAfterAnInterruption(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, nil)
	fs := vfs.NewMem()
	e := w.edge("edge1", fs, nil)
	src.publish(t, "org/acme", set("a", "1"))
	e.reach(t, 1)
	w.stop()
	for i := range 20 {
		src.publish(t, "org/acme", set(fmt.Sprint("k", i), "v"))
	}
	w.serve(nil)
	e.reach(t, 21)
	if n := len(e.all()); n != 21 {
		t.Fatalf("%d records, want 21", n)
	}
	if c := w.srv.Counters(); c.SnapshotsSent != 0 || c.FramesSent != 20 {
		t.Fatalf("resumed with %+v, want 20 frames and no snapshot", c)
	}
}

func TestFramesNoLongerKeptMeanASnapshot(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, nil)
	fs := vfs.NewMem()
	e := w.edge("edge1", fs, nil)
	src.publish(t, "org/acme", set("a", "1"), set("b", "1"))
	e.reach(t, 1)
	e.stop()
	eventually(t, "disconnected", func() bool { return !w.srv.Status()["edge1"].Connected })
	before := w.srv.Counters().SnapshotsSent // one, should the edge have come after the first frame
	src.publish(t, "org/acme", end("a"))
	src.publish(t, "org/acme", set("b", "2"), set("c", "3"))
	rev := src.publish(t, "org/acme", set("d", "4"))
	src.compact("org/acme")
	e = w.edge("edge1", fs, nil)
	e.reach(t, rev)
	want := map[string]string{
		"org/acme test.Record b": "2", "org/acme test.Record c": "3",
		"org/acme test.Record d": "4",
	}
	if got := e.all(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if c := w.srv.Counters(); c.SnapshotsSent != before+1 {
		t.Fatalf("%+v, want 1 snapshot more than %d", c, before)
	}
}

func TestAnEdgeAheadIsToldBehindAndKeepsItsView(t *testing.T) {
	ahead := newSource(t, "org/acme")
	w := start(t, ahead, nil)
	e := w.edge("edge1", vfs.NewMem(), nil)
	ahead.publish(t, "org/acme", set("a", "1"))
	ahead.publish(t, "org/acme", set("a", "2"))
	e.reach(t, 2)
	w.stop()
	// The same cluster, restored to a revision before: a member that lags looks so.
	lagging := newSource(t, "org/acme")
	lagging.key = ahead.key
	lagging.publish(t, "org/acme", set("a", "1"))
	w.src = lagging
	w.serve(func(o *feed.Options) { o.RetryAfter = 20 * time.Millisecond })
	eventually(t, "turned away", func() bool { return w.srv.Counters().TurnedAway > 2 })
	if e.get("org/acme", "a") != "2" || e.Config.Revision() != 2 {
		t.Fatalf("the edge went back: %v at %d", e.all(), e.Config.Revision())
	}
	if w.srv.Counters().SnapshotsSent != 0 {
		t.Fatal("an older snapshot was sent")
	}
}

func TestStreamsComeAndGo(t *testing.T) {
	src := newSource(t, "system")
	w := start(t, src, nil)
	e := w.edge("edge1", vfs.NewMem(), nil)
	src.publish(t, "org/acme", set("a", "1"))
	src.publish(t, "org/acme", deny("key:1"))
	e.reach(t, 2)
	if len(e.all()) != 0 {
		t.Fatalf("not subscribed, yet has %v", e.all())
	}
	src.subscribe("*", "system", "org/acme")
	e.reach(t, src.publish(t, "system", set("s", "1")))
	if e.get("org/acme", "a") != "1" || !e.Denied("key:1") {
		t.Fatalf("subscribed, has %v", e.all())
	}
	src.subscribe("*", "system")
	e.reach(t, src.publish(t, "system", set("s", "2")))
	if len(e.all()) != 1 || !e.Denied("key:1") {
		t.Fatalf("dropped, has %v, denied %v", e.all(), e.Denied("key:1"))
	}
	src.subscribe("*", "system", "org/acme")
	e.reach(t, src.publish(t, "system", set("s", "3")))
	if e.get("org/acme", "a") != "1" {
		t.Fatalf("subscribed again, has %v", e.all())
	}
}

func TestAnEdgeRestartsWithoutControl(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, nil)
	fs := vfs.NewMem()
	e := w.edge("edge1", fs, nil)
	src.publish(t, "org/acme", set("a", "1"))
	src.publish(t, "org/acme", deny("key:1"))
	e.reach(t, 2)
	e.stop()
	w.stop()
	before := time.Now()
	e = w.edge("edge1", fs, func(o *config.Options, _ *records) { o.Feeds = nil })
	if e.get("org/acme", "a") != "1" || e.Config.Revision() != 2 || !e.Denied("key:1") {
		t.Fatalf("has %v at %d", e.all(), e.Config.Revision())
	}
	if c := e.LastContact(); c.IsZero() || c.After(before) {
		t.Fatalf("last contact %v", c)
	}
}

func TestOverIPv6(t *testing.T) {
	src := newSource(t, "org/acme")
	w := &world{t: t, ca: newAuthority(t), src: src, addr: "[::1]:0"}
	w.serve(nil)
	e := w.edge("edge1", vfs.NewMem(), nil)
	e.reach(t, src.publish(t, "org/acme", set("a", "1")))
}

// An edge finds control nodes that it was only told of, also after a restart.
func TestTheEdgeRemembersOtherControlNodes(t *testing.T) {
	src := newSource(t, "system", "org/acme")
	second := start(t, src, nil)
	address, err := proto.Marshal(&feedv1.FeedAddress{Node: "control2", Address: second.addr})
	if err != nil {
		t.Fatal(err)
	}
	src.publish(t, "system", []*feedv1.Item{{
		Kind: "dark.feed.v1.FeedAddress", Name: "control2", Lane: 1,
		Value: address,
	}})
	first := &world{t: t, ca: second.ca, src: src}
	first.serve(nil)
	fs := vfs.NewMem()
	e := first.edge("edge1", fs, nil)
	e.reach(t, src.publish(t, "org/acme", set("a", "1")))
	first.stop()
	e.reach(t, src.publish(t, "org/acme", set("a", "2")))
	e.stop()
	e = first.edge("edge1", fs, nil) // configured with the address of the dead one only
	e.reach(t, src.publish(t, "org/acme", set("a", "3")))
}

// A member of a newer version may say what this one does not know.
func TestUnknownMessagesAreIgnored(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, nil)
	p := w.peer(t, "edge1", nil)
	p.until(0)
	if _, err := p.conn.Write([]byte{0, 0, 0, 3, 0xfa, 0x3f, 0x00}); err != nil { // field 1023, empty
		t.Fatal(err)
	}
	p.until(src.publish(t, "org/acme", set("a", "1")))
}

// TestAConnectionEndsWithItsCertificate: an edge whose certificate ends while it is connected
// is connected no longer, and is let in nowhere.
func TestAConnectionEndsWithItsCertificate(t *testing.T) {
	w := start(t, newSource(t), nil)
	const life = 1440 * time.Hour // as authority.sign gives it
	cert := w.ca.issue(t, "e1", time.Now().Add(2*time.Second-life))
	conn, err := tls.Dial("tcp", w.addr, &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: w.ca.pool})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := &feedv1.Up{Message: &feedv1.Up_Hello{Hello: &feedv1.Hello{Cluster: w.src.cluster}}}
	if _, err := frame.WriteMsg(conn, nil, hello); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) || n == 0 {
		t.Errorf("%d octets, %v: it was not ended", n, err)
	}
	if left := time.Until(cert.Leaf.NotAfter); left > 0 {
		t.Errorf("it ended %s early", left)
	}
}

// lines is a log that a test reads while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), text)
}

// TestAnEdgeThatIsKeptOutSaysSo: the log of an edge that was removed says why it is not let
// in, and what to do.
func TestAnEdgeThatIsKeptOutSaysSo(t *testing.T) {
	var why atomic.Pointer[error]
	refuse := func(err error) { why.Store(&err) }
	refuse(feed.ErrAway)
	w := start(t, newSource(t), func(o *feed.Options) {
		o.Identify = func(c *x509.Certificate) (string, error) {
			if err := why.Load(); err != nil {
				return "", *err
			}
			return c.Subject.CommonName, nil
		}
	})
	var log lines
	dir := t.TempDir()
	w.edge("e1", vfs.Default, func(o *config.Options, _ *records) {
		o.Dir, o.Log = dir, slog.New(slog.NewTextHandler(&log, nil))
	})
	eventually(t, "the edge was sent elsewhere", func() bool { return log.has(feed.ErrAway.Error()) })
	if log.has("refuses this edge") {
		t.Error("an edge that is well was told to stop")
	}
	noted := func() string {
		text, err := config.Refused(dir)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	refuse(errors.New("it was removed"))
	eventually(t, "the edge said so", func() bool {
		return log.has("a control node refuses this edge") && log.has("it was removed") && noted() == "it was removed"
	})
	why.Store(nil)
	eventually(t, "the edge forgot it when it was let in", func() bool { return noted() == "" })
}

// TestALongHelloHearsItsRefusal: an edge that is kept out hears why though it sends the longest
// Hello first. A connection that were closed over what it sends would end in a reset.
func TestALongHelloHearsItsRefusal(t *testing.T) {
	w := start(t, newSource(t), func(o *feed.Options) {
		o.Identify = func(*x509.Certificate) (string, error) { return "", errors.New("it was removed") }
	})
	cfg, err := w.clientTLS("e1")()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", w.addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := binary.BigEndian.AppendUint32(nil, frame.MaxHello)
	if _, err := conn.Write(append(hello, make([]byte, frame.MaxHello)...)); err != nil {
		t.Fatalf("the Hello is not read: %v", err)
	}
	msg, err := frame.ReadMsg(conn, nil, frame.MaxMessage)
	down := &feedv1.Down{}
	if err != nil || proto.Unmarshal(msg, down) != nil {
		t.Fatalf("no refusal: %v", err)
	}
	if got := down.GetBehind().GetReason(); got != frame.ReasonRefused+"it was removed" {
		t.Errorf("refused with %q", got)
	}
}

// TestASessionEndsWithTheControlNodesCertificate: an edge hears a control node no longer than that
// one's certificate lives, though the connection was opened before.
func TestASessionEndsWithTheControlNodesCertificate(t *testing.T) {
	const life = 1440 * time.Hour // as authority.sign gives it
	var ends time.Time
	w := &world{t: t, ca: newAuthority(t), src: newSource(t, "org/acme")}
	cert := w.ca.issue(t, "control1", time.Now().Add(3*time.Second-life))
	ends = cert.Leaf.NotAfter
	w.serve(func(o *feed.Options) {
		o.TLS = func() *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: w.ca.pool}
		}
	})
	e := w.edge("e1", vfs.NewMem(), nil)
	eventually(t, "the edge was connected", e.Connected)
	eventually(t, "the session ended", func() bool { return !e.Connected() })
	if left := time.Until(ends); left > 0 {
		t.Errorf("it ended %s early", left)
	}
	if n := w.srv.Counters().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
}
