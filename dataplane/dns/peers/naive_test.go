package peers

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
)

// meaning is an answer as far as it matters: sets are sorted, owners in lower case.
type meaning struct {
	rcode, aa string
	answer    string
	authority string
}

// naive answers by scanning lists of records, one rule after the other as RFC 1034
// 4.3.2 writes them. It shares no code with what it judges.
type naive struct{ zones map[string][]mdns.RR }

func lowerName(s string) string { return strings.ToLower(s) }

func (n *naive) at(apex, name string) (rrs []mdns.RR) {
	for _, rr := range n.zones[apex] {
		if lowerName(rr.Header().Name) == name {
			rrs = append(rrs, rr)
		}
	}
	return rrs
}

func (n *naive) exists(apex, name string) bool {
	for _, rr := range n.zones[apex] {
		if mdns.IsSubDomain(name, lowerName(rr.Header().Name)) {
			return true
		}
	}
	return false
}

func ofType(rrs []mdns.RR, typ uint16) (out []mdns.RR) {
	for _, rr := range rrs {
		if rr.Header().Rrtype == typ {
			out = append(out, rr)
		}
	}
	return out
}

// ancestors are the names from the apex down to the name itself.
func ancestors(apex, name string) (out []string) {
	idx := mdns.Split(name)
	for i := len(idx) - 1; i >= 0; i-- {
		if a := name[idx[i]:]; mdns.IsSubDomain(apex, a) {
			out = append(out, a)
		}
	}
	return out
}

func (n *naive) zoneOf(name string, typ uint16) string {
	best, child := "", ""
	for apex := range n.zones {
		if !mdns.IsSubDomain(apex, name) {
			continue
		}
		if typ == mdns.TypeDS && apex == name {
			child = apex
			continue
		}
		if len(apex) > len(best) {
			best = apex
		}
	}
	if best == "" {
		return child
	}
	return best
}

// answer follows the question until there is nothing more to follow.
func (n *naive) answer(q mdns.Question) meaning {
	var answers []string
	name, seen, dnames := lowerName(q.Name), map[string]bool{}, map[string]int{}
	aa := ""
	for len(seen) <= 16 && !seen[name] {
		first := len(seen) == 0
		seen[name] = true
		apex := n.zoneOf(name, q.Qtype)
		if apex == "" {
			if first {
				return meaning{rcode: "REFUSED"}
			}
			break
		}
		if first {
			aa = "aa"
		}
		cut, redirect := n.above(apex, name, q.Qtype)
		if cut != nil {
			if first {
				aa = ""
			}
			return meaning{"NOERROR", aa, set(answers), set(texts(cut, ""))}
		}
		if redirect != nil {
			d := redirect.(*mdns.DNAME)
			target := strings.TrimSuffix(name, lowerName(d.Hdr.Name)) + lowerName(d.Target)
			key := lowerName(d.Hdr.Name)
			if before := dnames[key]; before == 0 {
				answers, dnames[key] = append(answers, texts([]mdns.RR{d}, "")...), octets(name)
			} else if before < octets(name) {
				break // it leads below itself
			}
			if !fits(target) {
				return meaning{"YXDOMAIN", aa, set(answers), ""}
			}
			answers = append(answers, fmt.Sprintf("%s %d CNAME %s", name, d.Hdr.Ttl, target))
			if q.Qtype == mdns.TypeCNAME {
				break
			}
			name = target
			continue
		}
		rrs, ok := n.data(apex, name)
		soa := set(negative(n.at(apex, apex)))
		if !ok {
			return meaning{"NXDOMAIN", aa, set(answers), soa}
		}
		if hit := ofType(rrs, q.Qtype); hit != nil {
			answers = append(answers, texts(hit, name)...)
			break
		}
		alias := ofType(rrs, mdns.TypeCNAME)
		if alias == nil {
			return meaning{"NOERROR", aa, set(answers), soa}
		}
		answers = append(answers, texts(alias, name)...)
		name = lowerName(alias[0].(*mdns.CNAME).Target)
	}
	return meaning{"NOERROR", aa, set(answers), ""}
}

// octets is the length of a name in wire format.
func octets(name string) int {
	n, err := mdns.PackDomainName(name, make([]byte, 256), 0, nil, false)
	if err != nil {
		return 256
	}
	return n
}

func (n *naive) above(apex, name string, typ uint16) (cut []mdns.RR, redirect mdns.RR) {
	for _, a := range ancestors(apex, name) {
		rrs := n.at(apex, a)
		if ns := ofType(rrs, mdns.TypeNS); ns != nil && a != apex && !(a == name && typ == mdns.TypeDS) {
			return ns, nil
		}
		if d := ofType(rrs, mdns.TypeDNAME); d != nil && a != name {
			return nil, d[0]
		}
	}
	return nil, nil
}

// data is what the name or the wildcard for it owns, and whether either exists.
func (n *naive) data(apex, name string) ([]mdns.RR, bool) {
	if n.exists(apex, name) {
		return n.at(apex, name), true
	}
	all := ancestors(apex, name)
	slices.Reverse(all)
	for _, a := range all {
		if n.exists(apex, a) {
			wild := "*." + a
			return n.at(apex, wild), n.exists(apex, wild)
		}
	}
	return nil, false
}

// fits reports whether a name is at most 255 octets.
func fits(name string) bool {
	_, err := mdns.PackDomainName(name, make([]byte, 1024), 0, nil, false)
	if err != nil {
		return false
	}
	off, _ := mdns.PackDomainName(name, make([]byte, 1024), 0, nil, false)
	return off <= 255
}

func negative(apex []mdns.RR) []string {
	soa := mdns.Copy(ofType(apex, mdns.TypeSOA)[0]).(*mdns.SOA)
	soa.Hdr.Ttl = min(soa.Hdr.Ttl, soa.Minttl)
	return texts([]mdns.RR{soa}, "")
}

// texts are records in one form; owner replaces theirs when it is not empty.
func texts(rrs []mdns.RR, owner string) (out []string) {
	for _, rr := range rrs {
		h := rr.Header()
		if h.Rrtype == mdns.TypeOPT {
			continue
		}
		o := owner
		if o == "" {
			o = lowerName(h.Name)
		}
		data := strings.TrimPrefix(rr.String(), h.String())
		if i := strings.Index(data, `\# `); i > 0 && h.Rrtype > 65000 {
			data = data[i:]
		}
		if namesOnly[h.Rrtype] { // compression against the question may change case
			data = lowerName(data)
		}
		out = append(out, fmt.Sprintf("%s %d %s %s", o, h.Ttl, mdns.Type(h.Rrtype), data))
	}
	return out
}

// namesOnly are types whose RDATA has names and numbers, whose case does not matter.
var namesOnly = map[uint16]bool{
	mdns.TypeNS: true, mdns.TypeCNAME: true, mdns.TypeSOA: true, mdns.TypePTR: true, mdns.TypeMX: true,
	mdns.TypeDNAME: true, mdns.TypeSRV: true, mdns.TypeRP: true,
}

func set(s []string) string {
	s = slices.Clone(s)
	slices.Sort(s)
	return strings.Join(slices.Compact(s), "\n")
}

func meaningOf(m *mdns.Msg) meaning {
	aa := ""
	if m.Authoritative {
		aa = "aa"
	}
	return meaning{mdns.RcodeToString[m.Rcode], aa, set(texts(m.Answer, "")), set(texts(m.Ns, ""))}
}

var client = netip.MustParseAddrPort("192.0.2.99:5353")

func ask(t testing.TB, h *serve.Handler, m *mdns.Msg, via serve.Transport) (*mdns.Msg, int) {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatal(m.Question, err)
	}
	out := h.Handle(nil, b, client, via)
	r := new(mdns.Msg)
	if err := r.Unpack(out); err != nil {
		t.Fatalf("%v: %v: %x", m.Question, err, out)
	}
	if len(r.Question) != 1 || r.Question[0].Name != m.Question[0].Name {
		t.Fatalf("the case of %v was not kept: %v", m.Question, r.Question)
	}
	return r, len(out)
}

// TestNaive: over nasty and random zones a naive resolver agrees in meaning, and UDP
// says the same as TCP, or TC exactly where that does not fit.
func TestNaive(t *testing.T) {
	worlds := []*world{nastyWorld(t)}
	for seed := range uint64(60) {
		worlds = append(worlds, randomWorld(t, seed))
	}
	total := 0
	for i, w := range worlds {
		h, n := w.handler(), &naive{w.rrs}
		r := rand.New(rand.NewPCG(uint64(i), 3))
		rounds := 400
		switch {
		case raceEnabled:
			rounds = 50
		case i == 0:
			rounds = 8000
		}
		for range rounds {
			m := w.question(r)
			whole, size := ask(t, h, m, serve.TCP)
			if got, want := meaningOf(whole), n.answer(m.Question[0]); got != want {
				t.Fatalf("world %d: %v\n got %+v\nwant %+v", i, m.Question[0], got, want)
			}
			checkUDP(t, h, m, whole, size)
			total++
		}
	}
	t.Logf("%d questions", total)
}

func checkUDP(t *testing.T, h *serve.Handler, m, whole *mdns.Msg, size int) {
	t.Helper()
	limit := 512
	if o := m.IsEdns0(); o != nil {
		limit = min(max(512, int(o.UDPSize())), 1232)
	}
	short, n := ask(t, h, m, serve.UDP)
	switch {
	case n > limit:
		t.Fatalf("%v: %d octets, limit %d", m.Question[0], n, limit)
	case size <= limit && (short.Truncated || n != size):
		t.Fatalf("%v: %d octets fit into %d but UDP gave %d, TC %v", m.Question[0], size, limit, n, short.Truncated)
	case size > limit && !short.Truncated && meaningOf(short) != meaningOf(whole):
		t.Fatalf("%v: less over UDP without TC", m.Question[0])
	}
}

// TestMutantsAreCaught: an answer that is wrong in one way is seen by the judge.
func TestMutantsAreCaught(t *testing.T) {
	mutants := map[string]func(*mdns.Msg){
		"no AA":            func(m *mdns.Msg) { m.Authoritative = false },
		"AA on referrals":  func(m *mdns.Msg) { m.Authoritative = m.Rcode != mdns.RcodeRefused },
		"no NXDOMAIN":      func(m *mdns.Msg) { m.Rcode = max(0, m.Rcode&^mdns.RcodeNameError) },
		"a record missing": func(m *mdns.Msg) { m.Answer = m.Answer[:max(0, len(m.Answer)-1)] },
		"TTL changed":      func(m *mdns.Msg) { changeTTL(m.Answer) },
		"negative TTL":     func(m *mdns.Msg) { changeTTL(m.Ns) },
		"no authority":     func(m *mdns.Msg) { m.Ns = nil },
		"chain not followed": func(m *mdns.Msg) {
			if len(m.Answer) > 1 && m.Answer[0].Header().Rrtype == mdns.TypeCNAME {
				m.Answer = m.Answer[:1]
			}
		},
	}
	w := nastyWorld(t)
	h, n := w.handler(), &naive{w.rrs}
	caught := map[string]int{}
	r := rand.New(rand.NewPCG(9, 9))
	for range 2000 {
		m := w.question(r)
		want := n.answer(m.Question[0])
		for name, mutate := range mutants {
			got, _ := ask(t, h, m, serve.TCP)
			mutate(got)
			if meaningOf(got) != want {
				caught[name]++
			}
		}
	}
	for name := range mutants {
		if caught[name] == 0 {
			t.Errorf("%s: not caught", name)
		}
	}
	t.Log(caught)
}

func changeTTL(rrs []mdns.RR) {
	for _, rr := range rrs {
		rr.Header().Ttl++
	}
}
