package serve

import (
	"net/netip"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
	"github.com/dark-ecosystem/dark/internal/clock"
)

func TestLimiter(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newLimiter(now)
	r := &Rate{PerSecond: 10}
	a, sibling, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.200"),
		netip.MustParseAddr("192.0.3.1")
	count := func(from netip.Addr, n int) (ok int) {
		for range n {
			if l.allow(r, from, 0, now) {
				ok++
			}
		}
		return ok
	}
	if n := count(a, 100); n != 10 {
		t.Errorf("a burst of %d passed, want 10", n)
	}
	if n := count(sibling, 100); n != 0 {
		t.Errorf("%d more for the same network", n)
	}
	if n := count(other, 5); n != 5 {
		t.Errorf("another network got %d of 5", n)
	}
	if !l.allow(r, a, 1, now) {
		t.Error("another class of answers is counted apart")
	}
	now = now.Add(300 * time.Millisecond)
	if n := count(a, 100); n != 3 {
		t.Errorf("after 0.3 s %d, want 3", n)
	}
	now = now.Add(time.Hour)
	if n := count(a, 100); n != 10 {
		t.Errorf("after an hour %d, want 10", n)
	}
	six := netip.MustParseAddr("2001:db8:0:100::1")
	if count(six, 100) != 10 || count(netip.MustParseAddr("2001:db8:0:1ff::2"), 9) != 0 ||
		count(netip.MustParseAddr("2001:db8:0:200::2"), 9) != 9 {
		t.Error("IPv6 networks are /56")
	}
}

// TestHonestUnderFlood: while spoofed sources of many networks flood, one who is
// slow, one who has a cookie and one on TCP are answered.
func TestHonestUnderFlood(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	h := nasty(t)
	h.clock = clock.At(func() time.Time { return now })
	h.Set(Settings{Cookies: cookie.Secrets{{1}}, Rate: Rate{PerSecond: 20}})
	q, err := question("www.example.com", "A").Pack()
	if err != nil {
		t.Fatal(err)
	}
	in, out, answers := 0, 0, 0
	for i := range 200_000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i % 100), byte(i)}), 53)
		r := h.Handle(nil, q, from, UDP)
		in, out = in+len(q), out+len(r)
		if len(r) > 0 && r[7] > 0 {
			answers++
		}
		if i%1000 == 0 {
			now = now.Add(time.Millisecond)
		}
	}
	if answers > 100*25 {
		t.Errorf("%d answers to 100 flooding networks in 0.2 s", answers)
	}
	if out > in {
		t.Errorf("amplified: %d octets in, %d out", in, out)
	}
	if h.Counts().Limited == 0 {
		t.Error("not counted")
	}
	if r := h.Handle(nil, q, netip.MustParseAddrPort("203.0.113.1:53"), UDP); len(r) == 0 || r[7] != 2 {
		t.Error("an honest client was limited")
	}
	flooded := netip.MustParseAddrPort("198.51.7.7:53")
	if r := h.Handle(nil, q, flooded, TCP); len(r) == 0 || r[7] != 2 {
		t.Error("TCP was limited")
	}
	m := question("www.example.com", "A")
	withEDNS(1232, false, clientCookie())(m)
	badcookie := ""
	for range 10 {
		b, _ := m.Pack()
		raw := h.Handle(nil, b, flooded, UDP)
		r := new(mdns.Msg)
		if len(raw) == 0 || r.Unpack(raw) != nil {
			continue
		}
		if r.Rcode == mdns.RcodeBadCookie {
			badcookie = hasOption(r, mdns.EDNS0COOKIE).(*mdns.EDNS0_COOKIE).Cookie
		}
	}
	if len(badcookie) != 48 {
		t.Fatal("no BADCOOKIE with a cookie to come again with")
	}
	m = question("www.example.com", "A")
	withEDNS(1232, false, &mdns.EDNS0_COOKIE{Code: mdns.EDNS0COOKIE, Cookie: badcookie})(m)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if r := h.Handle(nil, b, flooded, UDP); len(r) == 0 || r[7] != 2 {
			t.Fatal("the holder of a cookie was limited")
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	now := time.Unix(1_800_000_000, 0)
	l := newLimiter(now)
	r := &Rate{PerSecond: 10}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.allow(r, netip.AddrFrom4([4]byte{byte(i), byte(i >> 8), 1, 1}), 0, now)
		i++
	}
}
