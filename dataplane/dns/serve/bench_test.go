package serve

import (
	"fmt"
	"math/rand/v2"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// bulk is a zone of n names with addresses.
func bulk(b testing.TB, n int) *zone.Zone {
	z, err := zone.New("example.com", testSOA, 1)
	if err != nil {
		b.Fatal(err)
	}
	ed := z.Edit()
	for i := range n {
		rr := zone.RRset{
			Owner: fmt.Sprintf("host%06d", i), Type: 1, TTL: 300,
			RData: [][]byte{{10, byte(i >> 16), byte(i >> 8), byte(i)}},
		}
		if err := ed.Put(rr); err != nil {
			b.Fatal(err)
		}
	}
	return ed.Zone()
}

// BenchmarkHandle asks for so many names that their memory is no longer in caches.
func BenchmarkHandle(b *testing.B) {
	for _, names := range []int{10, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(names), func(b *testing.B) { benchmarkHandle(b, names) })
	}
}

func benchmarkHandle(b *testing.B, names int) {
	h := handlerOf(bulk(b, names))
	r := rand.New(rand.NewPCG(1, 1))
	var msgs [][]byte
	for i := range 1 << 16 {
		name := fmt.Sprintf("host%06d.example.com", r.IntN(names))
		if i%10 == 0 {
			name = "no" + name
		}
		m := question(name, "A")
		if i%2 == 0 {
			m.SetEdns0(1232, false)
		}
		w, err := m.Pack()
		if err != nil {
			b.Fatal(err)
		}
		msgs = append(msgs, w)
	}
	x := h.newExchange()
	x.batched = true
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		out = x.handle(out[:0], msgs[i%len(msgs)], client, UDP)
		i++
	}
}

// TestNoAllocations: over every kind of answer, not over one name.
func TestNoAllocations(t *testing.T) {
	h := nasty(t)
	x := h.newExchange()
	out := make([]byte, 0, maxMessage)
	for _, p := range flagDayProbes() {
		m := question("example.com", "SOA")
		if p.change != nil {
			p.change(m)
		}
		noAllocations(t, x, out, p.name, m)
	}
	for _, n := range []string{
		"www", "nope", "b.c", "alias", "a1", "out", "over", "overnx", "x.y.wild", "z.wc",
		"y.deep", "x.cut", "cut", "tocut", "www.red", "hid.red", "x.rloop", "big", "unk", "@",
	} {
		for _, typ := range []string{"A", "AAAA", "TXT", "NS", "DS", "ANY", "MX", "SOA", "CNAME"} {
			for _, edns := range []bool{false, true} {
				name := n + ".example.com"
				if n == "@" {
					name = "example.com"
				}
				m := question(name, typ)
				if edns {
					m.SetEdns0(4096, true)
				}
				noAllocations(t, x, out, n+" "+typ, m)
			}
		}
	}
}

func noAllocations(t *testing.T, x *exchange, out []byte, what string, m *mdns.Msg) {
	t.Helper()
	w, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	for _, via := range []Transport{UDP, TCP} {
		if n := testing.AllocsPerRun(20, func() { x.handle(out[:0], w, client, via) }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}
