//go:build unix

package listen

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o Options) *Group {
	t.Helper()
	o.Service = "dns"
	g, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func TestGroupSharesOnePortOnBothFamilies(t *testing.T) {
	g := open(t, Options{Addresses: []string{"127.0.0.1:0", "[::1]:0"}, UDP: 2, TCP: 2})
	if len(g.UDP()) != 4 || len(g.TCP()) != 4 || len(g.Addresses()) != 2 {
		t.Fatalf("%d UDP, %d TCP, addresses %v", len(g.UDP()), len(g.TCP()), g.Addresses())
	}
	port := g.Addresses()[0].Port()
	for _, c := range g.UDP() {
		if got := c.LocalAddr().(*net.UDPAddr).Port; got != int(port) {
			t.Errorf("UDP port %d, want %d", got, port)
		}
	}
	for _, l := range g.TCP() {
		if got := l.Addr().(*net.TCPAddr).Port; got != int(port) {
			t.Errorf("TCP port %d, want %d", got, port)
		}
	}
}

func TestAPortInUseIsRefusedThoughItCouldBeShared(t *testing.T) {
	first := open(t, Options{Addresses: []string{"127.0.0.1:0"}, UDP: 1, TCP: 1})
	at := first.Addresses()[0].String()
	_, err := Open(t.Context(), Options{Service: "dns", Addresses: []string{at}, UDP: 1})
	if err == nil || !strings.Contains(err.Error(), "listen for dns on udp "+at) || !strings.Contains(err.Error(),
		"another process has it: `ss -lunp") {
		t.Fatalf("UDP: %v", err)
	}
	_, err = Open(t.Context(), Options{Service: "dns", Addresses: []string{at}, TCP: 1})
	if err == nil || !strings.Contains(err.Error(), "`ss -ltnp") {
		t.Fatalf("TCP: %v", err)
	}
	open(t, Options{Addresses: []string{at}, UDP: 1, TCP: 1, Share: true})
}

func TestErrorsSayWhatToDo(t *testing.T) {
	at := netip.MustParseAddrPort("192.0.2.1:5353")
	_, err := Open(t.Context(), Options{Service: "dns", Addresses: []string{at.String()}, UDP: 1})
	if err == nil || !strings.Contains(err.Error(), at.String()) || !strings.Contains(err.Error(), "ip addr") {
		t.Errorf("an address that is not ours: %v", err)
	}
	if _, err = Open(t.Context(), Options{Service: "dns", Addresses: []string{"localhost:53"}, UDP: 1}); err == nil ||
		!strings.Contains(err.Error(), "not an IP address") {
		t.Errorf("a name: %v", err)
	}
	g, err := Open(t.Context(), Options{Service: "dns", Addresses: []string{"127.0.0.1:0", "192.0.2.1:0"}, TCP: 1})
	if err == nil {
		g.Close()
		t.Error("one bad address of two was taken")
	}
}

func TestDrainWaitsForTheServer(t *testing.T) {
	g := open(t, Options{Addresses: []string{"127.0.0.1:0"}, UDP: 1, TCP: 1})
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := g.TCP()[0].Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	if err := g.Drain(t.Context(), served); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Drain(ended, make(chan struct{})); err == nil {
		t.Fatal("drained what never ended")
	}
}
