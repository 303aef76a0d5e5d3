package feed_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/controlplane/feed"
	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/internal/errs"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// submits answers requests by publishing their bodies.
func submits(t *testing.T, src *source) func(*feed.Options) {
	return func(o *feed.Options) {
		o.Submit = func(ctx context.Context, node string, s *feedv1.Submit) *feedv1.SubmitResult {
			switch s.GetMethod() {
			case "refuse":
				return &feedv1.SubmitResult{Failed: true, Refusal: uint32(errs.Exhausted), Text: "quota of buckets: 3"}
			case "unpublished":
				return &feedv1.SubmitResult{Revision: 1 << 40}
			case "hang":
				<-ctx.Done()
				return nil
			}
			rev := src.publish(t, "org/acme", set(string(s.GetRequest()), node+" "+s.GetToken()))
			return &feedv1.SubmitResult{Response: []byte("made"), Revision: rev}
		}
	}
}

func TestSubmitSucceedsWhenTheOwnViewHasIt(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, submits(t, src))
	e := w.edge("edge1", vfs.NewMem(), nil)
	e.reach(t, src.publish(t, "org/acme", set("a", "1")))
	for range 20 {
		resp, rev, err := e.Submit(t.Context(), config.Request{
			Token: "tok", Organization: "acme", Method: "make",
			Body: []byte("b"),
		})
		if err != nil || string(resp) != "made" {
			t.Fatalf("%q, %v", resp, err)
		}
		if e.Config.Revision() < rev || e.get("org/acme", "b") != "edge1 tok" {
			t.Fatalf("at revision %d of %d, b = %q", e.Config.Revision(), rev, e.get("org/acme", "b"))
		}
	}
}

func TestSubmitRefused(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, submits(t, src))
	e := w.edge("edge1", vfs.NewMem(), func(o *config.Options, _ *records) { o.Submit = 2 * time.Second })
	e.reach(t, src.publish(t, "org/acme", deny("key:1")))
	submit := func(subject, method string) error {
		_, _, err := e.Submit(t.Context(), config.Request{Subject: subject, Method: method, Body: []byte("b")})
		return err
	}
	if err := submit("key:1", "make"); !errs.Is(err, errs.Denied) {
		t.Errorf("a revoked credential: %v", err)
	}
	if err := submit("key:2", "refuse"); !errs.Is(err, errs.Exhausted) || err.Error() != "quota of buckets: 3" {
		t.Errorf("refused by the control plane: %v", err)
	}
	if err := submit("key:2", "unpublished"); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(),
		"try again in 1s") {
		t.Errorf("accepted and not arrived: %v", err)
	}
	if err := submit("key:2", "hang"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("no answer: %v", err)
	}
	w.stop()
	eventually(t, "disconnected", func() bool { return !e.Connected() })
	before := time.Now()
	if err := submit("key:2", "make"); !errs.Is(err, errs.Unavailable) || time.Since(before) > time.Second {
		t.Errorf("with control dead: %v after %v", err, time.Since(before))
	}
}

func TestSubmitsInFlightEndWithTheConnection(t *testing.T) {
	src := newSource(t, "org/acme")
	w := start(t, src, submits(t, src))
	e := w.edge("edge1", vfs.NewMem(), func(o *config.Options, _ *records) { o.Submit = time.Minute })
	e.reach(t, src.publish(t, "org/acme", set("a", "1")))
	done := make(chan error)
	go func() {
		_, _, err := e.Submit(t.Context(), config.Request{Method: "hang"})
		done <- err
	}()
	// One more answer on the same connection shows that the first request is there.
	if _, _, err := e.Submit(t.Context(), config.Request{Method: "make", Body: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	w.stop()
	if err := <-done; !errs.Is(err, errs.Unavailable) {
		t.Fatal(err)
	}
}

// A certificate past a third of its life is replaced by one for a new key.
func TestTheCertificateIsRenewed(t *testing.T) {
	src := newSource(t, "system")
	var w *world
	w = start(t, src, func(o *feed.Options) {
		o.Renew = func(_ context.Context, present *x509.Certificate, der []byte) ([][]byte, error) {
			csr, err := x509.ParseCertificateRequest(der)
			if err != nil {
				return nil, err
			}
			return [][]byte{w.ca.sign(t, present.Subject.CommonName, csr.PublicKey, time.Now().Add(-time.Minute))}, nil
		}
	})
	var mu sync.Mutex
	cert := w.ca.issue(t, "edge1", time.Now().Add(-21*24*time.Hour)) // lives 60 days, 21 are over
	var next *ecdsa.PrivateKey
	renewed := make(chan struct{})
	e := w.edge("edge1", vfs.NewMem(), func(o *config.Options, _ *records) {
		o.TLS = func() (*tls.Config, error) {
			mu.Lock()
			defer mu.Unlock()
			return &tls.Config{Certificates: []tls.Certificate{cert}, RootCAs: w.ca.pool}, nil
		}
		o.Certificate = func() *x509.Certificate {
			mu.Lock()
			defer mu.Unlock()
			return cert.Leaf
		}
		o.Request = func() ([]byte, error) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return nil, err
			}
			next = key
			return x509.CreateCertificateRequest(rand.Reader,
				&x509.CertificateRequest{Subject: pkix.Name{CommonName: "edge1"}}, key)
		}
		o.Install = func(chain [][]byte) error {
			leaf, err := x509.ParseCertificate(chain[0])
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			cert = tls.Certificate{Certificate: chain, PrivateKey: next, Leaf: leaf}
			close(renewed)
			return nil
		}
	})
	<-renewed
	rev := src.publish(t, "system", set("a", "1"))
	e.reach(t, rev)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := w.srv.WaitNode(ctx, "edge1", rev); err != nil {
		t.Fatal(err)
	}
	if days := w.srv.Status()["edge1"].BudgetDays; days != 59 {
		t.Fatalf("%d days of budget", days)
	}
}
