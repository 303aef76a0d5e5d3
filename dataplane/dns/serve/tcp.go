package serve

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits of a TCP server (RFC 7766 6). Zero fields take the defaults.
type Limits struct {
	// Idle is how long a connection may stay without a whole message; 10 s.
	Idle time.Duration
	// Total is how long a connection may stay at all; 2 min.
	Total time.Duration
	// Write is how long one write may take, for clients that do not read; 5 s.
	Write time.Duration
	// Connections is the most at one time; 16,384. At the limit the one that has been
	// idle longest gives way.
	Connections int
	// PerAddress is the most at one time from one IPv4 address or IPv6 /64; 64.
	PerAddress int
	// Messages is the most on one connection; 10,000.
	Messages int
}

func (l Limits) withDefaults() Limits {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	num := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&l.Idle, 10*time.Second)
	def(&l.Total, 2*time.Minute)
	def(&l.Write, 5*time.Second)
	num(&l.Connections, 16384)
	num(&l.PerAddress, 64)
	num(&l.Messages, 10000)
	return l
}

// ServeTCP answers messages on connections that l accepts until ctx ends or l is
// closed; it closes l and waits for its connections then. Messages of one connection
// are answered in order and as they come, so that pipelining needs no queue (see the
// package's comment). The times in limits are told to who asks (RFC 7828).
func (h *Handler) ServeTCP(ctx context.Context, l net.Listener, limits Limits) error {
	return h.serveStream(ctx, l, limits, TCP)
}

func (h *Handler) serveStream(ctx context.Context, l net.Listener, limits Limits, via Transport) error {
	s := &streams{h: h, limits: limits.withDefaults(), via: via}
	s.mu.conns = map[*stream]struct{}{}
	s.mu.from = map[netip.Prefix]int{}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	defer s.wait()
	defer l.Close()
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			s.start(c)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil //nolint:nilerr // it was told to end
		case !pause(ctx, err):
			return err
		}
	}
}

// pause waits after an error of Accept that may pass, such as too many open files.
func pause(ctx context.Context, err error) bool {
	var t interface{ Temporary() bool }
	if !errors.As(err, &t) || !t.Temporary() {
		return false
	}
	timer := time.NewTimer(10 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return true
}

// streams are the connections of one listener.
type streams struct {
	h      *Handler
	limits Limits
	via    Transport
	group  sync.WaitGroup
	mu     struct {
		sync.Mutex
		conns map[*stream]struct{}
		from  map[netip.Prefix]int
	}
}

// stream is one connection, owned by its goroutine but for last, which mu guards.
type stream struct {
	net.Conn
	peer   netip.AddrPort
	prefix netip.Prefix
	last   time.Time // when it last brought a whole message
}

// start serves c, or closes it when its address has too many already.
func (s *streams) start(c net.Conn) {
	st := &stream{Conn: c, last: time.Now()}
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		st.peer = a.AddrPort()
	}
	st.prefix = clientPrefix(st.peer.Addr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.from[st.prefix] >= s.limits.PerAddress {
		c.Close()
		return
	}
	if len(s.mu.conns) >= s.limits.Connections {
		s.evictLocked()
	}
	s.mu.conns[st] = struct{}{}
	s.mu.from[st.prefix]++
	s.group.Go(func() {
		defer s.end(st)
		s.serve(st)
	})
}

// evictLocked closes the connection that has been idle longest of a few: the map's
// order is random, and the worst of eight is bad enough.
func (s *streams) evictLocked() {
	var worst *stream
	n := 0
	for st := range s.mu.conns {
		if worst == nil || st.last.Before(worst.last) {
			worst = st
		}
		if n++; n == 8 {
			break
		}
	}
	s.forgetLocked(worst)
	worst.Close()
}

func (s *streams) forgetLocked(st *stream) {
	if _, ok := s.mu.conns[st]; !ok {
		return
	}
	delete(s.mu.conns, st)
	if s.mu.from[st.prefix]--; s.mu.from[st.prefix] == 0 {
		delete(s.mu.from, st.prefix)
	}
}

func (s *streams) end(st *stream) {
	st.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLocked(st)
}

// wait closes all connections and waits for their goroutines.
func (s *streams) wait() {
	s.mu.Lock()
	for st := range s.mu.conns {
		st.Close()
	}
	s.mu.Unlock()
	s.group.Wait()
}

// clientPrefix is what counts as one client: an IPv4 address or an IPv6 /64.
func clientPrefix(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// serve answers the messages of one connection. Answers gather in the writer until
// no whole message is waiting, so that pipelined ones share a write.
func (s *streams) serve(st *stream) {
	end := time.Now().Add(s.limits.Total)
	r := bufio.NewReaderSize(st, 2048)
	var out []byte
	for range s.limits.Messages {
		deadline := time.Now().Add(s.limits.Idle)
		if end.Before(deadline) {
			deadline = end
		}
		if st.SetReadDeadline(deadline) != nil {
			return
		}
		msg, err := readMessage(r)
		if err != nil {
			return
		}
		s.mu.Lock()
		st.last = time.Now()
		s.mu.Unlock()
		at := len(out)
		out = s.h.handle(append(out, 0, 0), msg, st.peer, s.via, s.allowance(end))
		query := len(out) > at+2
		if query {
			binary.BigEndian.PutUint16(out[at:], uint16(len(out)-at-2))
			if waiting(r) && len(out) < maxMessage {
				continue
			}
		} else {
			out = out[:at]
		}
		if !s.write(st, out) || !query {
			return // what sends no queries has no business here
		}
		out = out[:0]
		if cap(out) > 16384 {
			out = nil // a rare large answer must not stay with ten thousand idle clients
		}
	}
}

// allowance is how long a stream that must end at end may idle after this message; 0,
// which asks the client to go, when all places are taken (RFC 7828 3.3.2).
func (s *streams) allowance(end time.Time) time.Duration {
	s.mu.Lock()
	full := len(s.mu.conns) >= s.limits.Connections
	s.mu.Unlock()
	if full {
		return 0
	}
	return max(0, min(s.limits.Idle, time.Until(end)))
}

func (s *streams) write(st *stream, out []byte) bool {
	if st.SetWriteDeadline(time.Now().Add(s.limits.Write)) != nil {
		return false
	}
	_, err := st.Write(out)
	return err == nil
}

// readMessage returns the next message, in a buffer of the reader where it fits.
func readMessage(r *bufio.Reader) ([]byte, error) {
	head, err := r.Peek(2)
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(head))
	if _, err := r.Discard(2); err != nil {
		return nil, err
	}
	if n <= r.Size() {
		msg, err := r.Peek(n)
		if err != nil {
			return nil, err
		}
		_, err = r.Discard(n)
		return msg, err
	}
	msg := make([]byte, n)
	_, err = io.ReadFull(r, msg)
	return msg, err
}

// waiting reports whether a whole message has already been read.
func waiting(r *bufio.Reader) bool {
	if r.Buffered() < 2 {
		return false
	}
	head, err := r.Peek(2)
	return err == nil && r.Buffered() >= 2+int(binary.BigEndian.Uint16(head))
}
