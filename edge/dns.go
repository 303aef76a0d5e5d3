package edge

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
	"github.com/dark-ecosystem/dark/edge/listen"
	"github.com/dark-ecosystem/dark/internal/clock"
)

// defaultDNSRate is far above what a resolver asks and far below what an attack needs.
const defaultDNSRate = 500

// chooseEvery is how often the time is compared with the beginnings of cookie secrets,
// which edges a few minutes apart bear (RFC 9018 4.3).
const chooseEvery = 10 * time.Second

// dnsServer is the DNS of a node: a handler, its settings and the secrets of its cookies.
type dnsServer struct {
	h     *serve.Handler
	clock clock.Clock

	mu struct {
		sync.Mutex
		settings serve.Settings
		secrets  cookieSecrets
	}
}

func newDNS(c *Config) *dnsServer {
	d := &dnsServer{h: serve.NewHandler(c.Clock), clock: c.Clock}
	rate := c.DNSRate
	if rate == 0 {
		rate = defaultDNSRate
	}
	d.mu.settings = serve.Settings{
		NSID: orName(c.NSID, c.Name), ServerID: orName(c.ServerID, c.Name),
		Rate: serve.Rate{PerSecond: max(rate, 0)},
	}
	d.h.Set(d.mu.settings)
	return d
}

// orName is a setting whose default is the node's name and which "-" turns off.
func orName(setting, name string) string {
	switch setting {
	case "":
		return name
	case "-":
		return ""
	}
	return setting
}

// part answers DNS over UDP, on a socket for each core, and over TCP.
func (d *dnsServer) part(c *Config) Part {
	return Part{
		Service: dns.Service(d.h.Swap),
		Listen:  listen.Options{Service: "dns", Addresses: c.DNS, UDP: runtime.GOMAXPROCS(0), TCP: 1},
		Serve: func(ctx context.Context, g *listen.Group) error {
			var watching sync.WaitGroup
			defer watching.Wait()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			watching.Go(func() { d.keepChoosing(ctx) })
			watching.Go(func() { c.sample(ctx, d.h) })
			return serveDNS(ctx, d.h, g)
		},
		Metrics: dnsMetrics{d.h, c.MetricNames},
		Zones:   d.zones,
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
		run(i, func() error { return h.ServeBatch(ctx, c) })
	}
	for i, l := range g.TCP() {
		run(len(g.UDP())+i, func() error { return h.ServeTCP(ctx, l, serve.Limits{}) })
	}
	all.Wait()
	return errors.Join(errs...)
}
