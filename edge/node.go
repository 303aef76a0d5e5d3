// Package edge is an edge node: it follows the feed, keeps what it is told, compiles it
// for its services and serves them, with or without a control plane. It is the only
// place where services meet.
//
// A Node belongs to the goroutine of Run; its other methods may be called from anywhere.
package edge

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/edge/listen"
	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/kind"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Config of a Node; the first group is required.
type Config struct {
	// Dir is where the node keeps what it was told.
	Dir string
	// Name of the node, as in its certificate.
	Name string
	// ClusterID and PublishingKey were learnt at the join.
	ClusterID     string
	PublishingKey ed25519.PublicKey
	// TLS returns what to connect to control nodes with: this node's certificate and
	// the cluster's CA.
	TLS func() (*tls.Config, error)
	// Control judges a control node's certificate by the deny set; nil: TLS alone judges.
	Control func(c *x509.Certificate, denied func(subject string) bool) error

	// Feeds are addresses (host:port) of control nodes, beside those learnt from records.
	Feeds []string
	// Certificate in use, Request for a new one (DER) and Install of the answer (leaf
	// first): by these it is renewed. None is needed where it is not.
	Certificate func() *x509.Certificate
	Request     func() ([]byte, error)
	Install     func(chain [][]byte) error

	// DNS are the addresses to answer DNS on, IP and port; none: no DNS.
	DNS []string
	// DNSRate is the most answers a second over UDP that one network (/24, /56) gets;
	// 0: 500, negative: no limit.
	DNSRate int
	// NSID and ServerID are what DNS says of this server (RFC 5001, 4892); empty: the
	// node's name, "-": nothing.
	NSID, ServerID string
	// QueryLog is a file that lines of JSON of queries are appended to; DNSTap a file, or
	// a Unix socket that a reader listens on, for dnstap. Empty: none. Of QueryLogSample
	// queries one goes to both; 0: each.
	QueryLog, DNSTap string
	QueryLogSample   int
	// S3 are the addresses to answer S3 on, IP and port; none: no S3, and no store. S3TLS
	// is what it speaks; nil is HTTP in clear, for loopback addresses only. S3Domains are
	// base domains whose subdomains are buckets. S3Log is a file that lines of JSON of
	// requests to buckets that keep a log are appended to; empty: none.
	S3        []string
	S3TLS     *tls.Config
	S3Domains []string
	S3Log     string
	// Lifecycle is the time between passes that end what buckets' rules say is due, Scrub
	// the time from one scrub of the store to the next; 0: an hour, and 7 days.
	Lifecycle, Scrub time.Duration
	// Services are the parts that this node runs; nil: all that the program has.
	Services func(*Config) ([]Part, error)

	Version string
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	// MetricNames: the metrics name the busiest zones and buckets, which are tenants' names.
	MetricNames bool
	Clock       clock.Clock
	// Times of the feed; zero fields have their defaults.
	Times config.Times

	node *Node // whose it is
}

// Part is one service as a node runs it.
type Part struct {
	kind.Service
	// Listen says which sockets it needs; none when it has no addresses.
	Listen listen.Options
	// Serve serves them until ctx ends, and then returns when what it had begun is done.
	Serve func(ctx context.Context, g *listen.Group) error
	// Metrics that Prometheus is told, nil for none.
	Metrics prometheus.Collector
	// Zones yields the counts of zones since the start, nil for none.
	Zones iter.Seq[*feedv1.ZoneStats]
	// Storage returns what is said of the store upward, nil for none.
	Storage func() *storagev1.StorageStats
	// Ends is when the first of the keys that the part was given ends, the zero time for
	// never; nil where there are none.
	Ends func() time.Time
	// Ready says why the part cannot do its work now, nil where it always can.
	Ready func() error
	// Local adds what the part answers on the edge's local socket, nil for nothing.
	Local func(mux *http.ServeMux)
	// Close releases what the part holds, after Serve has returned or was never called;
	// nil for nothing.
	Close func() error
}

// Node is one edge.
type Node struct {
	cfg     Config
	config  *config.Config
	view    *view.View
	parts   []*part
	begun   time.Time
	loaded  time.Duration
	starts  uint64
	failed  []string // services whose files are damaged
	metrics []prometheus.Collector

	mu struct {
		sync.Mutex
		serving bool
	}
}

type part struct {
	Part
	group *listen.Group
}

// New reads what the node was told before, compiles it and binds its addresses, so that
// Run answers at once. It needs no control node. Call Run, or Close, once.
func New(cfg Config) (*Node, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Services == nil {
		cfg.Services = Services
	}
	n := &Node{cfg: cfg, begun: time.Now()}
	n.cfg.node = n
	parts, err := cfg.Services(&n.cfg)
	if err != nil {
		return nil, fmt.Errorf("edge %s: %w", cfg.Name, err)
	}
	services := make([]kind.Service, len(parts))
	for i, p := range parts {
		n.parts = append(n.parts, &part{Part: p})
		services[i] = p.Service
	}
	if n.view, err = view.New(cfg.Logger, services...); err != nil {
		return nil, fmt.Errorf("edge %s: %w", cfg.Name, errors.Join(err, n.Close()))
	}
	if err := n.open(); err != nil {
		return nil, fmt.Errorf("edge %s: %w", cfg.Name, errors.Join(err, n.Close()))
	}
	return n, nil
}

// open loads, compiles, binds and counts.
func (n *Node) open() error {
	c, changes, err := config.Open(n.options())
	if err != nil {
		return err
	}
	n.config = c
	n.starts = countStart(n.cfg.Dir)
	refused := n.view.Apply(c.Revision(), changes)
	c.Report(refused)
	for _, r := range refused {
		n.cfg.Logger.Warn("edge: refused at the start", "stream", r.Stream, "kind", r.Kind, "name", r.Name,
			"reason", r.Reason)
	}
	n.loaded = time.Since(n.begun)
	n.cfg.Logger.Info("edge: configuration loaded", "records", len(changes), "revision", c.Revision(), "took", n.loaded)
	for _, p := range n.parts {
		if len(p.Listen.Addresses) == 0 {
			continue
		}
		if p.group, err = listen.Open(context.Background(), p.Listen); err != nil {
			return err
		}
	}
	return n.count()
}

// self is who this edge is, by its certificate where it has one.
func (n *Node) self() ca.Name {
	if n.cfg.Certificate != nil {
		if name, err := ca.NameOf(n.cfg.Certificate()); err == nil {
			return name
		}
	}
	return ca.Name{Cluster: n.cfg.ClusterID, Role: ca.Edge, Node: n.cfg.Name}
}

func (n *Node) options() config.Options {
	return config.Options{
		Dir: n.cfg.Dir, Cluster: n.cfg.ClusterID, Pinned: n.cfg.PublishingKey, TLS: n.cfg.TLS,
		Peer: n.cfg.Control, Self: n.self, Feeds: n.cfg.Feeds, Version: n.cfg.Version, Kinds: n.view.Kinds(),
		Certificate: n.cfg.Certificate, Request: n.cfg.Request, Install: n.cfg.Install,
		Log: n.cfg.Logger, Clock: n.cfg.Clock, Times: n.cfg.Times, Zones: n.zoneStats,
		Storage: n.storageStats, Ends: n.ends,
	}
}

// Run serves and follows the feed until ctx ends or something fails that the node
// cannot go on without, drains its services, and closes the node.
func (n *Node) Run(ctx context.Context) error {
	defer n.setServing(false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed firstError
	var serving, following sync.WaitGroup
	for _, p := range n.parts {
		if p.group == nil {
			continue
		}
		serving.Go(func() {
			err := p.Serve(ctx, p.group)
			if ctx.Err() == nil {
				failed.set(fmt.Errorf("serve %s: %w", p.Name, errors.Join(err, errStopped)))
			}
			cancel()
		})
	}
	following.Go(func() {
		if err := n.serveLocal(ctx); err != nil {
			n.cfg.Logger.Warn("edge: the local socket is not served; `darkd fsck` needs the edge stopped", "err", err)
		}
	})
	n.setServing(true)
	n.sayServing()
	// The feed is followed until nothing is served any more.
	fctx, stop := context.WithCancel(context.Background())
	defer stop()
	following.Go(func() {
		if err := n.config.Run(fctx, n.view); err != nil {
			failed.set(err)
			cancel()
		}
	})
	<-ctx.Done()
	n.setServing(false)
	serving.Wait()
	stop()
	following.Wait()
	if err := errors.Join(failed.get(), n.Close()); err != nil {
		return fmt.Errorf("edge %s: %w", n.cfg.Name, err)
	}
	return nil
}

// errStopped is a server that ended though nobody asked.
var errStopped = errors.New("it stopped")

// firstError keeps the first error of several goroutines.
type firstError struct {
	sync.Mutex
	err error
}

func (f *firstError) set(err error) {
	f.Lock()
	defer f.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.Lock()
	defer f.Unlock()
	return f.err
}

// sayServing tells where this edge answers, as a control node does.
func (n *Node) sayServing() {
	said := []any{"node", n.cfg.Name, "version", n.cfg.Version}
	for _, p := range n.parts {
		if p.group != nil {
			said = append(said, p.Name, p.Listen.Addresses)
		}
	}
	n.cfg.Logger.Info("this edge serves", said...)
}

func (n *Node) setServing(v bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.serving = v
}

// Close releases what New took, when Run is not called.
func (n *Node) Close() error {
	var err error
	for _, p := range n.parts {
		if p.group != nil {
			err = errors.Join(err, p.group.Close())
		}
		if p.Close != nil {
			err = errors.Join(err, p.Close())
		}
	}
	if n.config != nil {
		err = errors.Join(err, n.config.Close())
	}
	n.uncount()
	return err
}

// Addresses that a service is bound to.
func (n *Node) Addresses(service string) []netip.AddrPort {
	for _, p := range n.parts {
		if p.Name == service && p.group != nil {
			return p.group.Addresses()
		}
	}
	return nil
}
