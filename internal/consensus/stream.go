package consensus

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// streamLayer is one group's share of the transport. It implements raft.StreamLayer.
type streamLayer struct {
	t       *transport
	group   string
	notices chan bool // raft's leadership notices; here to be closed with the stream
	accept  chan net.Conn
	done    chan struct{}

	mu struct {
		sync.Mutex
		closed bool
		conns  map[net.Conn]struct{}
	}
}

func (t *transport) newStream(group string, notices chan bool) *streamLayer {
	s := &streamLayer{t: t, group: group, notices: notices, accept: make(chan net.Conn), done: make(chan struct{})}
	s.mu.conns = map[net.Conn]struct{}{}
	return s
}

// serve lets connections for the group in.
func (t *transport) serve(s *streamLayer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.streams[s.group] = s
}

// deliver gives raft a connection from another member; false when the group is closed.
func (s *streamLayer) deliver(conn net.Conn) bool {
	c, ok := s.own(conn)
	if !ok {
		return false
	}
	select {
	case s.accept <- c:
		return true
	case <-s.done:
		return false
	}
}

// Accept implements net.Listener.
func (s *streamLayer) Accept() (net.Conn, error) {
	select {
	case c := <-s.accept:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Addr implements net.Listener: raft puts it into its messages.
func (s *streamLayer) Addr() net.Addr { return advertised(s.t.node.cfg.Advertise) }

// Dial implements raft.StreamLayer.
func (s *streamLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.t.ctx, timeout)
	defer cancel()
	conn, err := s.t.dial(ctx, string(addr), kindRaft, s.group)
	if err != nil {
		return nil, err
	}
	c, ok := s.own(conn)
	if !ok {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	return c, nil
}

// streamConn is a connection that ends with its group.
type streamConn struct {
	net.Conn
	s *streamLayer
}

func (c *streamConn) Close() error {
	c.s.mu.Lock()
	delete(c.s.mu.conns, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

func (s *streamLayer) own(conn net.Conn) (net.Conn, bool) {
	c := &streamConn{conn, s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return nil, false
	}
	s.mu.conns[c] = struct{}{}
	return c, true
}

// Close implements net.Listener; raft calls it when it shuts down.
func (s *streamLayer) Close() error {
	s.shut()
	return nil
}

// shut ends the group's connections, which ends raft's goroutines that read them.
func (s *streamLayer) shut() {
	s.t.mu.Lock()
	if s.t.mu.streams[s.group] == s {
		delete(s.t.mu.streams, s.group)
	}
	s.t.mu.Unlock()
	s.mu.Lock()
	if s.mu.closed {
		s.mu.Unlock()
		return
	}
	s.mu.closed = true
	close(s.done)
	conns := make([]net.Conn, 0, len(s.mu.conns))
	for c := range s.mu.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}
