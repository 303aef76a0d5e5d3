package serve

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
	"github.com/dark-ecosystem/dark/internal/clock"
)

var testSOA = zone.SOA{
	MName: "ns1.example.com", RName: "hostmaster.example.com", Refresh: 3600, Retry: 600,
	Expire: 86400, Minimum: 300, TTL: 3600,
}

// zoneOf makes a zone of lines "owner type rdata".
func zoneOf(t testing.TB, apex string, lines ...string) *zone.Zone {
	t.Helper()
	z, err := zone.New(apex, testSOA, 1)
	if err != nil {
		t.Fatal(err)
	}
	sets := map[[2]string][]string{}
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		sets[[2]string{f[0], f[1]}] = append(sets[[2]string{f[0], f[1]}], f[2])
	}
	ed := z.Edit()
	for k, recs := range sets {
		rr, bad := zone.ParseRecordSet(apex, k[0], k[1], 300, recs)
		if bad != nil {
			t.Fatal(k, bad)
		}
		if err := ed.Put(rr); err != nil {
			t.Fatal(err)
		}
	}
	return ed.Zone()
}

func handlerOf(zones ...*zone.Zone) *Handler {
	h := NewHandler(clock.Clock{})
	v := &dns.View{}
	for _, z := range zones {
		v.Zones = v.Zones.With(z)
	}
	h.Swap(v)
	h.Set(Settings{NSID: "edge-1", ServerID: "edge-1", Version: "dark"})
	return h
}

var client = netip.MustParseAddrPort("192.0.2.99:5353")

// ask sends a message through the handler and unpacks the answer with miekg/dns.
func ask(t testing.TB, h *Handler, m *mdns.Msg, via Transport) *mdns.Msg {
	t.Helper()
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	out := h.Handle(nil, wire, client, via)
	if len(out) == 0 {
		return nil
	}
	r := new(mdns.Msg)
	if err := r.Unpack(out); err != nil {
		t.Fatalf("%v: answer does not parse: %v\n%x", m.Question, err, out)
	}
	if r.Id != m.Id || !r.Response {
		t.Fatalf("id or QR wrong: %v", r)
	}
	return r
}

func question(name, typ string) *mdns.Msg {
	m := new(mdns.Msg)
	m.SetQuestion(mdns.Fqdn(name), mdns.StringToType[typ])
	return m
}

// brief is the meaning of an answer in one line.
func brief(m *mdns.Msg) string {
	part := func(rrs []mdns.RR) string {
		var s []string
		for _, r := range rrs {
			if r.Header().Rrtype == mdns.TypeOPT {
				continue
			}
			s = append(s, fmt.Sprintf("%s %d %s %s", r.Header().Name, r.Header().Ttl,
				mdns.TypeToString[r.Header().Rrtype], strings.TrimPrefix(r.String(), r.Header().String())))
		}
		slices.Sort(s)
		return strings.Join(s, ", ")
	}
	flags := ""
	if m.Authoritative {
		flags += " aa"
	}
	if m.Truncated {
		flags += " tc"
	}
	return fmt.Sprintf("%s%s | %s | %s | %s", mdns.RcodeToString[m.Rcode], flags, part(m.Answer), part(m.Ns),
		part(m.Extra))
}

const (
	soaText = "example.com. 300 SOA ns1.example.com. hostmaster.example.com. 1 3600 600 86400 300"
	orgSOA  = "example.org. 300 SOA ns1.example.com. hostmaster.example.com. 1 3600 600 86400 300"
)

func nasty(t testing.TB) *Handler {
	com := zoneOf(t, "example.com",
		"@ NS ns1", "@ NS ns.example.net.", "ns1 A 192.0.2.1", "ns1 AAAA 2001:db8::1", "@ MX 10 Mail",
		"www A 192.0.2.2", "www A 192.0.2.3", "alias CNAME www", "a1 CNAME a2", "a2 CNAME a3", "a3 CNAME a1",
		"self CNAME self", "out CNAME www.example.net.", "over CNAME www.example.org.", "overnx CNAME nx.example.org.",
		"*.wild A 192.0.2.4", "*.wild TXT \"w\"", "real.wild MX 5 www", "*.wc CNAME www", "*.wloop CNAME x.wloop",
		"x.*.deep A 192.0.2.5", "a.b.c A 192.0.2.6",
		"cut NS ns.cut", "cut NS ns1", "cut NS ns.sib", "cut NS far.example.net.", "ns.cut A 192.0.2.7",
		"ns.cut AAAA 2001:db8::7",
		"sib NS ns.sib", "ns.sib A 192.0.2.8", "occluded.cut A 192.0.2.9", "tocut CNAME x.cut",
		"cut DS 1 8 2 "+strings.Repeat("ab", 32),
		"red DNAME example.org.", "red TXT \"here\"", "hid.red A 192.0.2.10", "rloop DNAME rloop", "grow DNAME x.grow",
		"p1 DNAME y.p2", "p2 DNAME p1", "twice DNAME t2", "a.t2 CNAME b.twice", "b.t2 TXT \"b\"",
		"big TXT "+strings.Repeat(`"`+strings.Repeat("x", 200)+`" `, 10), `dot\.ted A 192.0.2.11`,
		"unk TYPE65400 \\# 3 010203")
	org := zoneOf(t, "example.org", "@ NS ns1.example.com.", "www A 198.51.100.1", "back CNAME www.example.com.")
	return handlerOf(com, org)
}

func TestAnswers(t *testing.T) {
	h := nasty(t)
	glue := "ns.cut.example.com. 300 A 192.0.2.7, ns.cut.example.com. 300 AAAA 2001:db8::7, ns.sib.example.com. 300 " +
		"A 192.0.2.8, ns1.example.com. 300 A 192.0.2.1, ns1.example.com. 300 AAAA 2001:db8::1"
	cut := "cut.example.com. 300 NS far.example.net., cut.example.com. 300 NS ns.cut.example.com., cut.example.com. " +
		"300 NS ns.sib.example.com., cut.example.com. 300 NS ns1.example.com."
	for _, c := range []struct{ name, typ, want string }{
		{"www.example.com", "A", "NOERROR aa | www.example.com. 300 A 192.0.2.2, www.example.com. 300 A 192.0.2.3 |  " +
			"| "},
		{"wWw.eXample.com", "A", "NOERROR aa | wWw.eXample.com. 300 A 192.0.2.2, wWw.eXample.com. 300 A 192.0.2.3 |  " +
			"| "},
		{"example.com", "MX", "NOERROR aa | example.com. 300 MX 10 Mail.example.com. |  | "},
		{"example.com", "SOA", "NOERROR aa | example.com. 3600 SOA ns1.example.com. hostmaster.example.com. 1 3600 " +
			"600 86400 300 |  | "},
		{"example.com", "NS", "NOERROR aa | example.com. 300 NS ns.example.net., example.com. 300 NS " +
			"ns1.example.com. |  | "},
		{"www.example.com", "TXT", "NOERROR aa |  | " + soaText + " | "},
		// A DNAME is in an answer once, and one that leads below itself is followed once.
		{"a.grow.example.com", "A", "NOERROR aa | a.grow.example.com. 300 CNAME a.x.grow.example.com., " +
			"grow.example.com. 300 DNAME x.grow.example.com. |  | "},
		{"a.p1.example.com", "A", "NOERROR aa | a.p1.example.com. 300 CNAME a.y.p2.example.com., a.y.p2.example.com. " +
			"300 CNAME a.y.p1.example.com., p1.example.com. 300 DNAME y.p2.example.com., p2.example.com. 300 DNAME " +
			"p1.example.com. |  | "},
		{"a.twice.example.com", "TXT", "NOERROR aa | a.t2.example.com. 300 CNAME b.twice.example.com., " +
			"a.twice.example.com. 300 CNAME a.t2.example.com., b.t2.example.com. 300 TXT \"b\", b.twice.example.com. " +
			"300 CNAME b.t2.example.com., twice.example.com. 300 DNAME t2.example.com. |  | "},
		{"nope.example.com", "A", "NXDOMAIN aa |  | " + soaText + " | "},
		{"b.c.example.com", "A", "NOERROR aa |  | " + soaText + " | "},
		{"alias.example.com", "A", "NOERROR aa | alias.example.com. 300 CNAME www.example.com., www.example.com. 300 " +
			"A 192.0.2.2, www.example.com. 300 A 192.0.2.3 |  | "},
		{"alias.example.com", "CNAME", "NOERROR aa | alias.example.com. 300 CNAME www.example.com. |  | "},
		{"alias.example.com", "MX", "NOERROR aa | alias.example.com. 300 CNAME www.example.com. | " + soaText + " | "},
		{"a1.example.com", "A", "NOERROR aa | a1.example.com. 300 CNAME a2.example.com., a2.example.com. 300 CNAME " +
			"a3.example.com., a3.example.com. 300 CNAME a1.example.com. |  | "},
		{"self.example.com", "A", "NOERROR aa | self.example.com. 300 CNAME self.example.com. |  | "},
		{"out.example.com", "A", "NOERROR aa | out.example.com. 300 CNAME www.example.net. |  | "},
		{"over.example.com", "A", "NOERROR aa | over.example.com. 300 CNAME www.example.org., www.example.org. 300 A " +
			"198.51.100.1 |  | "},
		{"overnx.example.com", "A", "NXDOMAIN aa | overnx.example.com. 300 CNAME nx.example.org. | " + orgSOA + " | "},
		{"x.y.wild.example.com", "A", "NOERROR aa | x.y.wild.example.com. 300 A 192.0.2.4 |  | "},
		{"real.wild.example.com", "A", "NOERROR aa |  | " + soaText + " | "},
		{"x.real.wild.example.com", "A", "NXDOMAIN aa |  | " + soaText + " | "},
		{"x.wild.example.com", "MX", "NOERROR aa |  | " + soaText + " | "},
		{"z.wc.example.com", "A", "NOERROR aa | www.example.com. 300 A 192.0.2.2, www.example.com. 300 A 192.0.2.3, " +
			"z.wc.example.com. 300 CNAME www.example.com. |  | "},
		{"y.deep.example.com", "A", "NOERROR aa |  | " + soaText + " | "},
		{"x.cut.example.com", "A", "NOERROR |  | " + cut + " | " + glue},
		{"cut.example.com", "NS", "NOERROR |  | " + cut + " | " + glue},
		{"occluded.cut.example.com", "A", "NOERROR |  | " + cut + " | " + glue},
		{"ns.cut.example.com", "A", "NOERROR |  | " + cut + " | " + glue},
		{"cut.example.com", "DS", "NOERROR aa | cut.example.com. 300 DS 1 8 2 " + strings.ToUpper(strings.Repeat("ab",
			32)) + " |  | "},
		{"sib.example.com", "DS", "NOERROR aa |  | " + soaText + " | "},
		{"example.com", "DS", "NOERROR aa |  | " + soaText + " | "},
		{"tocut.example.com", "A", "NOERROR aa | tocut.example.com. 300 CNAME x.cut.example.com. | " + cut + " | " +
			glue},
		{"www.red.example.com", "A", "NOERROR aa | red.example.com. 300 DNAME example.org., www.example.org. 300 A " +
			"198.51.100.1, www.red.example.com. 300 CNAME www.example.org. |  | "},
		{"hid.red.example.com", "A", "NXDOMAIN aa | hid.red.example.com. 300 CNAME hid.example.org., " +
			"red.example.com. 300 DNAME example.org. | " + orgSOA + " | "},
		{"red.example.com", "TXT", "NOERROR aa | red.example.com. 300 TXT \"here\" |  | "},
		{"www.red.example.com", "CNAME", "NOERROR aa | red.example.com. 300 DNAME example.org., www.red.example.com. " +
			"300 CNAME www.example.org. |  | "},
		{"example.net", "A", "REFUSED |  |  | "},
		{".", "NS", "REFUSED |  |  | "},
		{"big.example.com", "TXT", "NOERROR aa tc |  |  | "},
		{`dot\.ted.example.com`, "A", `NOERROR aa | dot\.ted.example.com. 300 A 192.0.2.11 |  | `},
		{"example.com", "AXFR", "REFUSED |  |  | "},
		{"www.example.com", "ANY", "NOERROR aa | www.example.com. 300 A 192.0.2.2, www.example.com. 300 A 192.0.2.3 " +
			"|  | "},
	} {
		if got := brief(ask(t, h, question(c.name, c.typ), UDP)); got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.name, c.typ, got, c.want)
		}
	}
}

func TestTruncatedOverUDPWholeOverTCP(t *testing.T) {
	h := nasty(t)
	m := question("big.example.com", "TXT")
	if r := ask(t, h, m, TCP); r.Truncated || len(r.Answer) != 1 {
		t.Errorf("TCP: %v", r)
	}
	m.SetEdns0(4096, false)
	if r := ask(t, h, m, UDP); !r.Truncated || r.IsEdns0() == nil || len(r.Answer) != 0 {
		t.Errorf("UDP with EDNS above our size: %v", r)
	}
	h.Set(Settings{UDPSize: 4096})
	if r := ask(t, h, m, UDP); r.Truncated || len(r.Answer) != 1 {
		t.Errorf("UDP with room: %v", r)
	}
}

func TestDNAMETooLong(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 60)+".", 3)
	h := handlerOf(zoneOf(t, "example.com", "r DNAME "+long+"example.net."))
	r := ask(t, h, question(strings.Repeat("b", 60)+".r.example.com", "A"), TCP)
	if r.Rcode != mdns.RcodeYXDomain || len(r.Answer) != 1 {
		t.Errorf("got %v", r)
	}
}
