package main

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/edge"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/membership"
)

// edgeSettings are those of an edge.
type edgeSettings struct {
	dir, join, through, metrics, log string
	dns, hosts, feeds                []string
	metricNames                      bool
	answers                          dnsSettings
	objects                          s3Settings
	// parts are the services that it runs; nil: all.
	parts func(*edge.Config) ([]edge.Part, error)
}

func newEdge() *cobra.Command {
	var e edgeSettings
	cmd := &cobra.Command{Use: "edge", Short: "Run an edge node", Args: cobra.NoArgs}
	s := newSettings(cmd)
	s.text(&e.dir, "dir", "/var/lib/dark/edge", "`DIR` that the edge lives in")
	s.list(&e.dns, "dns", []string{"127.0.0.1:5300"}, "`IP:PORT` to answer DNS on, one or more")
	s.list(&e.feeds, "feeds", nil, "`HOST:PORT` of the feeds of control nodes, beside those it was told of")
	s.list(&e.hosts, "hosts", nil, "names and addresses for this edge's certificate; the join token has to state them")
	s.text(&e.metrics, "metrics", "", metricsUsage)
	s.bool(&e.metricNames, "metrics-names",
		"let the metrics name the busiest zones and buckets, which are your tenants'")
	s.text(&e.join, "join", "", "join `TOKEN`: become an edge of its cluster first")
	s.text(&e.through, "through", "", "`HOST:PORT` of the API of a control node to join through")
	s.text(&e.log, "log", "info", "debug, info, warn or error")
	e.answers.declare(s)
	e.objects.declare(s)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.load(); err != nil {
			return err
		}
		return e.run(cmd.Context(), cmd.ErrOrStderr())
	}
	return cmd
}

func (e *edgeSettings) run(ctx context.Context, stderr io.Writer) error {
	if e.join != "" {
		if err := e.enrol(ctx, stderr); err != nil {
			return err
		}
	}
	var o *observed
	if e.metrics != "" {
		var err error
		if o, err = observe(metricsAddr(e.metrics)); err != nil {
			return err
		}
	}
	log := logger(stderr, e.log)
	n, err := e.open(log, o)
	if err != nil {
		return err
	}
	if err := e.listens().write(e.dir); err != nil {
		log.Warn("darkd doctor will not know the edge's ports", "err", err)
	}
	if o != nil {
		o.whenReady(n.Ready)
	}
	return n.Run(ctx)
}

// enrol joins, unless the directory holds the edge of an earlier start already.
func (e *edgeSettings) enrol(ctx context.Context, stderr io.Writer) error {
	if err := edge.Vacant(e.dir); errors.Is(err, edge.ErrJoined) {
		return notJoining(stderr, e.dir, "an edge")
	} else if err != nil {
		return err
	}
	if e.through == "" {
		return usageError{errors.New("--join needs --through HOST:PORT, the API of any control node")}
	}
	if err := errors.Join(checkAddresses("dns", e.dns), checkAddresses("s3", e.objects.addresses)); err != nil {
		return err
	}
	join, err := edge.JoinThrough(e.join, e.through)
	if err != nil {
		return err
	}
	return joining(ctx, stderr, e.through, func(ctx context.Context) error {
		return edge.Enrol(ctx, e.dir, e.join, join, e.hosts)
	})
}

// open opens the edge that a directory holds.
func (e *edgeSettings) open(log *slog.Logger, o *observed) (*edge.Node, error) {
	self, err := edge.ReadSelf(e.dir)
	if err != nil {
		return nil, edge.NoSelf(e.dir, err)
	}
	cfg := edge.Config{
		Dir: e.dir, Name: self.Name, ClusterID: self.ClusterID, PublishingKey: self.PublishingKey,
		Feeds: append(self.Feeds, e.feeds...),
		DNS:   e.dns, Services: e.parts, Version: version(), Logger: log, MetricNames: e.metricNames,
	}
	creds, err := edge.Credentials(e.dir)
	if err != nil {
		e.withoutCertificate(&cfg, err)
	} else {
		r := &renewal{creds: creds}
		cfg.TLS = func() (*tls.Config, error) { return creds.TLS(), nil }
		cfg.Control = controlNodes(self.ClusterID, creds)
		cfg.Certificate, cfg.Request, cfg.Install = creds.Leaf, r.request, r.install
	}
	if o != nil {
		cfg.Metrics = o
	}
	if err := e.answers.configure(&cfg); err != nil {
		return nil, err
	}
	if err := e.objects.configure(&cfg, creds); err != nil {
		return nil, err
	}
	return edge.New(cfg)
}

// withoutCertificate has an edge serve what it was told before, though it cannot prove to a
// control node who it is.
func (e *edgeSettings) withoutCertificate(cfg *edge.Config, lost error) {
	lost = fmt.Errorf("the certificate of this edge cannot be read: %w", lost)
	cfg.TLS = func() (*tls.Config, error) { return nil, lost }
	cfg.Logger.Error("this edge serves what it has and hears no control node", "error", lost,
		"do", "put the file back "+
			"from a copy of the directory and start again; or let the edge join again: docs/operations/nodes.md")
}

// controlNodes is the door through which an edge goes: to control nodes of its cluster that
// were not removed, and to nobody else.
func controlNodes(cluster string, creds *ca.Credentials) func(*x509.Certificate, func(string) bool) error {
	return func(c *x509.Certificate, denied func(string) bool) error {
		d := membership.Door{Cluster: cluster, Roots: creds.Roots(), Role: ca.Control, Now: time.Now, Denied: denied}
		_, err := d.Known(c)
		return err
	}
}

// renewal keeps the key of a request until its certificate comes.
type renewal struct {
	creds *ca.Credentials
	mu    sync.Mutex
	key   crypto.Signer
}

func (r *renewal) request() ([]byte, error) {
	key, request, err := ca.NewRequest(nil) // the centre keeps the names of the present one
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = key
	return request, err
}

func (r *renewal) install(chain [][]byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key == nil || len(chain) == 0 {
		return errors.New("a certificate came that was not asked for")
	}
	return r.creds.Replace(r.key, chain[0], time.Now())
}
