package serve

import (
	"testing"
	"testing/synctest"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
)

// TestNoAnswerWaits is why answers on a stream need no reordering (RFC 7766 6.2.1.1):
// no answer waits for a timer, and the dearest costs little more than any.
func TestNoAnswerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := nasty(t)
		h.Set(Settings{NSID: "edge-1", ServerID: "edge-1", Cookies: cookie.Secrets{{1}}})
		start := time.Now() // the bubble's: it stands still but while all wait
		for _, m := range corpus(t) {
			h.Handle(nil, m, client, TCP)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("answers waited %v", d)
		}
	})
	// Its dearest answer is the one that fills a whole message.
	lines := make([]string, 0, 600)
	for i := range 600 {
		lines = append(lines, "huge TXT \""+string(rune('a'+i%26))+string(rune('a'+i/26))+dots[:90]+"\"")
	}
	h := handlerOf(zoneOf(t, "example.com", lines...))
	m, err := question("huge.example.com", "TXT").Pack()
	if err != nil {
		t.Fatal(err)
	}
	best := time.Hour
	for range 20 { // the least: a busy machine adds, it never takes away
		start := time.Now()
		if out := h.Handle(nil, m, client, TCP); len(out) < 60_000 {
			t.Fatalf("%d octets", len(out))
		}
		best = min(best, time.Since(start))
	}
	t.Logf("an answer of 64 KiB takes %v", best)
	limit := time.Millisecond
	if raceEnabled {
		limit = 20 * time.Millisecond
	}
	if best > limit {
		t.Errorf("an answer of 64 KiB takes %v, more than %v", best, limit)
	}
}

const dots = "...................................................................................................."

// TestKeepalive: who asks over TCP is told how long the connection may idle, in tenths
// of a second (RFC 7828); over UDP the option is not seen, nor sent unasked.
func TestKeepalive(t *testing.T) {
	ask7828 := func() *mdns.Msg {
		m := question("www.example.com", "A")
		withEDNS(1232, false, &mdns.EDNS0_TCP_KEEPALIVE{Code: mdns.EDNS0TCPKEEPALIVE})(m)
		return m
	}
	h := nasty(t)
	told := func(addr string, m *mdns.Msg) (uint16, bool) {
		c := dial(t, addr)
		if _, err := c.Write(framed(t, m)); err != nil {
			t.Fatal(err)
		}
		r, err := receive(c)
		if err != nil || len(r.Answer) != 2 {
			t.Fatal(r, err)
		}
		k, ok := hasOption(r, mdns.EDNS0TCPKEEPALIVE).(*mdns.EDNS0_TCP_KEEPALIVE)
		if !ok {
			return 0, false
		}
		return k.Timeout, true
	}
	roomy := startTCP(t, h, Limits{Idle: 7 * time.Second})
	if n, ok := told(roomy, ask7828()); !ok || n != 70 {
		t.Errorf("told %d, %v; want 70", n, ok)
	}
	plain := question("www.example.com", "A")
	plain.SetEdns0(1232, false)
	if _, ok := told(roomy, plain); ok {
		t.Error("told unasked")
	}
	if n, ok := told(startTCP(t, h, Limits{Idle: time.Minute, Total: 3 * time.Second}), ask7828()); !ok || n > 30 ||
		n < 1 {
		t.Errorf("told %d, %v; want at most the 3 s that are left", n, ok)
	}
	if n, ok := told(startTCP(t, h, Limits{Connections: 1}), ask7828()); !ok || n != 0 {
		t.Errorf("told %d, %v at the limit of connections; want 0", n, ok)
	}
	if hasOption(ask(t, h, ask7828(), UDP), mdns.EDNS0TCPKEEPALIVE) != nil {
		t.Error("sent over UDP (RFC 7828 3.3.1)")
	}
}
