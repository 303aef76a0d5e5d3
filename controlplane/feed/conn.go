package feed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// errAway ends a connection whose edge was told Behind.
var errAway = errors.New("told to come later")

// position is what an edge has, or will have when what was sent arrives.
type position struct {
	revision uint64
	part     uint32
	hash     []byte // known at first and after a Resume
}

// conn is one edge's connection: a reader goroutine, and the sender, which owns all
// fields that are not channels, atomics or below mu.
type conn struct {
	s    *Server
	tls  *tls.Conn
	node string
	cert *nodeState

	streams []string
	chosen  uint64 // the revision at which they were
	at      map[string]position
	sent    uint64 // frames
	through uint64 // revision of the last Progress
	placed  uint64 // Placement when streams was read, plus one; 0: always read again

	out    chan *feedv1.Down     // answers, from the reader and its helpers
	resume chan *feedv1.Position // asked for by the edge
	acked  atomic.Uint64

	write1 struct {
		sync.Mutex
		buf []byte
	}
}

func newConn(s *Server, tc *tls.Conn, node string, h *feedv1.Hello) *conn {
	c := &conn{s: s, tls: tc, node: node, at: map[string]position{}}
	c.out = make(chan *feedv1.Down, 2*s.o.Submits)
	c.resume = make(chan *feedv1.Position, 16)
	for _, p := range h.GetPositions() {
		c.at[p.GetStream()] = positionOf(p)
	}
	c.cert = s.nodes.hello(node, h, s.o.Clock.Now())
	return c
}

// peer is the edge's certificate.
func (c *conn) peer() *x509.Certificate { return c.tls.ConnectionState().PeerCertificates[0] }

func positionOf(p *feedv1.Position) position {
	return position{p.GetRevision(), p.GetPart(), p.GetHash()}
}

// run serves the edge until the connection or ctx ends.
func (c *conn) run(ctx context.Context, cancel context.CancelFunc) error {
	c.s.hub.join(c)
	if _, err := c.s.o.Identify(c.peer()); err != nil { // it ended before Recheck could see this connection
		c.s.hub.leave(c, nil)
		return fmt.Errorf("identify: %w", err)
	}
	c.s.nodes.connected(c.cert, true, c.s.o.Clock.Now())
	defer time.AfterFunc(c.peer().NotAfter.Sub(c.s.o.Clock.Now()), cancel).Stop()
	reader := make(chan error, 1)
	go func() {
		reader <- c.read(ctx)
		cancel()
	}()
	err := c.send(ctx)
	cancel()
	c.tls.NetConn().Close()
	rerr := <-reader
	c.s.hub.leave(c, c.streams)
	c.s.nodes.connected(c.cert, false, c.s.o.Clock.Now())
	if errors.Is(err, context.Canceled) {
		return rerr
	}
	return err
}

// send is the sender: Welcome, what is missing, then what is new.
func (c *conn) send(ctx context.Context) error {
	streams, chosen, err := c.subscription()
	if err != nil {
		return err
	}
	c.streams, c.chosen = streams, chosen
	c.keepOwn()
	c.s.hub.subscribe(streams)
	if err := c.welcome(); err != nil {
		return err
	}
	for {
		cursor, err := c.catchUp(ctx)
		if err != nil {
			return err
		}
		if err := c.follow(ctx, cursor); err != nil {
			return err
		}
	}
}

// keepOwn forgets the positions in streams that the edge does not get: it can name any number.
func (c *conn) keepOwn() {
	own := map[string]position{}
	for _, stream := range c.streams {
		if at, ok := c.at[stream]; ok {
			own[stream] = at
		}
	}
	c.at = own
}

func (c *conn) subscription() (streams []string, revision uint64, err error) {
	if p, ok := c.s.o.Source.(Placement); ok {
		c.placed = p.Placement() + 1
	}
	streams, revision, err = c.s.o.Source.Streams(c.node)
	if err != nil {
		return nil, 0, fmt.Errorf("streams of %s: %w", c.node, err)
	}
	streams = slices.Clone(streams)
	slices.Sort(streams)
	return slices.Compact(streams), revision, nil
}

// granted is the edge's subscription, signed.
func (c *conn) granted() (*feedv1.Subscription, error) {
	s, err := c.s.o.Grant(c.peer(), c.node, c.streams, c.chosen)
	if err != nil {
		return nil, fmt.Errorf("sign the streams of %s: %w", c.node, err)
	}
	return s, nil
}

func (c *conn) welcome() error {
	granted, err := c.granted()
	if err != nil {
		return err
	}
	cluster, epoch := c.s.o.Source.Identity()
	w := &feedv1.Welcome{
		Cluster: cluster, Epoch: epoch, Node: c.s.o.Node, Time: c.s.o.Clock.Now().UnixNano(),
		Subscription: granted,
	}
	if c.s.o.Feeds != nil {
		w.Feeds = c.s.o.Feeds()
	}
	return c.write(&feedv1.Down{Message: &feedv1.Down_Welcome{Welcome: w}})
}

// follow sends what is new from the ring until the edge has to catch up again.
func (c *conn) follow(ctx context.Context, cursor uint64) error {
	idle := time.NewTicker(c.s.o.Keepalive)
	defer idle.Stop()
	for {
		entries, more, lost := c.s.hub.next(c, cursor)
		if lost {
			c.s.setBacks.Add(1)
			return nil
		}
		again, err := c.sendEntries(entries)
		if err != nil || again {
			return err
		}
		cursor += uint64(len(entries))
		if len(entries) > 0 {
			more = ready
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-more:
		case m := <-c.out:
			err = c.write(m)
		case p := <-c.resume:
			return c.resumeAt(p)
		case <-idle.C:
			err = c.progress(c.through, time.Time{})
		}
		if err != nil {
			return err
		}
	}
}

// ready never blocks.
var ready = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// sendEntries sends entries of the ring; again is set when the subscription changed, so
// that the edge must catch up before a view may be cut.
func (c *conn) sendEntries(entries []entry) (again bool, err error) {
	for _, e := range entries {
		if e.stream == "" {
			if changed, err := c.resubscribe(); changed || err != nil {
				return changed, err
			}
			err = c.progress(e.revision, e.at)
		} else if p, ok := c.at[e.stream]; c.has(e.stream) &&
			(!ok || (frame.Position{Revision: p.revision, Part: p.part}).Before(e.revision, e.part)) {
			c.at[e.stream] = position{revision: e.revision, part: e.part}
			err = c.frame(e.wire)
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

func (c *conn) has(stream string) bool {
	_, ok := slices.BinarySearch(c.streams, stream)
	return ok
}

// resubscribe tells the edge when its set of streams changed.
func (c *conn) resubscribe() (changed bool, err error) {
	if p, ok := c.s.o.Source.(Placement); ok && c.placed == p.Placement()+1 {
		return false, nil
	}
	streams, chosen, err := c.subscription()
	if err != nil || slices.Equal(streams, c.streams) {
		return false, err
	}
	for _, old := range c.streams {
		if _, still := slices.BinarySearch(streams, old); !still {
			delete(c.at, old)
		}
	}
	c.s.hub.subscribe(streams)
	c.s.hub.unsubscribe(c.streams)
	c.streams, c.chosen = streams, chosen
	granted, err := c.granted()
	if err != nil {
		return false, err
	}
	return true, c.write(&feedv1.Down{Message: &feedv1.Down_Subscription{Subscription: granted}})
}

func (c *conn) resumeAt(p *feedv1.Position) error {
	if c.has(p.GetStream()) {
		c.at[p.GetStream()] = positionOf(p)
	}
	return nil
}

// progress tells that all that was sent until here is complete to a revision.
func (c *conn) progress(revision uint64, at time.Time) error {
	p := &feedv1.Progress{Revision: revision, Now: c.s.o.Clock.Now().UnixNano(), Frames: c.sent}
	if !at.IsZero() {
		p.Time = at.UnixNano()
	}
	c.through = revision
	return c.write(&feedv1.Down{Message: &feedv1.Down_Progress{Progress: p}})
}

// frame sends an encoded frame that is shared with others.
func (c *conn) frame(wire []byte) error {
	c.sent++
	c.s.framesSent.Add(1)
	return c.writeBytes(wire)
}

// write sends one message.
func (c *conn) write(m proto.Message) (err error) {
	c.write1.Lock()
	defer c.write1.Unlock()
	if c.write1.buf, err = frame.AppendMsg(c.write1.buf[:0], m); err != nil {
		return err
	}
	return c.writeBytes(c.write1.buf)
}

func (c *conn) writeBytes(b []byte) error {
	c.tls.SetWriteDeadline(time.Now().Add(c.s.o.Write))
	if _, err := c.tls.Write(b); err != nil {
		return fmt.Errorf("write to %s: %w", c.node, err)
	}
	return nil
}
