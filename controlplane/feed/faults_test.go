package feed_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// hand is between an edge and a control node, with the certificates of both, and does
// what a control node must not: the edge is to notice from the frames alone.
type hand struct {
	w    *world
	addr string
	mu   sync.Mutex
	down func(frame []byte) [][]byte // what becomes of a frame; nil: pass on
}

func newHand(t testing.TB, w *world, node string) *hand {
	t.Helper()
	cert := w.ca.issue(t, "control1", time.Now().Add(-time.Hour))
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: w.ca.pool,
		ClientAuth: tls.RequireAndVerifyClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	h := &hand{w: w, addr: ln.Addr().String()}
	client, err := w.clientTLS(node)()
	if err != nil {
		t.Fatal(err)
	}
	client.ServerName = "127.0.0.1"
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { h.pass(ctx, c, client) })
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		all.Wait()
	})
	return h
}

// pass carries one connection.
func (h *hand) pass(ctx context.Context, edge net.Conn, client *tls.Config) {
	defer edge.Close()
	control, err := tls.Dial("tcp", h.w.addr, client)
	if err != nil {
		return
	}
	defer control.Close()
	stop := context.AfterFunc(ctx, func() { edge.Close(); control.Close() })
	defer stop()
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() {
		defer control.Close()
		defer edge.Close()
		for {
			msg, err := frame.ReadMsg(edge, nil, frame.MaxHello)
			if err != nil || send(control, msg) != nil {
				return
			}
		}
	})
	for {
		msg, err := frame.ReadMsg(control, nil, frame.MaxHello)
		if err != nil {
			edge.Close()
			return
		}
		for _, m := range h.change(msg) {
			if send(edge, m) != nil {
				return
			}
		}
	}
}

func send(c net.Conn, msg []byte) error {
	_, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(msg))), msg...))
	return err
}

func (h *hand) change(msg []byte) [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	data, ok := frame.FrameIn(msg)
	if !ok || h.down == nil {
		return [][]byte{msg}
	}
	var out [][]byte
	for _, d := range h.down(bytes.Clone(data)) {
		out = append(out, frame.AppendFrame(nil, d)[4:])
	}
	return out
}

func (h *hand) set(down func(frame []byte) [][]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = down
}

// once does a fault to the first frame it is given, and passes on all others.
func once(fault func([]byte) [][]byte) func([]byte) [][]byte {
	done := false
	return func(f []byte) [][]byte {
		if done {
			return [][]byte{f}
		}
		done = true
		return fault(f)
	}
}

// sealed makes a frame that claims to be the next of org/acme.
func sealed(t testing.TB, key ed25519.PrivateKey, after []byte, edit func(*feedv1.Frame)) []byte {
	t.Helper()
	outer := &feedv1.SignedFrame{}
	f := &feedv1.Frame{}
	if err := proto.Unmarshal(after, outer); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(outer.GetFrame(), f); err != nil {
		t.Fatal(err)
	}
	edit(f)
	data, _, err := frame.Seal(key, f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Each fault is noticed and counted by its own name; the edge keeps its view, resumes,
// and ends where it would have been.
func TestFaultyFramesAreRefusedAndResumed(t *testing.T) {
	_, stranger, _ := ed25519.GenerateKey(nil)
	_, retired, _ := ed25519.GenerateKey(nil)
	tests := []struct {
		reason string
		fault  func(t *testing.T, src *source, f []byte) [][]byte
	}{
		{"bad_signature", func(_ *testing.T, _ *source, f []byte) [][]byte { f[12] ^= 1; return [][]byte{f} }},
		{"malformed", func(_ *testing.T, _ *source, f []byte) [][]byte { return [][]byte{f[:len(f)-1]} }},
		{"missing", func(*testing.T, *source, []byte) [][]byte { return nil }},
		{"repeat", func(_ *testing.T, _ *source, f []byte) [][]byte { return [][]byte{f, f} }},
		{"behind", func(_ *testing.T, src *source, f []byte) [][]byte {
			return [][]byte{src.streams["org/acme"].frames[0].Data, f}
		}},
		{"unknown_key", func(t *testing.T, _ *source, f []byte) [][]byte {
			return [][]byte{sealed(t, stranger, f, func(*feedv1.Frame) {})}
		}},
		{"retired_key", func(t *testing.T, _ *source, f []byte) [][]byte {
			return [][]byte{sealed(t, retired, f, func(*feedv1.Frame) {})}
		}},
		{"wrong_cluster", func(t *testing.T, src *source, _ []byte) [][]byte {
			foreign := newSource(t)
			foreign.key, foreign.cluster = src.key, "elsewhere"
			foreign.publish(t, "org/acme", set("evil", "1"))
			return [][]byte{foreign.streams["org/acme"].frames[0].Data}
		}},
		{"wrong_epoch", func(t *testing.T, src *source, f []byte) [][]byte {
			return [][]byte{sealed(t, src.key, f, func(f *feedv1.Frame) { f.Epoch = 2 })}
		}},
		{"wrong_stream", func(t *testing.T, src *source, f []byte) [][]byte {
			return [][]byte{sealed(t, src.key, f, func(f *feedv1.Frame) { f.Stream = "org/other" })}
		}},
		{"wrong_previous_hash", func(t *testing.T, src *source, f []byte) [][]byte {
			return [][]byte{sealed(t, src.key, f, func(f *feedv1.Frame) { f.PreviousHash = make([]byte, 32) })}
		}},
		{"gap", func(t *testing.T, src *source, f []byte) [][]byte {
			return [][]byte{sealed(t, src.key, f, func(f *feedv1.Frame) { f.PreviousRevision++; f.Revision++ })}
		}},
	}
	if len(tests) != len(frame.Reasons()) {
		t.Fatalf("%d faults for %d reasons", len(tests), len(frame.Reasons()))
	}
	for _, tt := range tests {
		t.Run(tt.reason, func(t *testing.T) {
			t.Parallel()
			src := newSource(t, "system", "org/acme")
			raw, _ := proto.Marshal(&feedv1.PublishingKey{
				PublicKey: retired.Public().(ed25519.PublicKey),
				RetiredAt: 1,
			})
			id := frame.KeyID(retired.Public().(ed25519.PublicKey))
			src.publish(t, "system", []*feedv1.Item{{
				Kind: "dark.feed.v1.PublishingKey",
				Name: hex.EncodeToString(id[:]), Lane: 1, Value: raw,
			}})
			src.publish(t, "org/acme", set("a", "1"))
			src.publish(t, "org/acme", set("a", "2"))
			w := start(t, src, nil)
			h := newHand(t, w, "edge1")
			e := w.edge("edge1", vfs.NewMem(), func(o *config.Options, _ *records) { o.Feeds = []string{h.addr} })
			e.reach(t, 3)
			h.set(once(func(f []byte) [][]byte { return tt.fault(t, src, f) }))
			e.reach(t, src.publish(t, "org/acme", set("b", "3")))
			e.reach(t, src.publish(t, "org/acme", set("c", "4")))
			if got := e.RefusedFrames(); got[tt.reason] == 0 {
				t.Errorf("counted %v", got)
			}
			if got := e.all(); len(got) != 4 || e.get("org/acme", "a") != "2" || e.get("org/acme", "b") != "3" ||
				e.get("org/acme", "c") != "4" {
				t.Errorf("ended with %v", got)
			}
		})
	}
}

// A frame swapped with the one after it never becomes active out of order.
func TestReorderedFrames(t *testing.T) {
	src := newSource(t, "org/acme")
	src.publish(t, "org/acme", set("a", "0"))
	w := start(t, src, nil)
	h := newHand(t, w, "edge1")
	e := w.edge("edge1", vfs.NewMem(), func(o *config.Options, _ *records) { o.Feeds = []string{h.addr} })
	e.reach(t, 1)
	var held []byte
	h.set(func(f []byte) [][]byte {
		if held == nil {
			held = f
			return nil
		}
		h.down = nil
		return [][]byte{f, held}
	})
	src.publish(t, "org/acme", set("a", "1"), set("a", "2"))
	e.reach(t, 2)
	if e.get("org/acme", "a") != "2" || e.RefusedFrames()["gap"] == 0 {
		t.Fatalf("ended with %v, refused %v", e.all(), e.RefusedFrames())
	}
}

// A control node that goes on with another history, signed by the same key, is refused,
// and after the second time asked for everything.
func TestAnotherHistoryMeansASnapshot(t *testing.T) {
	src := newSource(t, "org/acme")
	src.publish(t, "org/acme", set("a", "mine"))
	w := start(t, src, nil)
	e := w.edge("edge1", vfs.NewMem(), nil)
	e.reach(t, 1)
	w.stop()
	twin := newSource(t, "org/acme")
	twin.key = src.key
	twin.publish(t, "org/acme", set("a", "other"))
	twin.publish(t, "org/acme", set("b", "other"))
	w.src = twin
	w.serve(nil)
	e.reach(t, 2)
	if got := e.RefusedFrames()["wrong_previous_hash"]; got != 2 {
		t.Errorf("refused %v, want 2 of another history", e.RefusedFrames())
	}
	if e.get("org/acme", "a") != "other" || e.get("org/acme", "b") != "other" {
		t.Errorf("ended with %v", e.all())
	}
}

// An announced key signs after it is announced; the old one is refused once retired.
func TestThePublishingKeyIsReplaced(t *testing.T) {
	src := newSource(t, "system")
	w := start(t, src, nil)
	fs := vfs.NewMem()
	first := src.key
	e := w.edge("edge1", fs, nil)
	e.reach(t, src.publish(t, "system", set("x", "by the first")))
	_, second, _ := ed25519.GenerateKey(nil)
	announce := func(key ed25519.PrivateKey, retired int64) []*feedv1.Item {
		raw, _ := proto.Marshal(&feedv1.PublishingKey{PublicKey: key.Public().(ed25519.PublicKey), RetiredAt: retired})
		id := frame.KeyID(key.Public().(ed25519.PublicKey))
		return []*feedv1.Item{{
			Kind: "dark.feed.v1.PublishingKey", Name: hex.EncodeToString(id[:]), Lane: 1,
			Value: raw,
		}}
	}
	e.reach(t, src.publish(t, "system", announce(second, 0)))
	src.key = second
	src.publish(t, "system", set("x", "by the second"))
	e.reach(t, src.publish(t, "system", announce(first, time.Now().Unix())))
	src.key = first
	src.publish(t, "system", set("x", "by the first"))
	eventually(t, "refused", func() bool { return e.RefusedFrames()["retired_key"] > 0 })
	e.stop()
	src.key = second
	e = w.edge("edge1", fs, func(o *config.Options, _ *records) { o.Pinned = first.Public().(ed25519.PublicKey) })
	eventually(t, "refused after a restart", func() bool { return e.RefusedFrames()["retired_key"] > 0 })
	if got := e.get("system", "x"); got != "by the second" {
		t.Fatalf("x = %q", got)
	}
}

// Garbage instead of messages costs the connection, never the edge.
func TestGarbageOnTheWire(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, nil)
	cert := w.ca.issue(t, "control2", time.Now().Add(-time.Hour))
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			frame.ReadMsg(c, nil, frame.MaxHello)
			c.Write([][]byte{
				{0xff, 0xff, 0xff, 0xff},
				{0, 0, 0, 3, 0xff, 0xff, 0xff},
				{0, 0, 0, 9, 1},
				[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
			}[i%4])
			c.Close()
		}
	}()
	e := w.edge("edge1", vfs.NewMem(), func(o *config.Options, _ *records) {
		o.Feeds = []string{ln.Addr().String(), w.addr}
	})
	e.reach(t, src.publish(t, "org/acme", set("a", "1")))
	ln.Close()
	<-done
	if fmt.Sprint(e.get("org/acme", "a")) != "1" {
		t.Fatal("the edge has not got over it")
	}
}
