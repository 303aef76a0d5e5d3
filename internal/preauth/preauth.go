// Package preauth bounds what connections cost before their caller is authenticated.
//
// A Listener hands out every connection that arrives and counts it as unauthenticated
// until its owner says otherwise. There is a bound for all of them together, a bound for
// each source (an IPv4 address, or an IPv6 /64, which is what one host is usually given),
// and a deadline. Where a bound is reached the oldest unauthenticated connection is closed:
// an honest handshake takes milliseconds, so a flood of silent connections closes its own.
//
// Sources that authenticated before may be remembered (Limits.Known). Their connections
// are counted apart, so that no number of strangers closes one of them.
//
// All bookkeeping of a Listener is under one lock and takes O(1) for an event; connections
// are closed outside of it.
package preauth

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Limits bound the unauthenticated connections of a listener. A bound of zero is none.
type Limits struct {
	Total     int           // connections in all
	PerSource int           // connections of one source
	Deadline  time.Duration // from Accept, or Unauthenticated, until Authenticated
	Known     int           // how many sources that authenticated are remembered, the latest
}

// Stats are counters since the listener began, and how many connections wait now.
type Stats struct {
	Accepted         uint64
	ClosedByFull     uint64 // closed to make room
	ClosedByDeadline uint64
	Waiting          int // unauthenticated now
}

// Listener counts the connections that it hands out.
type Listener struct {
	net.Listener
	limits Limits

	mu struct {
		sync.Mutex
		strangers, known waiting
		sources          sources
		stats            Stats
	}
}

// Listen bounds the unauthenticated connections of l, which it closes when it is closed.
func Listen(l net.Listener, limits Limits) *Listener {
	b := &Listener{Listener: l, limits: limits}
	b.mu.strangers = newWaiting()
	b.mu.known = newWaiting()
	b.mu.sources = newSources(limits.Known)
	return b
}

// Accept waits for the next connection. It is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: inner, listener: l, source: SourceOf(inner.RemoteAddr().String())}
	l.mu.Lock()
	l.mu.stats.Accepted++
	l.mu.Unlock()
	l.enter(c)
	return c, nil
}

// Stats returns the counters.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.mu.stats
	s.Waiting = l.mu.strangers.all.Len() + l.mu.known.all.Len()
	return s
}

// enter counts c and closes whom it displaces.
func (l *Listener) enter(c *Conn) {
	l.mu.Lock()
	displaced := l.enterLocked(c)
	l.mu.Unlock()
	for _, d := range displaced {
		d.Conn.Close()
	}
}

func (l *Listener) enterLocked(c *Conn) (displaced []*Conn) {
	if c.closed || c.waiting != nil {
		return nil
	}
	w := &l.mu.strangers
	if l.mu.sources.has(c.source) {
		w = &l.mu.known
	}
	for d := w.oldestOver(c.source, l.limits); d != nil; d = w.oldestOver(c.source, l.limits) {
		d.leaveLocked()
		d.closed = true
		l.mu.stats.ClosedByFull++
		displaced = append(displaced, d)
	}
	w.add(c)
	if l.limits.Deadline > 0 {
		turn := c.turn
		c.timer = time.AfterFunc(l.limits.Deadline, func() { l.expire(c, turn) })
	}
	return displaced
}

// expire closes c if it still waits as it did when the timer was set.
func (l *Listener) expire(c *Conn, turn uint64) {
	l.mu.Lock()
	late := c.waiting != nil && c.turn == turn
	if late {
		c.leaveLocked()
		c.closed = true
		l.mu.stats.ClosedByDeadline++
	}
	l.mu.Unlock()
	if late {
		c.Conn.Close()
	}
}

// Conn is a connection of a Listener. Its fields below listener are guarded by the
// listener's lock.
type Conn struct {
	net.Conn
	listener *Listener
	source   netip.Prefix

	waiting         *waiting      // where it is counted; nil while it is authenticated
	inAll, ofSource *list.Element // its places there
	timer           *time.Timer
	turn            uint64 // rises each time it stops waiting, so that an old timer is no concern
	closed          bool
}

// Authenticated says that the caller is known: the connection no longer counts, and its
// deadline is lifted.
func (c *Conn) Authenticated() {
	l := c.listener
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.closed {
		return
	}
	c.leaveLocked()
	l.mu.sources.remember(c.source)
}

// Unauthenticated counts the connection again, as the youngest and with a deadline from
// now. A server calls it between the requests of a connection that each state their caller.
func (c *Conn) Unauthenticated() { c.listener.enter(c) }

// Close closes the connection and gives its place back.
func (c *Conn) Close() error {
	l := c.listener
	l.mu.Lock()
	c.leaveLocked()
	c.closed = true
	l.mu.Unlock()
	return c.Conn.Close()
}

// NetConn is the connection below.
func (c *Conn) NetConn() net.Conn { return c.Conn }

func (c *Conn) leaveLocked() {
	if c.waiting == nil {
		return
	}
	c.waiting.remove(c)
	c.turn++
	if c.timer != nil {
		c.timer.Stop()
	}
}

// Of finds the Conn below a connection, for instance a *tls.Conn; nil if there is none.
func Of(c net.Conn) *Conn {
	for c != nil {
		if own, ok := c.(*Conn); ok {
			return own
		}
		wrapper, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = wrapper.NetConn()
	}
	return nil
}
