package feed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/preauth"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// Server is the control node's side of the feed.
type Server struct {
	o         Options
	hub       *hub
	nodes     *nodes
	snapshots chan struct{} // a slot is held while one is sent
	doors     preauth.Doors
	places    *places       // one is held by each edge that is connected
	hellos    chan struct{} // a slot is held while one is parsed, which takes several times its octets
	sessions  [32]byte      // key of session tickets, so that resumption works across connections
	counters
}

// counters of what happened since the start.
type counters struct {
	connections, turnedAway, setBacks, snapshotsSent, framesSent atomic.Uint64
}

// Counters is what happened since the start.
type Counters struct {
	Connections   uint64 // accepted with a valid Hello
	TurnedAway    uint64 // told Behind
	SetBacks      uint64 // edges overtaken by the ring, sent back to resuming
	SnapshotsSent uint64 // whole ones
	FramesSent    uint64
}

// New returns a server for the options.
func New(o Options) (*Server, error) {
	if o.Source == nil || o.Sign == nil || o.Grant == nil || o.TLS == nil || o.Identify == nil {
		return nil, errors.New("feed: Source, Sign, Grant, TLS and Identify are required")
	}
	o.fill()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, hub: newHub(o.Source, o.Limits), nodes: newNodes()}
	s.snapshots = make(chan struct{}, o.Snapshots)
	s.hellos = make(chan struct{}, 2)
	s.places = newPlaces(o.Connections, o.PerNode)
	if err := newTicketKey(&s.sessions); err != nil {
		return nil, err
	}
	return s, nil
}

// Counters returns what happened since the start.
func (s *Server) Counters() Counters {
	return Counters{
		s.connections.Load(), s.turnedAway.Load(), s.setBacks.Load(), s.snapshotsSent.Load(),
		s.framesSent.Load(),
	}
}

// Serve accepts edges on ln until ctx ends or ln fails, closes ln, and returns when
// every connection has ended. It is called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	hub := make(chan error, 1)
	go func() {
		hub <- s.hub.run(ctx)
		cancel()
	}()
	var conns sync.WaitGroup
	err := s.accept(ctx, ln, &conns)
	ended := ctx.Err() != nil
	cancel()
	conns.Wait()
	if herr := <-hub; herr != nil {
		return fmt.Errorf("feed: %w", herr)
	}
	if ended {
		return nil
	}
	return fmt.Errorf("feed: accept on %s: %w", ln.Addr(), err)
}

// Strangers counts the connections whose edges were not known.
func (s *Server) Strangers() preauth.Stats { return s.doors.Stats() }

func (s *Server) accept(ctx context.Context, ln net.Listener, conns *sync.WaitGroup) error {
	ln = s.doors.Listen(ln, preauth.Limits{
		Total: s.o.Strangers, PerSource: s.o.PerSource, Deadline: s.o.Handshake, Known: s.o.Connections,
	})
	for {
		raw, err := ln.Accept()
		var again interface{ Temporary() bool }
		if errors.As(err, &again) && again.Temporary() && ctx.Err() == nil {
			wait(ctx, 50*time.Millisecond) // out of descriptors: others will end
			continue
		}
		if err != nil {
			return err
		}
		conns.Go(func() { s.serve(ctx, raw) })
	}
}

// Recheck asks Identify again about the named nodes' open connections (nil: about all), and
// ends those that it refuses now.
func (s *Server) Recheck(nodes map[string]bool) {
	for _, c := range s.hub.connections() {
		if nodes != nil && !nodes[c.node] {
			continue
		}
		if _, err := s.o.Identify(c.peer()); err != nil {
			s.o.Log.Info("feed: connection ended", "node", c.node, "reason", err)
			c.tls.NetConn().Close()
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// serve is the life of one connection.
func (s *Server) serve(serving context.Context, raw net.Conn) {
	ctx, cancel := context.WithCancel(serving)
	defer cancel()
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	c, leave, err := s.handshake(ctx, raw)
	defer leave()
	if err != nil {
		if ctx.Err() == nil {
			s.o.Log.Info("feed: connection refused", "from", raw.RemoteAddr(), "error", err)
		}
		return
	}
	s.connections.Add(1)
	err = c.run(ctx, cancel)
	if serving.Err() == nil { // this node ends all connections when it stops
		s.o.Log.Info("feed: connection ended", "node", c.node, "from", raw.RemoteAddr(), "reason", err)
	}
}

// ErrAway is in what Identify returns where this control node lets no edge in, whoever it is.
var ErrAway = errors.New("this control node serves no edges")

var errFull = errors.New("as many edges as may be are connected here")

// handshake does TLS, learns who it is, takes a place for it, and answers Hello. The place is
// taken before Hello is read, which may be large; leave gives it back, also after an error.
func (s *Server) handshake(ctx context.Context, raw net.Conn) (c *conn, leave func(), err error) {
	leave = func() {}
	tc := tls.Server(raw, s.config())
	tc.SetDeadline(time.Now().Add(s.o.Handshake))
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, leave, fmt.Errorf("TLS handshake: %w", err)
	}
	node, err := s.o.Identify(tc.ConnectionState().PeerCertificates[0])
	if err != nil {
		s.keepOut(tc, err)
		return nil, leave, fmt.Errorf("identify: %w", err)
	}
	if own := preauth.Of(raw); own != nil {
		own.Authenticated()
	}
	leave, ok := s.places.enter(node, raw)
	if !ok { // the edge finds another node
		s.turnedAway.Add(1)
		return nil, leave, fmt.Errorf("%s turned away: %w", node, errFull)
	}
	c, err = s.greet(ctx, tc, node)
	return c, leave, err
}

// keepOut tells a peer with a certificate of the cluster's CA why it is not let in. It reads
// the Hello away that the peer may still be sending, until the peer closes the connection or
// the time for the handshake is over: a connection that is closed over unread octets would take
// the answer with it.
func (s *Server) keepOut(tc *tls.Conn, why error) {
	reason := frame.ReasonRefused + why.Error()
	if errors.Is(why, ErrAway) { // the edge is well, and finds another control node
		reason = why.Error()
	}
	down := &feedv1.Down{Message: &feedv1.Down_Behind{Behind: &feedv1.Behind{
		RetryAfterMs: uint32(s.o.RetryAfter.Milliseconds()), Reason: reason,
	}}}
	if _, err := frame.WriteMsg(tc, nil, down); err == nil && tc.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, tc.NetConn(), keepOutRead)
	}
}

// keepOutRead is how much is read away: the longest Hello, and what TLS adds to its octets, which
// is less than a sixteenth.
const keepOutRead = frame.MaxHello + frame.MaxHello/16

// greet reads an edge's Hello and turns it away if it belongs elsewhere.
func (s *Server) greet(ctx context.Context, tc *tls.Conn, node string) (*conn, error) {
	buf, err := frame.ReadMsg(tc, nil, frame.MaxHello)
	if err != nil {
		return nil, fmt.Errorf("read hello of %s: %w", node, err)
	}
	hello, err := s.helloIn(ctx, buf)
	if err != nil {
		return nil, fmt.Errorf("hello of %s: %w", node, err)
	}
	c := newConn(s, tc, node, hello)
	if behind := s.fence(hello); behind != nil {
		s.turnedAway.Add(1)
		_ = c.write(&feedv1.Down{Message: &feedv1.Down_Behind{Behind: behind}})
		return nil, fmt.Errorf("%s turned away: %s", node, behind.GetReason())
	}
	tc.SetDeadline(time.Time{})
	return c, nil
}

func (s *Server) helloIn(ctx context.Context, buf []byte) (*feedv1.Hello, error) {
	select {
	case s.hellos <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.hellos }()
	return helloIn(buf)
}

// config completes the caller's TLS configuration: 1.3 with client certificates, and
// tickets under one key, so that reconnecting edges resume.
func (s *Server) config() *tls.Config {
	cfg := s.o.TLS().Clone()
	cfg.MinVersion = tls.VersionTLS13
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.SetSessionTicketKeys([][32]byte{s.sessions})
	return cfg
}

// fence says who must go elsewhere: an edge of another cluster or epoch, and one that
// is ahead of this node in any stream, which must never be sent back in time.
func (s *Server) fence(h *feedv1.Hello) *feedv1.Behind {
	cluster, epoch := s.o.Source.Identity()
	published, _ := s.o.Source.Published()
	b := &feedv1.Behind{Revision: published, RetryAfterMs: uint32(s.o.RetryAfter.Milliseconds())}
	switch {
	case h.GetCluster() != cluster:
		b.Reason = "cluster"
	case h.GetEpoch() > epoch:
		b.Reason = "epoch"
	case ahead(h, published):
		b.Reason = "behind"
	default:
		return nil
	}
	return b
}

// ahead reports whether the edge knows of more than is published here. Whether it is
// ahead in a stream that it still has is seen when that one is caught up.
func ahead(h *feedv1.Hello, published uint64) bool {
	for _, p := range h.GetPositions() {
		if p.GetRevision() > published {
			return true
		}
	}
	return h.GetRevision() > published
}
