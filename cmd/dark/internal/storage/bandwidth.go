package storage

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// limits are what a run may take of the machine and the network.
type limits struct {
	parallel  int
	bandwidth rate
}

func (l *limits) flags(c *cobra.Command) {
	c.Flags().IntVar(&l.parallel, "parallel", defaultParallel, "transfers at once")
	l.bandwidthFlag(c)
}

func (l *limits) bandwidthFlag(c *cobra.Command) {
	bandwidthFlag(c.Flags(), &l.bandwidth)
	_ = c.RegisterFlagCompletionFunc("bandwidth", cobra.FixedCompletions([]string{"1MiB", "10MiB", "100MiB"},
		cobra.ShellCompDirectiveNoFileComp))
}

func bandwidthFlag(f *pflag.FlagSet, r *rate) {
	f.Var(r, "bandwidth", "at most so much a second over the network, for the whole run: 10MiB, 500KiB (default: no "+
		"limit)")
}

// slowest is the least bandwidth of each transfer: an endpoint of Dark ends a client that moves less
// than 1 KiB a second, and this leaves some room.
const slowest = 4 << 10

func (l limits) check() error {
	switch {
	case l.parallel < 1 || l.parallel > maxParallel:
		return usage("--parallel 8", "--parallel is from 1 to %d", maxParallel)
	case l.bandwidth != 0 && int64(l.bandwidth) < int64(l.parallel)*slowest:
		return usage("a larger --bandwidth, or --parallel 1",
			"--bandwidth %s is less than 4 KiB a second for each of %d transfers", &l.bandwidth, l.parallel)
	}
	return nil
}

// rate is octets a second; 0 is no limit. It is a value of a flag.
type rate int64

func (*rate) Type() string { return "size" }

func (r *rate) String() string {
	if *r == 0 {
		return ""
	}
	return size(int64(*r))
}

// unitsOfSize are by 1024 where they say so, and else by 1000.
var unitsOfSize = map[string]float64{
	"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "kib": 1 << 10,
	"mib": 1 << 20, "gib": 1 << 30,
}

// maxRate is beyond any network; up to it a float counts octets exactly.
const maxRate = 1 << 50

// Set reads 10MiB, 1.5 MB or 500k, with or without "/s". A letter alone is by 1024, as in rclone and curl.
func (r *rate) Set(text string) error {
	number := strings.TrimSuffix(strings.ToLower(strings.TrimSpace(text)), "/s")
	at := strings.IndexFunc(number, func(c rune) bool { return (c < '0' || c > '9') && c != '.' })
	unit := ""
	if at >= 0 {
		number, unit = number[:at], strings.TrimSpace(number[at:])
	}
	n, err := strconv.ParseFloat(number, 64)
	by, known := unitsOfSize[unit]
	if err != nil || !known || n*by < 1 || n*by > maxRate {
		return usage("--bandwidth 10MiB", "%q is no number of octets a second: 10MiB, 1.5MB, 500KiB", text)
	}
	*r = rate(n * by)
	return nil
}

// pacer spreads octets over time: all connections of a run share one.
type pacer struct {
	perSecond int64
	mu        struct {
		sync.Mutex
		free time.Time // when what was reserved so far has gone through
	}
}

// reserve says how long who moves n octets now waits before it goes on.
func (p *pacer) reserve(n int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.free.Before(now) {
		p.mu.free = now
	}
	p.mu.free = p.mu.free.Add(time.Duration(int64(n) * int64(time.Second) / p.perSecond))
	return p.mu.free.Sub(now)
}

// piece is how much is moved at once: a sixteenth of a second's, so that transfers take turns.
func (p *pacer) piece() int { return int(min(max(p.perSecond/16, 1<<10), 64<<10)) }

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

// dialer makes connections whose octets are counted.
func (p *pacer) dialer(dial dialer) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &pacedConn{Conn: c, pacer: p, closed: make(chan struct{})}, nil
	}
}

// pacedConn waits after each piece that it moved, until it is closed.
type pacedConn struct {
	net.Conn
	pacer  *pacer
	once   sync.Once
	closed chan struct{}
}

func (c *pacedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), c.pacer.piece())])
	c.wait(n)
	return n, err
}

func (c *pacedConn) Write(b []byte) (n int, err error) {
	for len(b) > 0 && err == nil {
		var m int
		m, err = c.Conn.Write(b[:min(len(b), c.pacer.piece())])
		c.wait(m)
		n, b = n+m, b[m:]
	}
	return n, err
}

func (c *pacedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (c *pacedConn) wait(n int) {
	if n == 0 {
		return
	}
	t := time.NewTimer(c.pacer.reserve(n, time.Now()))
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.closed:
	}
}
