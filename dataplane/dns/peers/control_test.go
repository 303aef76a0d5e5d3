package peers

import (
	"math/rand/v2"
	"slices"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/serve"
)

// brokenTiers are ways in which a tier might be wrong, each in one part of the answer.
var brokenTiers = map[string]func(*mdns.Msg){
	"no AA":                   func(m *mdns.Msg) { m.Authoritative = false },
	"AA on referrals":         func(m *mdns.Msg) { m.Authoritative = m.Rcode != mdns.RcodeRefused },
	"NXDOMAIN as NOERROR":     func(m *mdns.Msg) { m.Rcode = max(0, m.Rcode&^mdns.RcodeNameError) },
	"DO not echoed":           func(m *mdns.Msg) { dropDO(m) },
	"a record missing":        func(m *mdns.Msg) { m.Answer = m.Answer[:max(0, len(m.Answer)-1)] },
	"TTL of the answer":       func(m *mdns.Msg) { changeTTL(m.Answer) },
	"TTL of negative answers": func(m *mdns.Msg) { changeTTL(m.Ns) },
	"no SOA": func(m *mdns.Msg) {
		m.Ns = slices.DeleteFunc(m.Ns, func(rr mdns.RR) bool { return rr.Header().Rrtype == mdns.TypeSOA })
	},
	"a name server missing": func(m *mdns.Msg) {
		if !m.Authoritative {
			m.Ns = m.Ns[:max(0, len(m.Ns)-1)]
		}
	},
	"no glue": func(m *mdns.Msg) {
		m.Extra = slices.DeleteFunc(m.Extra, func(rr mdns.RR) bool { return rr.Header().Rrtype != mdns.TypeOPT })
	},
	"chain not followed": func(m *mdns.Msg) {
		if len(m.Answer) > 1 && m.Answer[0].Header().Rrtype == mdns.TypeCNAME {
			m.Answer = m.Answer[:1]
		}
	},
	"wrong address": func(m *mdns.Msg) {
		for _, rr := range m.Answer {
			if a, ok := rr.(*mdns.A); ok {
				a.A[3]++
			}
		}
	},
}

func dropDO(m *mdns.Msg) {
	if o := m.IsEdns0(); o != nil {
		o.SetDo(false)
	}
}

// TestDifferentialCatches is the control run: the judge of TestDifferential complains
// of each tier that is broken on purpose, and of none when nothing is.
func TestDifferentialCatches(t *testing.T) {
	w := differentialWorld(t)
	ps := startPeers(t, w)
	if len(ps) < 2 {
		missing(t, "two of Knot, NSD and BIND")
		return
	}
	h, rules, r := w.handler(), readRules(t), rand.New(rand.NewPCG(5, 5))
	qs := make([]question, 2*chunkSize)
	for i := range qs {
		qs[i] = newQuestion(t, w.question(r))
	}
	theirs := make([][][]byte, len(ps))
	for i, p := range ps {
		var err error
		if theirs[i], err = p.exchange(qs, "udp"); err != nil {
			t.Fatal(err)
		}
	}
	caught := map[string]int{}
	for k, q := range qs {
		raw := h.Handle(nil, q.wire, client, serve.UDP)
		var answers []*mdns.Msg
		for i := range ps {
			answers = append(answers, unpack(t, theirs[i][k]))
		}
		if complaint := judge(q.Msg, unpack(t, raw), answers, ps, rules, newTally()); complaint != "" {
			t.Error(complaint)
		}
		for name, breakIt := range brokenTiers {
			m := unpack(t, raw)
			breakIt(m)
			if judge(q.Msg, m, answers, ps, rules, newTally()) != "" {
				caught[name]++
			}
		}
	}
	for name := range brokenTiers {
		if caught[name] == 0 {
			t.Errorf("%s: not caught", name)
		}
	}
	t.Log(caught)
}

func unpack(t *testing.T, b []byte) *mdns.Msg {
	t.Helper()
	m := new(mdns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("%v: %x", err, b)
	}
	return m
}
