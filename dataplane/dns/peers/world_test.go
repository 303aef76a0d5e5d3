package peers

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
	"github.com/dark-ecosystem/dark/internal/clock"
)

// world is the zones of a run: what Dark compiles, and the same records as miekg/dns
// parses them, for the naive resolver.
type world struct {
	zones map[string]*zone.Zone
	rrs   map[string][]mdns.RR // by apex with the last dot
	names []string             // every owner, absolute
	types [][]uint16           // and its types
}

func newWorld() *world {
	return &world{zones: map[string]*zone.Zone{}, rrs: map[string][]mdns.RR{}}
}

// add compiles a zone of lines "owner type rdata".
func (w *world) add(t testing.TB, apex string, lines []string) {
	t.Helper()
	soa := zone.SOA{
		MName: "ns1." + apex, RName: "hostmaster." + apex, Refresh: 3600, Retry: 600, Expire: 86400,
		Minimum: 300, TTL: 3600,
	}
	z, err := zone.New(apex, soa, 2024010101)
	if err != nil {
		t.Fatal(err)
	}
	type key struct{ owner, typ string }
	sets := map[key][]string{}
	var order []key
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		k := key{f[0], f[1]}
		if sets[k] == nil {
			order = append(order, k)
		}
		sets[k] = append(sets[k], f[2])
	}
	ed := z.Edit()
	for _, k := range order {
		rr, bad := zone.ParseRecordSet(apex, k.owner, k.typ, 300, sets[k])
		if bad != nil {
			t.Fatal(apex, k, bad)
		}
		if err := ed.Put(rr); err != nil {
			t.Fatal(err)
		}
	}
	z = ed.Zone()
	w.zones[apex] = z
	w.record(t, apex, z)
}

// record keeps the zone's records for the naive resolver.
func (w *world) record(t testing.TB, apex string, z *zone.Zone) {
	t.Helper()
	put := func(owner, rest string) {
		line := owner + " " + rest
		rr, err := mdns.NewRR(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		buf := make([]byte, 70000) // through wire format: one spelling of each name
		if _, err = mdns.PackRR(rr, buf, 0, nil, false); err == nil {
			rr, _, err = mdns.UnpackRR(buf, 0)
		}
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		w.rrs[apex+"."] = append(w.rrs[apex+"."], rr)
	}
	s := z.Settings()
	put(apex+".", fmt.Sprintf("%d IN SOA %s. %s. %d %d %d %d %d", s.TTL, s.MName, s.RName, z.Serial(), s.Refresh,
		s.Retry, s.Expire, s.Minimum))
	z.Ascend(func(n *zone.Node) bool {
		owner := n.Owner() + "." + apex + "."
		if n.Owner() == "@" {
			owner = apex + "."
		}
		w.names = append(w.names, owner)
		w.types = append(w.types, nil)
		for _, set := range n.Sets() {
			w.types[len(w.types)-1] = append(w.types[len(w.types)-1], set.Type)
			_, typ, ttl, recs := zone.FormatRecordSet(apex, n.RRset(set))
			for _, r := range recs {
				put(owner, fmt.Sprintf("%d IN %s %s", ttl, typ, r))
			}
		}
		return true
	})
}

func (w *world) handler() *serve.Handler {
	h := serve.NewHandler(clock.Clock{})
	v := &dns.View{}
	for _, z := range w.zones {
		v.Zones = v.Zones.With(z)
	}
	h.Swap(v)
	return h
}

// nastyWorld is written by hand to hold what servers get wrong.
func nastyWorld(t testing.TB) *world {
	w := newWorld()
	long := strings.Repeat("l", 63)
	lines := []string{
		"@ NS ns1", "@ NS ns2.example.net.", "ns1 A 192.0.2.1", "ns1 AAAA 2001:db8::1", "@ MX 10 Mail",
		"@ MX 20 mail.example.net.",
		"@ TXT \"v=spf1 -all\"", `@ CAA 0 issue "ca.example.net"`, "mail A 192.0.2.25",
		"www A 192.0.2.2", "www A 192.0.2.3", "www AAAA 2001:db8::2", "alias CNAME www", "a1 CNAME a2", "a2 CNAME a3",
		"a3 CNAME www",
		"l1 CNAME l2", "l2 CNAME l1", "self CNAME self", "out CNAME www.example.net.", "dangling CNAME nothing.here",
		"*.wild A 192.0.2.4", "*.wild TXT \"w\"", "*.wild MX 5 www", "real.wild TXT \"r\"",
		"deep.ent.wild A 192.0.2.44",
		"*.wc CNAME www", "*.wcout CNAME www.example.net.", "*.wloop CNAME x.wloop", "x.*.deep A 192.0.2.5",
		"a.b.c.d A 192.0.2.6",
		"cut NS ns.cut", "cut NS ns1", "cut NS far.example.net.", "ns.cut A 192.0.2.7", "ns.cut AAAA 2001:db8::7",
		"occluded.cut A 192.0.2.9", "*.cut A 192.0.2.10",
		"cut DS 1 8 2 " + strings.Repeat("ab", 32), "deeper.under.cut TXT \"no\"",
		"sib NS ns.sibserver", "ns.sibserver A 192.0.2.8", "tocut CNAME x.cut", "tocutds CNAME cut",
		"lame NS nothing.lame", "many NS ns1.many", "many NS ns2.many", "ns1.many A 192.0.2.71",
		"ns2.many AAAA 2001:db8::72",
		"red DNAME target", "target TXT \"t\"", "www.target A 192.0.2.11", "*.sub.target A 192.0.2.12",
		"red TXT \"here\"",
		"redout DNAME example.net.", "redself DNAME redself2", "redself2 DNAME redself", "redcut DNAME cut",
		"grow DNAME x.grow", "grow1 DNAME y.grow2", "grow2 DNAME grow1", "twice DNAME target2",
		"a.target2 CNAME b.twice", "b.target2 TXT \"b\"", "torred CNAME www.red",
		`dot\.ted A 192.0.2.13`, `sp\032ace TXT "s"`, `nul\000x TXT "n"`, `hi\255 TXT "h"`, `UPPER TXT "Case"`,
		`\*.lit TXT "star"`,
		long + " A 192.0.2.14", strings.Repeat(long[:50]+".", 3) + "x TXT \"long\"",
		"unk TYPE65400 \\# 3 010203", "empty TYPE65401 \\# 0", "h HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1",
		"s SVCB 0 www", "_x._tcp SRV 1 2 3 www",
		"n NAPTR 1 2 \"u\" \"E2U+sip\" \"!^.*$!sip:info@example.com!\" .", "t TLSA 3 1 1 " + strings.Repeat("cd", 32),
		"loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m",
		"hinfo HINFO \"cpu\" \"os\"", "rp RP mbox.x txt.x", "ptr PTR www", "sshfp SSHFP 1 1 " + strings.Repeat("ef",
			20), "uri URI 10 1 \"https://example.com/\"",
		"big TXT " + strings.Repeat(`"`+strings.Repeat("x", 200)+`" `, 10), "bigcname CNAME big",
	}
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("hundred A 10.0.0.%d", i))
	}
	w.add(t, "example.com", append(lines, "child NS ns.child", "ns.child A 192.0.2.90", "tochild CNAME www.child"))
	w.add(t, "child.example.com", []string{
		"@ NS ns", "ns A 192.0.2.90", "www A 192.0.2.91",
		"up CNAME www.example.com.", "*.w TXT \"c\"",
	})
	w.add(t, "2.0.192.in-addr.arpa", []string{
		"@ NS ns1.example.com.", "1 PTR www.example.com.",
		"0/25 NS ns1.example.com.", "2 CNAME 2.0/25",
	})
	return w
}

// randomWorld makes a zone of few labels, so that names meet in every way.
func randomWorld(t testing.TB, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 7))
	labels := []string{"a", "b", "*", "x", "A", `\000`}
	label := func() string { return labels[r.IntN(len(labels))] }
	owner := func() string {
		o := label()
		for range r.IntN(4) {
			o += "." + label()
		}
		return o
	}
	types := map[string]map[string][]string{}
	for range 40 {
		o := owner()
		k := strings.ToLower(o)
		if types[k] == nil {
			types[k] = map[string][]string{}
		}
		has := types[k]
		switch n := r.IntN(10); {
		case len(has) == 0 && n < 2:
			has["CNAME"] = []string{owner()}
		case len(has) == 0 && n == 2 && !strings.HasPrefix(o, "*"):
			has["DNAME"] = []string{owner()}
		case has["CNAME"] != nil:
		case n < 5 && !strings.HasPrefix(o, "*") && has["DNAME"] == nil:
			has["NS"] = append(has["NS"], owner())
		case n < 8:
			has["A"] = append(has["A"], fmt.Sprintf("192.0.2.%d", r.IntN(250)))
		default:
			has["TXT"] = append(has["TXT"], fmt.Sprintf("\"%d\"", r.IntN(1000)))
		}
	}
	dropBelowDNAME(types)
	lines := []string{"@ NS ns", "ns A 192.0.2.1"}
	for o, sets := range types {
		for typ, recs := range sets {
			seen := map[string]bool{}
			for _, rec := range recs {
				if k := strings.ToLower(rec); !seen[k] {
					lines = append(lines, o+" "+typ+" "+rec)
				}
				seen[strings.ToLower(rec)] = true
			}
		}
	}
	w := newWorld()
	w.add(t, "rnd.test", lines)
	return w
}

// dropBelowDNAME takes away what peers refuse to load: names below a DNAME.
func dropBelowDNAME(types map[string]map[string][]string) {
	for d, sets := range types {
		if sets["DNAME"] == nil {
			continue
		}
		for o := range types {
			if strings.HasSuffix(o, "."+d) {
				delete(types, o)
			}
		}
	}
}

var questionTypes = []uint16{
	mdns.TypeA, mdns.TypeA, mdns.TypeA, mdns.TypeAAAA, mdns.TypeTXT, mdns.TypeNS, mdns.TypeMX, mdns.TypeCNAME,
	mdns.TypeDNAME,
	mdns.TypeDS, mdns.TypeSOA, mdns.TypeHTTPS, mdns.TypeSRV, mdns.TypePTR, mdns.TypeCAA, mdns.TypeTLSA, mdns.TypeHINFO,
	mdns.TypeRP, mdns.TypeNAPTR, mdns.TypeSVCB, mdns.TypeLOC, mdns.TypeSSHFP, mdns.TypeURI, 65400, 65401, 65280,
}

// question makes one query about the world.
func (w *world) question(r *rand.Rand) *mdns.Msg {
	at := r.IntN(len(w.names))
	name := w.names[at]
	typ := questionTypes[r.IntN(len(questionTypes))]
	if own := w.types[at]; len(own) > 0 && r.IntN(2) == 0 {
		typ = own[r.IntN(len(own))] // else most questions would have no data
	}
	for range r.IntN(3) {
		switch r.IntN(7) {
		case 0:
			name = "nope." + name
		case 1:
			name = "*." + name
		case 2:
			name = `\001\255.` + name
		case 3: // the parent
			if _, rest, ok := strings.Cut(name, "."); ok && !strings.Contains(name, `\.`) && strings.Count(name,
				".") > 2 {
				name = rest
			}
		case 4: // a sibling
			if i := mdns.Split(name); len(i) > 2 {
				name = "zz." + name[i[1]:]
			}
		case 5: // a child of a name that exists
			name = w.leaf(r) + "." + name
		}
	}
	if _, ok := mdns.IsDomainName(name); !ok {
		name = "example.com."
	}
	if r.IntN(3) == 0 {
		name = mutateCase(r, name)
	}
	m := new(mdns.Msg)
	m.SetQuestion(name, typ)
	m.RecursionDesired = r.IntN(4) == 0
	switch r.IntN(4) {
	case 0:
		m.SetEdns0(1232, r.IntN(2) == 0)
	case 1:
		m.SetEdns0([]uint16{512, 600, 4096}[r.IntN(3)], r.IntN(2) == 0)
	}
	if b, err := m.Pack(); err == nil && m.Unpack(b) == nil { // one spelling of the name
		return m
	}
	return w.question(r) // too long
}

// leaf is the first label of some owner.
func (w *world) leaf(r *rand.Rand) string {
	n := w.names[r.IntN(len(w.names))]
	if i := mdns.Split(n); len(i) > 1 {
		return strings.TrimSuffix(n[:i[1]], ".")
	}
	return "a"
}

func mutateCase(r *rand.Rand, s string) string {
	b := []byte(s)
	for i, c := range b {
		if ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') && r.IntN(2) == 0 {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// adopt takes the records of another zone in under a new apex.
func (w *world) adopt(t testing.TB, apex string, from *zone.Zone) {
	t.Helper()
	z, err := zone.New(apex, from.Settings(), from.Serial())
	if err != nil {
		t.Fatal(err)
	}
	ed := z.Edit()
	from.Ascend(func(n *zone.Node) bool {
		for _, s := range n.Sets() {
			if err := ed.Put(n.RRset(s)); err != nil {
				t.Fatal(err)
			}
		}
		return true
	})
	z = ed.Zone()
	w.zones[apex] = z
	w.record(t, apex, z)
}
