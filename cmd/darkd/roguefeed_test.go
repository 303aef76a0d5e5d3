package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/edge"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/frame"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// TestAFeedWithAnEdgesCertificateIsNotBelieved: an edge is let in by the CA as a control node
// is. A feed that one served, with an empty Subscription, emptied another edge in 4 s.
func TestAFeedWithAnEdgesCertificateIsNotBelieved(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := controlplane.Config{
		Dir: filepath.Join(dir, "control"), Transport: free(t), Feed: free(t), API: []string{free(t)}, Insecure: true,
		Timing: consensus.CI, Logger: log,
		Kinds: controlKinds(nil, storage.Options{}),
	}
	res, err := controlplane.Init(ctx, controlplane.InitConfig{
		Dir: cfg.Dir, Name: "c1", Transport: cfg.Transport,
		Timing: consensus.CI, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	control, err := controlplane.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cctx, dead := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- control.Run(cctx) }()
	<-control.Ready()
	if err := control.WaitLeader(ctx); err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t}
	p.dev.Admin.URL, p.dev.Admin.Token = "http://"+cfg.API[0], res.AdminToken
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	p.api("", "POST", "/v1/organizations", `{"name":"organizations/acme"}`)
	p.api("acme", "POST", "/v1/zones", `{"name":"zones/example.test","spec":{}}`)
	p.api("acme", "POST", "/v1/zones/example.test/records",
		`{"name":"zones/example.test/records/www/TXT","spec":{"records":["kept"]}}`)
	enrol := func(name string) string {
		token, err := control.CreateJoinToken(ctx, &clusterv1.CreateJoinTokenRequest{Node: name, Role: ca.Edge},
			&statev1.Origin{})
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(dir, name)
		err = edge.Enrol(ctx, at, token.Token,
			func(ctx context.Context, r *clusterv1.JoinRequest) (*clusterv1.JoinResponse, error) {
				return control.Join(ctx, r, "127.0.0.1")
			}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	creds, err := edge.Credentials(enrol("thief"))
	if err != nil {
		t.Fatal(err)
	}
	rogue := serveRogue(t, creds)
	e := edgeSettings{dir: enrol("victim"), dns: []string{"127.0.0.1:0"}, feeds: []string{rogue.addr}}
	n, err := e.open(log, nil)
	if err != nil {
		t.Fatal(err)
	}
	inBackground(t, n.Run)
	ask := resolver([]string{n.Addresses("dns")[0].String()})
	answers := func() bool {
		txt, err := ask.LookupTXT(ctx, "www.example.test.")
		return err == nil && len(txt) == 1 && txt[0] == "kept"
	}
	p.eventually("the edge answers", answers)
	dead() // only the rogue is left to connect to
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for range 3 {
		select {
		case err := <-rogue.tried:
			if err == nil {
				t.Fatal("the edge believed a feed that another edge serves")
			}
		case <-time.After(time.Minute):
			t.Fatal("the edge never tried the rogue")
		}
	}
	if !answers() {
		t.Fatal("the edge was emptied")
	}
}

// rogue is a feed with an edge's certificate that tells everybody to forget everything.
type rogue struct {
	addr  string
	tried chan error // of each connection: nil when it was believed
}

func serveRogue(t *testing.T, creds *ca.Credentials) *rogue {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	name, err := creds.Name()
	if err != nil {
		t.Fatal(err)
	}
	r := &rogue{addr: l.Addr().String(), tried: make(chan error, 1024)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			c := tls.Server(raw, creds.TLS())
			_, err = frame.ReadMsg(c, nil, frame.MaxHello) // what comes after a handshake that was believed
			if err == nil {
				_, _ = frame.WriteMsg(c, nil, &feedv1.Down{Message: &feedv1.Down_Welcome{
					Welcome: &feedv1.Welcome{Cluster: name.Cluster, Epoch: 1, Subscription: &feedv1.Subscription{}},
				}})
				_, _ = frame.WriteMsg(c, nil,
					&feedv1.Down{Message: &feedv1.Down_Progress{Progress: &feedv1.Progress{Revision: 1 << 40}}})
			}
			r.tried <- err
			raw.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return r
}
