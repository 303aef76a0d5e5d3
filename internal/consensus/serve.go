package consensus

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// Handler answers a call. peer is the name that TLS.Peer gave the caller. ctx ends
// when the caller's does, when its connection ends, and when the Node closes.
type Handler func(ctx context.Context, peer string, req []byte) ([]byte, error)

const (
	maxCallsPerConn = 256 // under way at one time; further ones wait in the socket
	writeTimeout    = 20 * time.Second
	maxCall         = 10 * time.Minute // for a caller that names no limit
)

// Handle answers calls of method with h, from now on.
func (n *Node) Handle(method string, h func(ctx context.Context, peer string, req []byte) ([]byte, error)) {
	n.trans.mu.Lock()
	defer n.trans.mu.Unlock()
	n.trans.mu.handlers[method] = h
}

func (t *transport) handler(method string) Handler {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.handlers[method]
}

// server is one connection on which another member calls us.
type server struct {
	t     *transport
	peer  string
	ctx   context.Context
	out   frameWriter
	slots chan struct{}

	mu struct {
		sync.Mutex
		cancels map[uint64]context.CancelFunc
	}
}

func (t *transport) serveCalls(conn net.Conn, peer string) {
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(t.ctx)
	s := &server{t: t, peer: peer, ctx: ctx, out: frameWriter{conn: conn}, slots: make(chan struct{}, maxCallsPerConn)}
	s.mu.cancels = map[uint64]context.CancelFunc{}
	var calls sync.WaitGroup
	defer calls.Wait()
	defer cancel()
	r := bufio.NewReaderSize(conn, 64<<10)
	for {
		f, err := readFrame(r)
		if err != nil {
			return
		}
		switch f.kind {
		case frameCancel:
			s.cancel(f.id)
		case frameRequest:
			s.slots <- struct{}{}
			s.begin(f, &calls)
		default:
			return
		}
	}
}

func (s *server) cancel(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.mu.cancels[id]; c != nil {
		c()
	}
}

// begin starts a call; a cancel that follows finds it.
func (s *server) begin(f frame, calls *sync.WaitGroup) {
	left, method, body, err := parseRequest(f.payload)
	if left <= 0 {
		left = maxCall
	}
	ctx, cancel := context.WithTimeout(s.ctx, left)
	s.mu.Lock()
	s.mu.cancels[f.id] = cancel
	s.mu.Unlock()
	calls.Go(func() {
		defer func() { <-s.slots }()
		defer cancel()
		if err != nil {
			err = errs.Wrap(errs.Invalid, err, "malformed request")
		}
		s.answer(ctx, f.id, method, body, err)
		s.mu.Lock()
		delete(s.mu.cancels, f.id)
		s.mu.Unlock()
	})
}

func (s *server) answer(ctx context.Context, id uint64, method string, body []byte, err error) {
	var reply []byte
	if err == nil {
		if h := s.t.handler(method); h != nil {
			reply, err = h(ctx, s.peer, body)
		} else {
			err = errs.New(errs.Unavailable, "method %q is not known to this member", method)
		}
	}
	if err == nil && len(reply) > MaxMessage {
		err = errs.New(errs.Internal, "reply to %s of %d bytes, at most %d are allowed", method, len(reply), MaxMessage)
	}
	if err != nil {
		s.out.write(id, frameFailure, encodeFailure(err))
		return
	}
	s.out.write(id, frameReply, reply)
}

// frameWriter writes whole frames to a connection. One that cannot take a frame within
// writeTimeout, or took a part of one, is closed.
type frameWriter struct {
	mu   sync.Mutex
	conn net.Conn
}

func (w *frameWriter) write(id uint64, kind byte, parts ...[]byte) {
	b := appendFrame(nil, id, kind, parts...)
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = w.conn.Write(b)
	}
	if err != nil {
		_ = w.conn.Close()
	}
}
