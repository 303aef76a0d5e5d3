package serve

import (
	"bytes"
	"testing"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
	"github.com/dark-ecosystem/dark/internal/clock"
)

// FuzzTiersEqual: whatever the message, a batched loop and the general way give the
// same octets.
func FuzzTiersEqual(f *testing.F) {
	for _, m := range corpus(f) {
		f.Add(m)
	}
	h := nasty(f)
	h.Set(Settings{NSID: "edge-1", ServerID: "edge-1", Cookies: cookie.Secrets{{1}}})
	one, two := h.newExchange(), h.newExchange()
	one.batched = true
	f.Fuzz(func(t *testing.T, msg []byte) {
		one.now = h.clock.Now()
		two.now = one.now
		a, b := one.handle(nil, msg, client, UDP), two.handle(nil, msg, client, UDP)
		if !bytes.Equal(a, b) {
			t.Errorf("tier 1 or 2: %x\ntier 2:      %x", a, b)
		}
		if two.counters.tier1.Load() != 0 {
			t.Error("what is not batched counted as tier 1")
		}
	})
}

// TestOddQueriesAreTier2: what tier 1 does not know falls through, is answered, and is
// counted where it was answered.
func TestOddQueriesAreTier2(t *testing.T) {
	h := nasty(t)
	x := h.newExchange()
	x.batched = true
	for _, c := range []struct {
		name   string
		change func(*mdns.Msg)
		rcode  int
		tier1  uint64
	}{
		{"plain", func(*mdns.Msg) {}, mdns.RcodeSuccess, 1},
		{"EDNS", func(m *mdns.Msg) { m.SetEdns0(1232, true) }, mdns.RcodeSuccess, 1},
		{"ANY", func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeANY }, mdns.RcodeSuccess, 1},
		{"TSIG", func(m *mdns.Msg) { m.SetTsig("key.", mdns.HmacSHA256, 300, 1) }, mdns.RcodeNotAuth, 0},
		{"NOTIFY", func(m *mdns.Msg) { m.Opcode = mdns.OpcodeNotify }, mdns.RcodeNotImplemented, 0},
		{"UPDATE", func(m *mdns.Msg) { m.Opcode = mdns.OpcodeUpdate }, mdns.RcodeNotImplemented, 0},
		{"AXFR", func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeAXFR }, mdns.RcodeRefused, 0},
		{"two questions", func(m *mdns.Msg) {
			m.Question = append(m.Question, m.Question[0])
		}, mdns.RcodeFormatError, 0},
		{"EDNS version 1", func(m *mdns.Msg) {
			m.SetEdns0(1232, true)
			m.IsEdns0().SetVersion(1)
		}, mdns.RcodeBadVers & 15, 0},
		{"CHAOS", func(m *mdns.Msg) { m.Question[0].Qclass = mdns.ClassCHAOS }, mdns.RcodeRefused, 0},
	} {
		m := question("www.example.com", "A")
		c.change(m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		before := h.Counts()
		out := x.handle(nil, b, client, UDP)
		after := h.Counts()
		if got := after.Tier1 - before.Tier1; got != c.tier1 || after.Queries-before.Queries != 1 ||
			after.Tier1+after.Tier2 != after.Queries {
			t.Errorf("%s: tier 1 counted %d, from %+v to %+v", c.name, got, before, after)
		}
		if len(out) < 12 || int(out[3]&15) != c.rcode {
			t.Errorf("%s: %x", c.name, out)
		}
	}
}

// TestUnknownKeyIsSaid: a query signed by a key that is not ours gets NOTAUTH with an
// unsigned TSIG record that says BADKEY and names the key (RFC 8945 5.2.1, 5.3.2).
func TestUnknownKeyIsSaid(t *testing.T) {
	h := nasty(t)
	for _, edns := range []bool{false, true} {
		m := question("www.example.com", "A")
		if edns {
			m.SetEdns0(1232, false)
		}
		m.SetTsig("their.key.", mdns.HmacSHA256, 300, 1_700_000_000)
		b, _, err := mdns.TsigGenerate(m, "c2VjcmV0", "", false)
		if err != nil {
			t.Fatal(err)
		}
		r := new(mdns.Msg)
		if err := r.Unpack(h.Handle(nil, b, client, UDP)); err != nil {
			t.Fatal(err)
		}
		s := r.IsTsig()
		if r.Rcode != mdns.RcodeNotAuth || s == nil || len(r.Answer) != 0 || (r.IsEdns0() != nil) != edns {
			t.Fatalf("%v", r)
		}
		if s.Hdr.Name != "their.key." || s.Error != mdns.RcodeBadKey || s.MACSize != 0 || s.OrigId != m.Id ||
			s.Algorithm != mdns.HmacSHA256 {
			t.Errorf("%v", s)
		}
	}
}

// TestExtendedErrors: each code that is sent, with its cause (RFC 8914); none without EDNS.
func TestExtendedErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		h      *Handler
		change func(*mdns.Msg)
		rcode  int
		code   uint16
	}{
		{
			"no view yet", NewHandler(clock.Clock{}), func(*mdns.Msg) {}, mdns.RcodeServerFailure,
			mdns.ExtendedErrorCodeNotReady,
		},
		{"another's name", nasty(t), func(m *mdns.Msg) {
			m.Question[0].Name = "example.net."
		}, mdns.RcodeRefused, mdns.ExtendedErrorCodeNotAuthoritative},
		{"another class", nasty(t), func(m *mdns.Msg) {
			m.Question[0].Qclass = mdns.ClassHESIOD
		}, mdns.RcodeRefused, mdns.ExtendedErrorCodeNotAuthoritative},
		{"a transfer", nasty(t), func(m *mdns.Msg) {
			m.Question[0].Qtype = mdns.TypeAXFR
		}, mdns.RcodeRefused, mdns.ExtendedErrorCodeProhibited},
		{"an opcode", nasty(t), func(m *mdns.Msg) {
			m.Opcode = mdns.OpcodeUpdate
		}, mdns.RcodeNotImplemented, mdns.ExtendedErrorCodeNotSupported},
	} {
		m := question("www.example.com", "A")
		c.change(m)
		if r := ask(t, c.h, m, UDP); r.Rcode != c.rcode || r.IsEdns0() != nil {
			t.Errorf("%s, no EDNS: %v", c.name, r)
		}
		m.SetEdns0(1232, false)
		r := ask(t, c.h, m, UDP)
		e, ok := hasOption(r, mdns.EDNS0EDE).(*mdns.EDNS0_EDE)
		if r.Rcode != c.rcode || !ok || e.InfoCode != c.code {
			t.Errorf("%s: %v", c.name, r)
		}
	}
}
