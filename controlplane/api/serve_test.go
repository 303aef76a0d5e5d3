package api_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/demo"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	demogw "github.com/dark-ecosystem/dark/proto/dark/demo/v1/gw"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
)

func TestHealthAndReflectionNeedNoToken(t *testing.T) {
	i := start(t)
	h, err := healthpb.NewHealthClient(i.conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil || h.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("%v %v", h, err)
	}
	s, err := reflectionpb.NewServerReflectionClient(i.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&reflectionpb.ServerReflectionRequest{
		MessageRequest: &reflectionpb.ServerReflectionRequest_FileContainingSymbol{
			FileContainingSymbol: "dark.dns.v1.ZoneService",
		},
	}); err != nil {
		t.Fatal(err)
	}
	m, err := s.Recv()
	if err != nil || len(m.GetFileDescriptorResponse().GetFileDescriptorProto()) == 0 {
		t.Fatalf("%v %v", m, err)
	}
}

func TestRequestIDGoesInAndOut(t *testing.T) {
	i := start(t)
	var h metadata.MD
	ctx := metadata.AppendToOutgoingContext(as(t.Context(), i.admin, ""), "x-request-id", "my-id")
	if _, err := dnsgrpc.NewZoneServiceClient(i.conn).ListZones(ctx, &dnsv1.ListZonesRequest{},
		grpc.Header(&h)); err != nil || h.Get("x-request-id")[0] != "my-id" {
		t.Fatalf("%v %v", h, err)
	}
	req, _ := http.NewRequest(http.MethodGet, "http://"+i.addr+"/v1/zones", nil)
	req.Header.Set("X-Request-Id", "bad id\twith blanks")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if id := resp.Header.Values("X-Request-Id"); len(id) == 0 || strings.Contains(id[0], " ") ||
		resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestTooLargeARequestIsRefused(t *testing.T) {
	i := start(t)
	code, _ := i.rest(i.admin, "", "POST", "/v1/zones", `{"name":"zones/example.com","labels":{"a":"`+
		strings.Repeat("x", 5<<20)+`"}}`)
	if code != 400 && code != 413 {
		t.Fatalf("REST: %d", code)
	}
	_, err := dnsgrpc.NewZoneServiceClient(i.conn).CreateZone(as(t.Context(), i.admin, ""),
		&dnsv1.CreateZoneRequest{Zone: &dnsv1.Zone{
			Name:   "zones/example.com",
			Labels: map[string]string{"a": strings.Repeat("x", 5<<20)},
		}})
	if status.Code(err) != codes.ResourceExhausted {
		t.Fatalf("gRPC: %v", err)
	}
}

// TestAFaultCostsItsRequestOnly: a panic or an error of ours is INTERNAL with the
// request id, and says nothing of its cause.
func TestAFaultCostsItsRequestOnly(t *testing.T) {
	for _, fault := range []func() error{func() error {
		panic("secret cause")
	}, func() error { return errors.New("secret cause") }} {
		k := demo.Note()
		k.Admit = func(context.Context, *kind.Admission) error { return fault() }
		i := start(t, api.Registration{
			Kind: k, Service: "dark.demo.v1.NoteService",
			Gateway: demogw.RegisterNoteServiceHandler,
		})
		i.organization("acme", "demo:*")
		out := i.must(500, i.admin, "acme", "POST", "/v1/notes", `{"name":"notes/a","spec":{"text":"x"}}`)
		if s := jsonOf(out); strings.Contains(s, "secret") || !strings.Contains(s, "request id") {
			t.Errorf("%s", s)
		}
		i.must(200, i.admin, "acme", "GET", "/v1/notes", "")
	}
}

func TestUnavailableSaysWhenToTryAgain(t *testing.T) {
	k := demo.Note()
	k.Admit = func(context.Context, *kind.Admission) error { return errs.New(errs.Unavailable, "no leader") }
	i := start(t, api.Registration{
		Kind: k, Service: "dark.demo.v1.NoteService",
		Gateway: demogw.RegisterNoteServiceHandler,
	})
	i.organization("acme", "demo:*")
	out := i.must(503, i.admin, "acme", "POST", "/v1/notes", `{"name":"notes/a","spec":{"text":"x"}}`)
	if !strings.Contains(jsonOf(out), "retryDelay") {
		t.Fatalf("%v", out)
	}
}

func TestQuotaNamesItself(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:*")
	i.state.Limit("acme", "dark.dns.v1.Zone", 1)
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/a.test"}`)
	out := i.must(429, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/b.test"}`)
	if !strings.Contains(out["message"].(string), "Zone") || reason(out) != "QUOTA" {
		t.Fatalf("%v", out)
	}
}

// TestBreakGlassSocket: mode 0600, all power, named in the audit by the user's id.
func TestBreakGlassSocket(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	path := filepath.Join(t.TempDir(), "control.sock")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- i.srv.ServeSocket(ctx, path) }()
	until(t, func() bool { _, err := os.Stat(path); return err == nil })
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", fi.Mode(), err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	tr := &http.Transport{DialContext: dial}
	req, _ := http.NewRequest(http.MethodPost, "http://socket/v1/zones?reason=fire",
		bytes.NewBufferString(`{"name":"zones/example.com"}`))
	req.Header.Set("Dark-Organization", "acme")
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	tr.CloseIdleConnections()
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dnsgrpc.NewZoneServiceClient(conn).GetZone(metadata.AppendToOutgoingContext(t.Context(),
		"dark-organization", "acme"), &dnsv1.GetZoneRequest{Name: "zones/example.com"}); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	a := i.must(200, i.admin, "", "GET", "/v1/audit", "")
	if want := fmt.Sprintf(`"who":"socket:uid=%d"`, os.Getuid()); !strings.Contains(jsonOf(a), want) ||
		!strings.Contains(jsonOf(a), "fire") {
		t.Fatalf("audit without %s: %s", want, jsonOf(a))
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// The mark by which the gateway speaks for the socket is of no use from outside.
	md := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("dark-local", "guess 0"))
	if _, err := dnsgrpc.NewZoneServiceClient(i.conn).ListZones(md,
		&dnsv1.ListZonesRequest{}); status.Code(err) != codes.Unauthenticated {
		t.Fatalf("%v", err)
	}
	req, _ = http.NewRequest(http.MethodGet, "http://"+i.addr+"/v1/zones", nil)
	req.Header.Set("Grpc-Metadata-Dark-Local", "guess 0")
	if resp, err = http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusUnauthorized {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
}

// until polls for what another goroutine brings about.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("waited ten seconds in vain")
		case <-tick.C:
		}
	}
}

// TestTLS: gRPC and REST on one port with TLS.
func TestTLS(t *testing.T) {
	i := start(t)
	cert, pool := certificate(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- i.srv.Serve(ctx, l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	}()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool,
		"localhost")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dnsgrpc.NewZoneServiceClient(conn).ListZones(as(t.Context(), i.admin, ""),
		&dnsv1.ListZonesRequest{}); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	for _, h2 := range []bool{true, false} {
		tr := &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: "localhost"},
			ForceAttemptHTTP2: h2,
		}
		req, _ := http.NewRequest(http.MethodGet, "https://"+l.Addr().String()+"/v1/zones", nil)
		req.Header.Set("Authorization", "Bearer "+i.admin)
		resp, err := (&http.Client{Transport: tr}).Do(req)
		if err != nil || resp.StatusCode != http.StatusOK || (resp.ProtoMajor == 2) != h2 {
			t.Fatalf("%v %v", resp, err)
		}
		var body map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestImportAndExportOverGRPC drives the streams through the server.
func TestImportAndExportOverGRPC(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	ctx := as(t.Context(), i.admin, "acme")
	c := dnsgrpc.NewZoneServiceClient(i.conn)
	s, err := c.ImportZone(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&dnsv1.ImportZoneRequest{Name: "zones/example.com", Create: true}); err != nil {
		t.Fatal(err)
	}
	for n := range 3000 {
		if err := s.Send(&dnsv1.ImportZoneRequest{Data: fmt.Appendf(nil, "h%d 60 IN A 192.0.2.1\n", n)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.Done {
			if m.Created != 3000 {
				t.Fatalf("%v", m)
			}
			break
		}
	}
	x, err := c.ExportZone(ctx, &dnsv1.ExportZoneRequest{Name: "zones/example.com"})
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	for {
		m, err := x.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		file.Write(m.Data)
	}
	if n := strings.Count(file.String(), "192.0.2.1\n"); n != 3000 {
		t.Fatalf("%d lines", n)
	}
}
