package consensus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/preauth"
)

// transport owns the listener and every connection of a Node. All connections are
// mutual TLS 1.3. The first bytes inside say what a connection is for:
//
//	0 version u8 (1) | 1 kind u8 ('r' raft, 'c' calls) | 2 length u8 | name of the group
type transport struct {
	node *Node
	ctx  context.Context // ends with close
	stop context.CancelFunc
	work sync.WaitGroup
	door *preauth.Listener

	mu struct {
		sync.Mutex
		conns    map[*trackedConn]struct{}
		streams  map[string]*streamLayer
		handlers map[string]Handler
		clients  map[string]*client
		closed   bool
	}
}

const (
	wireVersion = 1
	kindRaft    = 'r'
	kindCalls   = 'c'

	// handshakeTimeout bounds what somebody without a certificate can hold.
	handshakeTimeout = 10 * time.Second
)

// strangers bounds connections whose certificate was not seen. Members are few, and theirs
// are counted apart once one of their host's was: no number of silent strangers keeps one out.
var strangers = preauth.Limits{Total: 512, PerSource: 64, Deadline: handshakeTimeout, Known: 256}

func newTransport(n *Node) *transport {
	t := &transport{node: n, door: preauth.Listen(n.cfg.Listener, strangers)}
	t.ctx, t.stop = context.WithCancel(context.Background())
	t.mu.conns = map[*trackedConn]struct{}{}
	t.mu.streams = map[string]*streamLayer{}
	t.mu.handlers = map[string]Handler{}
	t.mu.clients = map[string]*client{}
	return t
}

// Strangers counts the connections whose members were not known.
func (n *Node) Strangers() preauth.Stats { return n.trans.door.Stats() }

func (t *transport) start() { t.work.Go(t.accept) }

func (t *transport) accept() {
	for {
		conn, err := t.door.Accept()
		if t.ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: wait for some to be closed.
			t.node.cfg.Logger.Warn("consensus: accept", "error", err)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-t.ctx.Done():
			}
			continue
		}
		t.work.Go(func() { t.greet(conn) })
	}
}

// greet authenticates a connection and hands it to what it is for.
func (t *transport) greet(raw net.Conn) {
	conn, peer, kind, group, err := t.handshake(raw)
	if err != nil {
		if t.ctx.Err() == nil {
			t.node.cfg.Logger.Log(t.ctx, refusedLevel(err), "consensus: connection refused",
				"from", raw.RemoteAddr().String(), "error", err)
		}
		_ = raw.Close()
		return
	}
	tracked, ok := t.track(conn)
	if !ok {
		return
	}
	if kind == kindCalls {
		t.serveCalls(tracked, peer)
		return
	}
	t.mu.Lock()
	s := t.mu.streams[group]
	t.mu.Unlock()
	if s == nil || !s.deliver(tracked) {
		_ = tracked.Close()
	}
}

func (t *transport) handshake(raw net.Conn) (conn *tls.Conn, peer string, kind byte, group string, err error) {
	ctx, cancel := context.WithTimeout(t.ctx, handshakeTimeout)
	defer cancel()
	conn = tls.Server(raw, t.serverTLS())
	if err = conn.HandshakeContext(ctx); err != nil {
		return nil, "", 0, "", err
	}
	if peer, err = t.peer(conn); err != nil {
		return nil, "", 0, "", err
	}
	deadline, _ := ctx.Deadline()
	if err = conn.SetReadDeadline(deadline); err != nil {
		return nil, "", 0, "", err
	}
	if kind, group, err = readPreamble(conn); err != nil {
		return nil, "", 0, "", err
	}
	if own := preauth.Of(raw); own != nil {
		own.Authenticated()
	}
	return conn, peer, kind, group, conn.SetReadDeadline(time.Time{})
}

// refusedLevel: who shows no certificate can connect as often as it likes, and fills no log.
func refusedLevel(err error) slog.Level {
	var n net.Error
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.As(err, &n) {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

func preamble(kind byte, group string) []byte {
	return append([]byte{wireVersion, kind, byte(len(group))}, group...)
}

func readPreamble(r io.Reader) (kind byte, group string, err error) {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, "", err
	}
	if head[0] != wireVersion {
		return 0, "", fmt.Errorf("wire version %d is not known here", head[0])
	}
	name := make([]byte, head[2])
	if _, err := io.ReadFull(r, name); err != nil {
		return 0, "", err
	}
	switch {
	case head[1] == kindRaft && validName(string(name)):
	case head[1] == kindCalls && len(name) == 0:
	default:
		return 0, "", fmt.Errorf("connection of kind %q for %q", head[1], name)
	}
	return head[1], string(name), nil
}

// serverTLS asks for a certificate and lets Peer judge it within the handshake.
func (t *transport) serverTLS() *tls.Config {
	c := t.baseTLS()
	c.ClientAuth = tls.RequireAndVerifyClientCert
	c.VerifyConnection = func(s tls.ConnectionState) error {
		_, err := t.peerOf(s)
		return err
	}
	return c
}

// clientTLS verifies the chain itself: members are known by what Peer says of their
// certificate, not by the address at which they are reached.
func (t *transport) clientTLS() *tls.Config {
	c := t.baseTLS()
	c.InsecureSkipVerify = true // the name check alone; VerifyConnection checks the rest
	roots := c.RootCAs
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if roots == nil {
			return errors.New("no roots to verify members by")
		}
		if len(s.PeerCertificates) == 0 {
			return errors.New("no certificate")
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		opts := x509.VerifyOptions{
			Roots: roots, Intermediates: between,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		if _, err := s.PeerCertificates[0].Verify(opts); err != nil {
			return err
		}
		_, err := t.peerOf(s)
		return err
	}
	return c
}

func (t *transport) baseTLS() *tls.Config {
	c := t.node.cfg.TLS.Config().Clone()
	c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS13
	c.SessionTicketsDisabled = true // each connection is judged anew
	c.ClientSessionCache = nil
	c.NextProtos = nil
	return c
}

func (t *transport) peer(c *tls.Conn) (string, error) { return t.peerOf(c.ConnectionState()) }

func (t *transport) peerOf(s tls.ConnectionState) (string, error) {
	if len(s.PeerCertificates) == 0 {
		return "", errors.New("no certificate")
	}
	return t.node.cfg.TLS.Peer(s.PeerCertificates[0])
}

// dial connects to a member and says what for.
func (t *transport) dial(ctx context.Context, addr string, kind byte, group string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, t.clientTLS())
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("handshake with %s: %w", addr, err), raw.Close())
	}
	if _, err := conn.Write(preamble(kind, group)); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	tracked, ok := t.track(conn)
	if !ok {
		return nil, ErrClosed
	}
	return tracked, nil
}

// trackedConn is a connection that close can end.
type trackedConn struct {
	net.Conn
	tls  *tls.Conn
	t    *transport
	ends *time.Timer // at the end of the other side's certificate
	once sync.Once
	err  error
}

// track makes the Node the owner of conn; false, with conn closed, when it is closed, or when
// its other side was refused by a Recheck that did not see it yet.
func (t *transport) track(conn *tls.Conn) (net.Conn, bool) {
	c := &trackedConn{Conn: conn, tls: conn, t: t}
	if certs := conn.ConnectionState().PeerCertificates; len(certs) > 0 { // else it is refused below
		c.ends = time.AfterFunc(time.Until(certs[0].NotAfter), func() { _ = c.Close() })
	}
	t.mu.Lock()
	closed := t.mu.closed
	if !closed {
		t.mu.conns[c] = struct{}{}
	}
	t.mu.Unlock()
	if _, err := t.peer(conn); closed || err != nil {
		_ = c.Close()
		return nil, false
	}
	return c, true
}

func (c *trackedConn) Close() error {
	c.once.Do(func() {
		c.t.mu.Lock()
		delete(c.t.mu.conns, c)
		c.t.mu.Unlock()
		if c.ends != nil {
			c.ends.Stop()
		}
		// Straight to the socket: a polite farewell could wait for a dead peer.
		c.err = c.tls.NetConn().Close()
	})
	return c.err
}

// Recheck asks TLS.Peer again about the other side of each open connection, and ends those
// that it refuses now.
func (n *Node) Recheck() {
	n.trans.mu.Lock()
	conns := make([]*trackedConn, 0, len(n.trans.mu.conns))
	for c := range n.trans.mu.conns {
		conns = append(conns, c)
	}
	n.trans.mu.Unlock()
	for _, c := range conns {
		peer, err := n.trans.peer(c.tls)
		if err != nil {
			n.cfg.Logger.Warn("consensus: connection ended", "peer", peer, "with", c.RemoteAddr().String(),
				"error", err)
			_ = c.Close()
		}
	}
}

// close ends all connections and waits for what served them.
func (t *transport) close() error {
	t.stop()
	err := t.door.Close()
	t.mu.Lock()
	t.mu.closed = true
	conns := make([]*trackedConn, 0, len(t.mu.conns))
	for c := range t.mu.conns {
		conns = append(conns, c)
	}
	t.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
	t.work.Wait()
	return err
}
