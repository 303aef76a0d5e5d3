package serve

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
)

// startUDP runs a server loop on addr and returns where it listens.
func startUDP(t *testing.T, network, addr string, serve func(context.Context, *net.UDPConn) error) *net.UDPAddr {
	t.Helper()
	a, err := net.ResolveUDPAddr(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP(network, a)
	if err != nil {
		t.Fatal(err)
	}
	at := c.LocalAddr().(*net.UDPAddr)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, c) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return at
}

// corpus is many messages: every name, type and EDNS of the other tests.
func corpus(t testing.TB) [][]byte {
	var msgs [][]byte
	for _, p := range flagDayProbes() {
		m := question("example.com", "SOA")
		if p.change != nil {
			p.change(m)
		}
		if b, err := m.Pack(); err == nil {
			msgs = append(msgs, b)
		}
	}
	for _, n := range []string{
		"www", "wWw", "nope", "b.c", "alias", "a1", "out", "over", "overnx", "x.y.wild", "z.wc",
		"y.deep", "x.cut", "cut", "tocut", "www.red", "hid.red", "x.rloop", "big", "unk",
	} {
		for _, typ := range []string{"A", "AAAA", "TXT", "NS", "DS", "ANY", "MX"} {
			for _, size := range []uint16{0, 512, 4096} {
				m := question(n+".example.com", typ)
				if size > 0 {
					m.SetEdns0(size, size == 512)
				}
				b, err := m.Pack()
				if err != nil {
					t.Fatal(err)
				}
				msgs = append(msgs, b)
			}
		}
	}
	for i, m := range msgs {
		m[0], m[1] = byte(i>>8), byte(i)
	}
	return msgs
}

// TestTiersEqual: the batched loop, the plain loop and the handler alone give the same
// octets, over IPv4, IPv6 and sockets bound to all addresses.
func TestTiersEqual(t *testing.T) {
	h := nasty(t)
	h.Set(Settings{NSID: "edge-1", ServerID: "edge-1", Version: "v"})
	msgs := corpus(t)
	for _, c := range []struct{ network, listen, dial string }{
		{"udp4", "127.0.0.1:0", "127.0.0.1"},
		{"udp4", "0.0.0.0:0", "127.0.0.77"}, // the answer must come from 127.0.0.77
		{"udp6", "[::1]:0", "::1"},
		{"udp", "[::]:0", "127.0.0.78"},
		{"udp", "[::]:0", "::1"},
	} {
		if c.dial == "::1" && !haveIPv6() {
			t.Log("no IPv6 here: ", c.listen)
			continue
		}
		at := startUDP(t, c.network, c.listen, h.ServeBatch)
		// Connected: the kernel drops answers from any other address.
		conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(c.dial), Port: at.Port})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		compare(t, h, conn, msgs)
	}
}

func haveIPv6() bool {
	c, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func compare(t *testing.T, h *Handler, conn *net.UDPConn, msgs [][]byte) {
	t.Helper()
	buf := make([]byte, maxMessage)
	const burst = 32
	for k := 0; k < len(msgs); k += burst {
		want := map[string][]byte{}
		for _, m := range msgs[k:min(k+burst, len(msgs))] {
			if out := h.Handle(nil, m, client, UDP); len(out) > 0 {
				want[string(m[:2])] = out
			}
			if _, err := conn.Write(m); err != nil {
				t.Fatal(err)
			}
		}
		for len(want) > 0 {
			if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatalf("%v: %d answers missing", err, len(want))
			}
			if w := want[string(buf[:2])]; !bytes.Equal(w, buf[:n]) {
				t.Errorf("socket %x\nhandler %x", buf[:n], w)
			}
			delete(want, string(buf[:2]))
		}
	}
}

// TestLoopAllocatesNothing: over the whole corpus and the socket loop.
func TestLoopAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates: measured without it")
		return
	}
	h := nasty(t)
	h.Set(Settings{NSID: "edge-1", ServerID: "edge-1", Cookies: cookie.Secrets{{1}}})
	at := startUDP(t, "udp4", "127.0.0.1:0", h.ServeBatch)
	conn, err := net.DialUDP("udp4", nil, at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	msgs := corpus(t)
	buf := make([]byte, maxMessage)
	round := func() {
		for _, m := range msgs {
			if _, err := conn.Write(m); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	round()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 20 {
		round()
	}
	runtime.ReadMemStats(&after)
	perMessage := float64(after.Mallocs-before.Mallocs) / float64(20*len(msgs))
	if perMessage > 0.01 { // the test's own runtime may allocate now and then
		t.Errorf("%.3f allocations a message", perMessage)
	}
}
