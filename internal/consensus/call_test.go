package consensus_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/dark-ecosystem/dark/internal/consensus"
	ct "github.com/dark-ecosystem/dark/internal/consensus/consensustest"
	"github.com/dark-ecosystem/dark/internal/errs"
)

func node(t *testing.T, id string, tc consensus.TLS) *consensus.Node {
	t.Helper()
	n, err := consensus.Open(consensus.Config{
		FS: vfs.NewMem(), Dir: "/d", ID: consensus.ServerID(id),
		Listener: ct.Listen(t, ""), TLS: tc,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, n) })
	return n
}

func TestCallsCarryBytesErrorsAndTheCallersName(t *testing.T) {
	ca := ct.NewCA(t)
	a, b := node(t, "a", ca.TLS("a")), node(t, "b", ca.TLS("b"))
	ctx := within(t, time.Minute)
	b.Handle("echo", func(_ context.Context, peer string, req []byte) ([]byte, error) {
		return append([]byte(peer+":"), req...), nil
	})
	fails := map[string]error{
		"kind":      errs.New(errs.Conflict, "etag is old"),
		"fields":    errs.Bad(errs.Field{Name: "spec.a", Text: "wrong"}, errs.Field{Name: "spec.b", Text: "worse"}),
		"leader":    &consensus.NotLeaderError{Leader: "c", Addr: "1.2.3.4:5"},
		"unknown":   errors.Join(consensus.ErrUnknown, errs.New(errs.Unavailable, "who knows")),
		"plain":     errors.New("disk on fire"),
		"cancelled": context.Canceled,
	}
	for name, err := range fails {
		b.Handle(name, func(context.Context, string, []byte) ([]byte, error) { return nil, err })
	}
	big := bytes.Repeat([]byte("x"), consensus.MaxMessage-100)
	for _, req := range [][]byte{nil, []byte("hello"), big} {
		got, err := a.Call(ctx, b.Addr(), "echo", req)
		if err != nil || !bytes.Equal(got, append([]byte("a:"), req...)) {
			t.Fatalf("echo of %d bytes gave %d bytes, %v", len(req), len(got), err)
		}
	}
	if _, err := a.Call(ctx, b.Addr(), "echo", make([]byte, consensus.MaxMessage+1)); errs.KindOf(err) != errs.Invalid {
		t.Errorf("a request too long: %v", err)
	}
	for name, want := range fails {
		_, err := a.Call(ctx, b.Addr(), name, nil)
		if errs.KindOf(err) != errs.KindOf(want) || errors.Is(err, consensus.ErrUnknown) != errors.Is(want,
			consensus.ErrUnknown) {
			t.Errorf("%s: sent %v, got %v of kind %v", name, want, err, errs.KindOf(err))
		}
	}
	_, err := a.Call(ctx, b.Addr(), "leader", nil)
	var nl *consensus.NotLeaderError
	if !errors.As(err, &nl) || nl.Leader != "c" || nl.Addr != "1.2.3.4:5" {
		t.Errorf("not leader came as %v", err)
	}
	_, err = a.Call(ctx, b.Addr(), "fields", nil)
	var e *errs.Error
	if !errors.As(err, &e) || len(e.Fields) != 2 || e.Fields[1].Name != "spec.b" {
		t.Errorf("fields came as %v", err)
	}
	if _, err = a.Call(ctx, b.Addr(), "nothing", nil); !errs.Is(err, errs.Unavailable) {
		t.Errorf("a method that is not there: %v", err)
	}
}

func TestACallThatIsGivenUpEndsItsHandler(t *testing.T) {
	ca := ct.NewCA(t)
	a, b := node(t, "a", ca.TLS("a")), node(t, "b", ca.TLS("b"))
	began, ended := make(chan struct{}), make(chan struct{})
	b.Handle("hang", func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := a.Call(ctx, b.Addr(), "hang", nil)
		done <- err
	}()
	<-began
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, consensus.ErrUnknown) {
		t.Errorf("given up with %v", err)
	}
	<-ended
}

func TestACallToNobodyHadNoEffect(t *testing.T) {
	ca := ct.NewCA(t)
	a := node(t, "a", ca.TLS("a"))
	l := ct.Listen(t, "")
	addr := l.Addr().String()
	mustClose(t, l)
	_, err := a.Call(within(t, time.Minute), addr, "x", nil)
	if !errs.Is(err, errs.Unavailable) || errors.Is(err, consensus.ErrUnknown) {
		t.Errorf("%v", err)
	}
}

func TestStrangersAreRefusedOnBothSides(t *testing.T) {
	ca, other := ct.NewCA(t), ct.NewCA(t)
	ctx := within(t, time.Minute)
	good := node(t, "good", ca.TLS("good"))
	good.Handle("echo", func(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil })
	stranger := node(t, "stranger", other.TLS("stranger"))
	stranger.Handle("echo", func(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil })
	nobody := node(t, "nobody", ca.TLS("")) // signed, and refused by Peer
	nobody.Handle("echo", func(_ context.Context, _ string, req []byte) ([]byte, error) { return req, nil })
	for name, try := range map[string][2]*consensus.Node{
		"a stranger calls":  {stranger, good},
		"a stranger called": {good, stranger},
		"a nobody calls":    {nobody, good},
		"a nobody called":   {good, nobody},
	} {
		if _, err := try[0].Call(ctx, try[1].Addr(), "echo", nil); err == nil {
			t.Errorf("%s: answered", name)
		}
	}
	// A stranger that believes everyone still gets nothing from us.
	conf := other.TLS("x").Config().Clone()
	conf.InsecureSkipVerify = true
	trusting := node(t, "x", consensus.TLS{Config: func() *tls.Config {
		return conf
	}, Peer: func(*x509.Certificate) (string, error) { return "x", nil }})
	if _, err := trusting.Call(ctx, good.Addr(), "echo", nil); err == nil {
		t.Error("a trusting stranger was answered")
	}
	// TLS 1.2 is refused even with a good certificate.
	old := ca.TLS("old").Config().Clone()
	old.MaxVersion, old.InsecureSkipVerify = tls.VersionTLS12, true
	c, err := tls.Dial("tcp", good.Addr(), old)
	if err == nil {
		_, err = io.ReadAll(c)
		_ = c.Close()
	}
	if err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}
