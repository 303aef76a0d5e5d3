//go:build unix

// Package listen owns an edge's sockets: for each address a group of UDP sockets and TCP
// listeners that share it by SO_REUSEPORT, so that each core reads from one of its own.
//
// A Group is immutable but for being closed; its sockets may be used from any goroutine.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Options of a Group.
type Options struct {
	// Service is named in errors, such as "dns".
	Service string
	// Addresses are IP addresses with ports, such as "127.0.0.1:53" and "[::1]:53". With
	// port 0 the first gets a free one, and all others with port 0 the same.
	Addresses []string
	// UDP and TCP are how many sockets of each share an address; 0: none.
	UDP, TCP int
	// Share takes an address that another process shares by SO_REUSEPORT, as in the
	// hand-over of an upgrade; else such an address is in use.
	Share bool
	// Buffer of a UDP socket each way in octets, as far as the system allows; 0: 4 MiB.
	Buffer int
}

// Group is the sockets of one service.
type Group struct {
	udp  []*net.UDPConn
	tcp  []net.Listener
	list []netip.AddrPort
	once sync.Once
}

// Open binds all sockets, or none.
func Open(ctx context.Context, o Options) (*Group, error) {
	if o.Buffer == 0 {
		o.Buffer = 4 << 20
	}
	g := &Group{}
	port := uint16(0)
	for _, a := range o.Addresses {
		at, err := netip.ParseAddrPort(a)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen for %s on %q: not an IP address with a port, such as "+
				"127.0.0.1:53 or [::1]:53", o.Service, a), g.Close())
		}
		if at.Port() == 0 {
			at = netip.AddrPortFrom(at.Addr(), port)
		}
		if at, err = g.open(ctx, o, at); err != nil {
			return nil, errors.Join(err, g.Close())
		}
		port = at.Port()
	}
	return g, nil
}

// open binds one address. A free port that UDP got may be taken for TCP: then another
// is tried.
func (g *Group) open(ctx context.Context, o Options, at netip.AddrPort) (netip.AddrPort, error) {
	var err error
	for range 16 {
		part := &Group{}
		var got netip.AddrPort
		if got, err = part.bind(ctx, o, at); err == nil {
			g.udp, g.tcp, g.list = append(g.udp, part.udp...), append(g.tcp, part.tcp...), append(g.list, got)
			return got, nil
		}
		err = errors.Join(err, part.Close())
		if at.Port() != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return at, err
}

func (g *Group) bind(ctx context.Context, o Options, at netip.AddrPort) (netip.AddrPort, error) {
	for range o.UDP {
		c, err := bindUDP(ctx, o, at, len(g.udp) == 0)
		if err != nil {
			return at, explain(o.Service, "udp", at, err)
		}
		g.udp = append(g.udp, c)
		at = netip.AddrPortFrom(at.Addr(), c.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	}
	for range o.TCP {
		l, err := bindTCP(ctx, o, at, len(g.tcp) == 0)
		if err != nil {
			return at, explain(o.Service, "tcp", at, err)
		}
		g.tcp = append(g.tcp, l)
		at = netip.AddrPortFrom(at.Addr(), l.Addr().(*net.TCPAddr).AddrPort().Port())
	}
	return at, nil
}

func bindUDP(ctx context.Context, o Options, at netip.AddrPort, first bool) (*net.UDPConn, error) {
	if first && !o.Share && at.Port() != 0 {
		alone := net.ListenConfig{Control: control(at, false)}
		c, err := alone.ListenPacket(ctx, network("udp", at), at.String())
		if err != nil {
			return nil, err
		}
		if err := c.Close(); err != nil {
			return nil, err
		}
	}
	shared := net.ListenConfig{Control: control(at, true)}
	c, err := shared.ListenPacket(ctx, network("udp", at), at.String())
	if err != nil {
		return nil, err
	}
	u := c.(*net.UDPConn)
	// As large as the system allows: a smaller one only drops earlier in a burst.
	_ = u.SetReadBuffer(o.Buffer)
	_ = u.SetWriteBuffer(o.Buffer)
	return u, nil
}

func bindTCP(ctx context.Context, o Options, at netip.AddrPort, first bool) (net.Listener, error) {
	if first && !o.Share && at.Port() != 0 {
		alone := net.ListenConfig{Control: control(at, false)}
		l, err := alone.Listen(ctx, network("tcp", at), at.String())
		if err != nil {
			return nil, err
		}
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	shared := net.ListenConfig{Control: control(at, true)}
	return shared.Listen(ctx, network("tcp", at), at.String())
}

// control sets what must be set before bind. Sharing a port is asked for only once it
// is known that no other process has it: SO_REUSEPORT would let two edges answer in
// turn without a word. [::] and 0.0.0.0 may both be bound, as [::] is IPv6 alone.
func control(at netip.AddrPort, share bool) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) {
			if share {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}
			if at.Addr().Is6() && err == nil {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
			}
		})
		return errors.Join(cerr, err)
	}
}

func network(proto string, at netip.AddrPort) string {
	if at.Addr().Is4() {
		return proto + "4"
	}
	return proto + "6"
}

// explain says which address failed and what to do.
func explain(service, proto string, at netip.AddrPort, err error) error {
	var hint string
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = fmt.Sprintf("another process has it: `ss -l%cnp 'sport = :%d'` names it; stop it, or give another "+
			"address", proto[0], at.Port())
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		hint = "ports below 1024 need root or CAP_NET_BIND_SERVICE; give a port of 1024 or above, or the capability"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "no interface of this machine has the address: `ip addr` lists them"
	case errors.Is(err, syscall.EAFNOSUPPORT):
		hint = "this machine has no IPv6; leave the address out"
	case errors.Is(err, syscall.EMFILE):
		hint = "too many open files: raise `ulimit -n`"
	default:
		return fmt.Errorf("listen for %s on %s %s: %w", service, proto, at, err)
	}
	return fmt.Errorf("listen for %s on %s %s: %s (%w)", service, proto, at, hint, err)
}

// UDP lists the UDP sockets, those of an address beside each other.
func (g *Group) UDP() []*net.UDPConn { return g.udp }

// TCP lists the listeners.
func (g *Group) TCP() []net.Listener { return g.tcp }

// Addresses lists what was bound, with the ports that were chosen.
func (g *Group) Addresses() []netip.AddrPort { return g.list }

// Drain stops taking connections and messages, and returns when served is closed, which
// the server does once all that it had begun is done, or when ctx ends.
func (g *Group) Drain(ctx context.Context, served <-chan struct{}) error {
	err := g.Close()
	select {
	case <-served:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("drain: %w", context.Cause(ctx)))
	}
}

// Close closes all sockets; a second call does nothing.
func (g *Group) Close() error {
	var err error
	g.once.Do(func() {
		for _, c := range g.udp {
			err = errors.Join(err, ignoreClosed(c.Close()))
		}
		for _, l := range g.tcp {
			err = errors.Join(err, ignoreClosed(l.Close()))
		}
	})
	return err
}

// ignoreClosed: servers close the sockets that they were given, too.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
