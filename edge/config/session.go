package config

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// session is one connection to a control node. The follower's goroutine reads; writes
// come from it, the keepalive and Submit, one at a time.
type session struct {
	c      *Config
	conn   *tls.Conn
	in     *bufio.Reader
	buf    []byte
	frames uint64  // received on this connection
	took   bool    // something was learnt
	self   ca.Name // as this connection's certificate says
	renew  chan *feedv1.Renewed

	out struct {
		sync.Mutex
		buf []byte
	}
	calls calls
}

// connect dials, says hello and takes in the Welcome.
func (c *Config) connect(ctx context.Context, address string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Connect)
	defer cancel()
	cfg, err := c.tls(address)
	if err != nil {
		return nil, err
	}
	raw, err := c.o.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	conn := tls.Client(raw, cfg)
	s := &session{
		c: c, conn: conn, self: c.o.Self(), in: bufio.NewReaderSize(conn, 64<<10),
		renew: make(chan *feedv1.Renewed, 1),
	}
	s.calls.init()
	if err := s.greet(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) greet(ctx context.Context) error {
	if err := s.conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	if err := s.write(&feedv1.Up{Message: &feedv1.Up_Hello{Hello: s.c.hello()}}); err != nil {
		return err
	}
	down, err := s.read(frame.MaxHello)
	if err != nil {
		return err
	}
	switch m := down.GetMessage().(type) {
	case *feedv1.Down_Welcome:
		if err := s.c.welcomed(m.Welcome); err != nil {
			return err
		}
		return s.subscribed(m.Welcome.GetSubscription())
	case *feedv1.Down_Behind:
		return later(m.Behind)
	}
	return errors.New("the first message is no Welcome")
}

func later(b *feedv1.Behind) error {
	return comeLater{b.GetReason(), time.Duration(b.GetRetryAfterMs()) * time.Millisecond}
}

// tls completes the caller's configuration: 1.3, and tickets for coming back cheaply.
func (c *Config) tls(address string) (*tls.Config, error) {
	cfg, err := c.o.TLS()
	if err != nil {
		return nil, fmt.Errorf("TLS configuration: %w", err)
	}
	cfg = cfg.Clone()
	cfg.MinVersion = tls.VersionTLS13
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = c.sessions
	}
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		cfg.ServerName = host
	}
	if judge := cfg.VerifyConnection; c.o.Peer != nil {
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if judge != nil {
				if err := judge(s); err != nil {
					return err
				}
			}
			return c.judge(s)
		}
	}
	return cfg, nil
}

// judge says whether the other side is a control node that was not removed.
func (c *Config) judge(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the control node has no certificate")
	}
	return c.o.Peer(s.PeerCertificates[0], c.Denied)
}

// judgeAgain ends the session with a control node that a deny entry keeps out.
func (c *Config) judgeAgain() {
	s := c.current()
	if s == nil || c.o.Peer == nil {
		return
	}
	if err := c.judge(s.conn.ConnectionState()); err != nil {
		c.o.Log.Warn("config: the connection to a control node was ended", "reason", err)
		s.conn.NetConn().Close()
	}
}

// peer is the control node's certificate.
func (s *session) peer() *x509.Certificate { return s.conn.ConnectionState().PeerCertificates[0] }

func (s *session) close() {
	s.conn.NetConn().Close()
	s.calls.fail()
}

// run reads until the connection or ctx ends, or something is refused.
func (s *session) run(ctx context.Context, sink Sink) error {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { s.conn.NetConn().Close() })
	var alive sync.WaitGroup
	defer alive.Wait()
	defer stop()
	defer cancel()
	defer time.AfterFunc(s.peer().NotAfter.Sub(s.c.o.Clock.Now()), cancel).Stop()
	alive.Go(func() { s.keepAlive(ctx) })
	alive.Go(func() { s.keepCertificate(ctx) })
	for {
		if s.c.waitMarks(ctx); ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.step(sink); err != nil {
			return err
		}
	}
}

// step takes in one message.
func (s *session) step(sink Sink) error {
	if s.c.store.full() {
		return errFull
	}
	if s.c.store.live.fault() != nil {
		return errLive
	}
	s.conn.SetReadDeadline(time.Now().Add(s.c.o.Silence))
	msg, err := frame.ReadMsg(s.in, s.buf, frame.MaxMessage)
	s.buf = msg
	if err != nil {
		if errors.Is(err, frame.ErrTooLarge) || errors.Is(err, io.ErrUnexpectedEOF) {
			s.c.refuse(frame.ReasonMalformed)
		}
		return err
	}
	s.c.heard()
	if data, ok := frame.FrameIn(msg); ok {
		s.frames++
		return s.frame(data)
	}
	down := &feedv1.Down{}
	if err := proto.Unmarshal(msg, down); err != nil {
		return s.refuse(frame.ReasonMalformed)
	}
	return s.message(down, sink)
}

// frame takes a frame in, or ends the session: what comes after one that was refused
// would not fit. A repeated one is counted and does no harm.
func (s *session) frame(data []byte) error {
	v, reason, err := s.c.take(data)
	if err != nil {
		return broken{err}
	}
	if reason == "" {
		s.took = true
		return nil
	}
	if v == frame.Repeat || v == frame.Behind {
		s.c.refuse(reason)
		return nil
	}
	return s.refuse(reason)
}

func (s *session) refuse(reason string) error {
	s.c.refuse(reason)
	return refusedFrame{reason: reason}
}

func (s *session) message(down *feedv1.Down, sink Sink) error {
	switch m := down.GetMessage().(type) {
	case *feedv1.Down_Progress:
		return s.progress(m.Progress, sink)
	case *feedv1.Down_Subscription:
		return s.subscribed(m.Subscription)
	case *feedv1.Down_SubmitResult:
		s.calls.done(m.SubmitResult)
	case *feedv1.Down_Renewed:
		select {
		case s.renew <- m.Renewed:
		default: // nobody asked
		}
	case *feedv1.Down_Behind:
		return later(m.Behind)
	case *feedv1.Down_Frame:
		return s.refuse(frame.ReasonMalformed) // a frame that is not all of its message
	default:
		// A newer control node may say what this version does not know.
	}
	return nil
}

// progress cuts a view, if nothing is missing until here.
func (s *session) progress(p *feedv1.Progress, sink Sink) error {
	if p.GetFrames() != 0 && p.GetFrames() != s.frames {
		return s.refuse(frame.ReasonMissing)
	}
	if !s.c.complete() {
		return s.refuse(frame.ReasonMissing)
	}
	refused, took, err := s.c.cut(sink, p.GetRevision())
	if err != nil {
		return err
	}
	s.took = true
	if err := s.c.purge(); err != nil {
		return broken{err}
	}
	refused = append(s.c.early, refused...)
	s.c.early = nil
	return s.ack(refused, took)
}

// ack says what is durable and active.
func (s *session) ack(refused []view.Refusal, took time.Duration) error {
	return s.write(&feedv1.Up{Message: &feedv1.Up_Ack{Ack: s.newAck(refused, took)}})
}

func (s *session) newAck(refused []view.Refusal, took time.Duration) *feedv1.Ack {
	a := &feedv1.Ack{
		Revision: s.c.revision.Load(), RefusedFrames: s.c.RefusedFrames(), ActivationNanos: took.Nanoseconds(),
		BudgetDays: s.c.budgetDays(), Time: s.c.o.Clock.Now().UnixNano(),
	}
	for _, r := range refused[:min(len(refused), 1000)] {
		a.Refusals = append(a.Refusals, &feedv1.Refusal{
			Stream: r.Stream, Kind: r.Kind, Name: r.Name,
			Revision: r.Revision, Reason: r.Reason,
		})
	}
	return a
}

// keepAlive acks from time to time, also while much is being received or compiled.
func (s *session) keepAlive(ctx context.Context) {
	told, kept := zonesTold{}, &storageTold{}
	t := time.NewTicker(s.c.o.Ack)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			if err := s.c.disk.Restock(); err != nil {
				s.c.o.Log.Warn("config: disk", "error", err)
			}
			if err := s.ackCounts(told, kept); err != nil {
				s.conn.NetConn().Close()
				return
			}
		}
	}
}

func (s *session) write(up *feedv1.Up) (err error) {
	s.out.Lock()
	defer s.out.Unlock()
	s.conn.SetWriteDeadline(time.Now().Add(s.c.o.Connect))
	s.out.buf, err = frame.WriteMsg(s.conn, s.out.buf, up)
	return err
}

// read reads one message of the greeting.
func (s *session) read(limit int) (*feedv1.Down, error) {
	msg, err := frame.ReadMsg(s.in, s.buf, limit)
	if err != nil {
		return nil, err
	}
	down := &feedv1.Down{}
	if err := proto.Unmarshal(msg, down); err != nil {
		s.c.refuse(frame.ReasonMalformed)
		return nil, fmt.Errorf("malformed message: %w", err)
	}
	return down, nil
}
