package feed_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/ca"
)

// authority is a throwaway CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1440 * time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// issue makes a certificate of a node.
func (a *authority) issue(t testing.TB, name string, from time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := a.sign(t, name, &key.PublicKey, from)
	leaf, _ := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) sign(t testing.TB, name string, pub any, from time.Time) []byte {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: from.Add(1440 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, pub, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// world is a control node's feed and what is needed to connect to it.
type world struct {
	t    testing.TB
	ca   *authority
	src  *source
	srv  *feed.Server
	addr string
	stop func()
}

// start begins a control node; opts may change its options.
func start(t testing.TB, src *source, opts func(*feed.Options)) *world {
	t.Helper()
	w := &world{t: t, ca: newAuthority(t), src: src}
	w.serve(opts)
	return w
}

// serve starts the control node on its old address, if it had one.
func (w *world) serve(opts func(*feed.Options)) {
	w.t.Helper()
	cert := w.ca.issue(w.t, "control1", time.Now().Add(-time.Hour))
	o := feed.Options{
		Node: "control1", Source: w.src, Sign: w.src.sign, Grant: w.src.grant,
		TLS: func() *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: w.ca.pool}
		},
		Identify: func(c *x509.Certificate) (string, error) { return c.Subject.CommonName, nil },
	}
	if opts != nil {
		opts(&o)
	}
	srv, err := feed.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	address := w.addr
	if address == "" {
		address = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv, w.addr = srv, ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, ln) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("serve: %v", err)
		}
	})
	w.t.Cleanup(func() { w.stop() })
}

// clientTLS is what a node connects with.
func (w *world) clientTLS(name string) func() (*tls.Config, error) {
	cert := w.ca.issue(w.t, name, time.Now().Add(-time.Hour))
	return func() (*tls.Config, error) {
		return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: w.ca.pool}, nil
	}
}

// records is a sink: what an edge would answer from.
type records struct {
	mu       sync.Mutex
	now      map[string]string
	revision uint64
	cuts     int
	before   func(revision uint64)
}

func (r *records) Apply(revision uint64, changes []view.Change) []view.Refusal {
	if r.before != nil {
		r.before(revision)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil {
		r.now = map[string]string{}
	}
	for _, c := range changes {
		key := c.Stream + " " + c.Kind + " " + c.Name
		switch {
		case c.Prefix:
			maps.DeleteFunc(r.now, func(k, _ string) bool { return len(k) >= len(key) && k[:len(key)] == key })
		case c.Value == nil:
			delete(r.now, key)
		default:
			r.now[key] = string(c.Value)
		}
	}
	r.revision = revision
	r.cuts++
	return nil
}

func (r *records) Replace(revision uint64, changes []view.Change) []view.Refusal {
	r.mu.Lock()
	r.now = nil
	r.mu.Unlock()
	return r.Apply(revision, changes)
}

func (r *records) get(stream, name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now[stream+" test.Record "+name]
}

func (r *records) all() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.now)
}

// edge is one edge's configuration, running.
type edge struct {
	*config.Config
	*records
	stop func()
}

// edge starts an edge that keeps its configuration in fs.
func (w *world) edge(name string, fs vfs.FS, opts func(*config.Options, *records)) *edge {
	w.t.Helper()
	e, err := w.tryEdge(name, fs, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) tryEdge(name string, fs vfs.FS, opts func(*config.Options, *records)) (*edge, error) {
	o := config.Options{
		Dir: "edge", FS: fs, Cluster: w.src.cluster, Pinned: w.src.public(), TLS: w.clientTLS(name),
		Self:  func() ca.Name { return ca.Name{Node: name} },
		Feeds: []string{w.addr}, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}
	o.Retry, o.RetryAt = 5*time.Millisecond, 50*time.Millisecond
	sink := &records{}
	if opts != nil {
		opts(&o, sink)
	}
	c, loaded, err := config.Open(o)
	if err != nil {
		return nil, err
	}
	sink.Apply(c.Revision(), loaded)
	sink.cuts = 0
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, sink) }()
	e := &edge{Config: c, records: sink}
	e.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("edge %s: %v", name, err)
		}
		if err := c.Close(); err != nil {
			w.t.Errorf("close edge %s: %v", name, err)
		}
	})
	w.t.Cleanup(e.stop)
	return e, nil
}

// reach waits until an edge's view is at a revision.
func (e *edge) reach(t testing.TB, revision uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.WaitRevision(ctx, revision); err != nil {
		t.Fatalf("the edge is at revision %d, not at %d; refused frames %v", e.Config.Revision(), revision,
			e.RefusedFrames())
	}
}

// eventually polls a condition that has no channel to wait on.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("in 10 s not: %s", what)
		case <-tick.C:
		}
	}
}
