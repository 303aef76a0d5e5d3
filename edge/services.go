package edge

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
	"github.com/dark-ecosystem/dark/edge/listen"
)

// defaultDNSRate is far above what a resolver asks and far below what an attack needs.
const defaultDNSRate = 500

// Services are all that the program has.
func Services(c *Config) ([]Part, error) {
	return []Part{dnsPart(c)}, nil
}

// dnsPart answers DNS over UDP, on a socket for each core, and over TCP.
func dnsPart(c *Config) Part {
	h := serve.NewHandler(c.Clock)
	rate := c.DNSRate
	if rate == 0 {
		rate = defaultDNSRate
	}
	h.Set(serve.Settings{NSID: c.Name, ServerID: c.Name, Rate: serve.Rate{PerSecond: max(rate, 0)}})
	return Part{
		Service: dns.Service(h.Swap),
		Listen:  listen.Options{Service: "dns", Addresses: c.DNS, UDP: runtime.GOMAXPROCS(0), TCP: 1},
		Serve:   func(ctx context.Context, g *listen.Group) error { return serveDNS(ctx, h, g) },
	}
}

// serveDNS serves every socket until ctx ends, or until one fails.
func serveDNS(ctx context.Context, h *serve.Handler, g *listen.Group) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, len(g.UDP())+len(g.TCP()))
	run := func(i int, f func() error) {
		all.Go(func() {
			errs[i] = f()
			cancel()
		})
	}
	for i, c := range g.UDP() {
		run(i, func() error { return h.ServeUDP(ctx, c) })
	}
	for i, l := range g.TCP() {
		run(len(g.UDP())+i, func() error { return h.ServeTCP(ctx, l, serve.Limits{}) })
	}
	all.Wait()
	return errors.Join(errs...)
}
