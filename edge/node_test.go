package edge

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/edge/listen"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// settings of a node that has no control node to reach.
func settings(t *testing.T, dir string) Config {
	t.Helper()
	return Config{
		Dir: dir, Name: "edge1", ClusterID: "test", PublishingKey: testKey.Public().(ed25519.PublicKey),
		TLS:    func() (*tls.Config, error) { return &tls.Config{InsecureSkipVerify: true}, nil },
		DNS:    []string{"127.0.0.1:0", "[::1]:0"},
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// run runs a node until the test ends.
func run(t *testing.T, n *Node) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func zoneItems(t *testing.T) []*feedv1.Item {
	t.Helper()
	z, err := proto.Marshal(&dnsv1.PublishedZone{
		Apex: "example.com", Generation: 1, Serial: 7,
		PrimaryNameServer: "ns1.example.com.", Mailbox: "hostmaster.example.com.", Refresh: 1, Retry: 2, Expire: 3,
		NegativeTtl: 4, SoaTtl: 5,
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := proto.Marshal(&dnsv1.PublishedRecordSet{
		Apex: "example.com", Generation: 1, Owner: "www", Type: 1,
		Ttl: 60, Rdata: [][]byte{{192, 0, 2, 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return []*feedv1.Item{
		{Kind: "dark.dns.v1.Zone", Name: "zones/example.com", Lane: 1, Value: z},
		{Kind: "dark.dns.v1.RecordSet", Name: "zones/example.com/1/www/A", Lane: 1, Value: a},
	}
}

func ask(t *testing.T, network, address string) string {
	t.Helper()
	c := dns.Client{Net: network, Timeout: 5 * time.Second}
	q := new(dns.Msg)
	q.SetQuestion("www.example.com.", dns.TypeA)
	r, _, err := c.Exchange(q, address)
	if err != nil {
		t.Fatalf("%s %s: %v", network, address, err)
	}
	if len(r.Answer) != 1 {
		return dns.RcodeToString[r.Rcode]
	}
	return r.Answer[0].(*dns.A).A.String()
}

// An edge that was told something once answers it ever after, with no control node.
func TestANodeServesWithoutControl(t *testing.T) {
	dir := t.TempDir()
	f := fakeControl(t, sealedFrame(t, zoneItems(t)...))
	cfg := settings(t, dir)
	cfg.Feeds = []string{f.addr}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready(); err == nil {
		t.Error("ready before it runs")
	}
	stop := run(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	f.stop()
	stop()

	n, err = New(settings(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	stop = run(t, n)
	waitReady(t, n)
	for _, at := range n.Addresses("dns") {
		for _, network := range []string{"udp", "tcp"} {
			if got := ask(t, network, at.String()); got != "192.0.2.1" {
				t.Errorf("%s %s: %s", network, at, got)
			}
		}
	}
	if s := n.Status(); s.Revision != 1 || s.Connected || s.LastContact.IsZero() || s.Refused != 0 {
		t.Errorf("status %+v", s)
	}
	if _, _, err := n.Submit(t.Context(), config.Request{Method: "x"}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("submit: %v", err)
	}
	stop()
	if err := n.Ready(); err == nil {
		t.Error("ready after it stopped")
	}
}

func TestANodeWithNothingYetIsNotReady(t *testing.T) {
	n, err := New(settings(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	run(t, n)
	eventually(t, "serving", func() bool { return strings.Contains(fmt.Sprint(n.Ready()), "no configuration yet") })
	if got := ask(t, "udp", n.Addresses("dns")[0].String()); got != "REFUSED" {
		t.Errorf("answered %s", got)
	}
}

func TestAnAddressInUseIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := settings(t, t.TempDir())
	cfg.DNS = []string{l.Addr().String()}
	n, err := New(cfg)
	if err == nil {
		n.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "listen for dns on tcp "+l.Addr().String()) {
		t.Fatal(err)
	}
}

// One service's bad record is refused and reported, and spoils no other service.
func TestServicesMeetInTheNode(t *testing.T) {
	var got sync.Map
	part := func(name string) Part {
		return Part{
			Service: kind.Service{
				Name: name, Kinds: []string{"test." + name},
				Compile: func(prev any, changes []kind.Change) (any, []kind.Refusal) {
					now := map[string]string{}
					if prev != nil {
						now = maps.Clone(prev.(map[string]string))
					}
					for _, c := range changes {
						if c.Name == "bad" {
							panic("bad")
						}
						now[c.Name] = string(c.Value)
					}
					return now, nil
				},
				Swap: func(next any) { got.Store(name, next) },
			},
			Listen: listen.Options{Service: name, Addresses: []string{"127.0.0.1:0"}, TCP: 1},
			Serve: func(ctx context.Context, g *listen.Group) error {
				<-ctx.Done()
				return nil
			},
		}
	}
	f := fakeControl(t, sealedFrame(t,
		&feedv1.Item{Kind: "test.one", Name: "a", Lane: 1, Value: []byte("1")},
		&feedv1.Item{Kind: "test.one", Name: "bad", Lane: 1, Value: []byte("1")},
		&feedv1.Item{Kind: "test.two", Name: "b", Lane: 1, Value: []byte("2")},
		&feedv1.Item{Kind: "test.two", Name: "gated", Lane: 3, Value: []byte("3")},
	))
	cfg := settings(t, t.TempDir())
	cfg.Feeds = []string{f.addr}
	cfg.Services = func(*Config) ([]Part, error) { return []Part{part("one"), part("two")}, nil }
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.WaitRevision(ctx, 1); err != nil {
		t.Fatal(err)
	}
	one, _ := got.Load("one")
	two, _ := got.Load("two")
	if fmt.Sprint(one, two) != "map[a:1] map[b:2]" {
		t.Errorf("one %v, two %v", one, two)
	}
	ack := <-f.acks
	if len(ack.GetRefusals()) != 2 || ack.GetRevision() != 1 || ack.GetRefusals()[0].GetStream() != "org/acme" {
		t.Errorf("ack %v", ack)
	}
	// After a restart the control plane hears of them again.
	stop()
	if n, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	run(t, n)
	for ack = range f.acks {
		if len(ack.GetRefusals()) == 2 {
			break
		}
	}
}

func TestMetrics(t *testing.T) {
	cfg := settings(t, t.TempDir())
	reg := prometheus.NewPedanticRegistry()
	cfg.Metrics = reg
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := gathered(t, reg); got["dark_edge_starts_total"] != 1 || got["dark_edge_sockets"] == 0 ||
		got["dark_edge_disk_free_bytes"] == 0 {
		t.Errorf("the first start tells %v", got)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if got := gathered(t, reg); got["dark_edge_starts_total"] != 2 {
		t.Errorf("the second start tells %v", got)
	}
}

// gathered are the first values of all metrics, by name.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		out[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue() + f.GetMetric()[0].GetCounter().GetValue()
	}
	return out
}

func TestAServerThatStopsStopsTheNode(t *testing.T) {
	cfg := settings(t, t.TempDir())
	cfg.Services = func(*Config) ([]Part, error) {
		p := newDNS(&cfg).part(&cfg)
		p.Serve = func(context.Context, *listen.Group) error { return errors.New("out of order") }
		return []Part{p}, nil
	}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "serve dns: out of order") {
		t.Fatal(err)
	}
}

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))

func waitReady(t *testing.T, n *Node) {
	t.Helper()
	eventually(t, "ready", func() bool { return n.Ready() == nil })
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
