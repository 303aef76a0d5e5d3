package serve

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
	"github.com/dark-ecosystem/dark/internal/clock"
)

// probe is one of the EDNS compliance probes of DNS flag day: a query for the SOA of
// example.com, changed, and what the answer must be.
type probe struct {
	name   string
	change func(*mdns.Msg)
	via    Transport
	rcode  int
	soa    bool // the answer holds the SOA
	opt    bool // and there is an OPT record
	check  func(t *testing.T, raw []byte, r *mdns.Msg)
}

func withEDNS(size uint16, do bool, options ...mdns.EDNS0) func(*mdns.Msg) {
	return func(m *mdns.Msg) {
		m.SetEdns0(size, do)
		m.IsEdns0().Option = options
	}
}

func unknownOption() mdns.EDNS0 { return &mdns.EDNS0_LOCAL{Code: 100, Data: []byte{}} }

func clientCookie() mdns.EDNS0 {
	return &mdns.EDNS0_COOKIE{Code: mdns.EDNS0COOKIE, Cookie: "0123456789abcdef"}
}

func hasOption(r *mdns.Msg, code uint16) mdns.EDNS0 {
	if r.IsEdns0() == nil {
		return nil
	}
	for _, o := range r.IsEdns0().Option {
		if o.Option() == code {
			return o
		}
	}
	return nil
}

func noOption100(t *testing.T, _ []byte, r *mdns.Msg) {
	if hasOption(r, 100) != nil {
		t.Error("an unknown option was echoed")
	}
}

func wantsDO(t *testing.T, _ []byte, r *mdns.Msg) {
	if !r.IsEdns0().Do() {
		t.Error("DO was not echoed (RFC 3225 3)")
	}
}

func flagDayProbes() []probe {
	return []probe{
		{name: "dns", rcode: 0, soa: true},
		{name: "aa", change: func(m *mdns.Msg) { m.Authoritative = true }, soa: true},
		{name: "ad", change: func(m *mdns.Msg) {
			m.AuthenticatedData = true
		}, soa: true, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if r.AuthenticatedData {
				t.Error("AD set: nothing was validated")
			}
		}},
		{name: "cd", change: func(m *mdns.Msg) { m.CheckingDisabled = true }, soa: true},
		{name: "ra", change: func(m *mdns.Msg) {
			m.RecursionAvailable = true
		}, soa: true, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if r.RecursionAvailable {
				t.Error("RA set")
			}
		}},
		{name: "rd", change: func(m *mdns.Msg) {
			m.RecursionDesired = true
		}, soa: true, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if !r.RecursionDesired {
				t.Error("RD not copied (RFC 1035 4.1.1)")
			}
		}},
		{name: "tc", change: func(m *mdns.Msg) {
			m.Truncated = true
		}, soa: true, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if r.Truncated {
				t.Error("TC echoed")
			}
		}},
		{name: "zflag", change: func(m *mdns.Msg) {
			m.Zero = true
		}, soa: true, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if r.Zero {
				t.Error("the reserved bit was echoed")
			}
		}},
		{name: "opcode", change: func(m *mdns.Msg) { m.Opcode = 15 }, rcode: mdns.RcodeNotImplemented},
		{name: "opcodeflg", change: func(m *mdns.Msg) {
			m.Opcode, m.Truncated, m.RecursionDesired, m.RecursionAvailable = 15, true, true, true
			m.AuthenticatedData, m.CheckingDisabled, m.Authoritative = true, true, true
		}, rcode: mdns.RcodeNotImplemented, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if r.Authoritative || r.Truncated || r.RecursionAvailable || r.AuthenticatedData {
				t.Errorf("flags echoed: %v", r.MsgHdr)
			}
		}},
		{name: "type666", change: func(m *mdns.Msg) { m.Question[0].Qtype = 666 }},
		{name: "tcp", via: TCP, soa: true},
		{name: "edns", change: withEDNS(4096, false), soa: true, opt: true, check: func(t *testing.T, _ []byte,
			r *mdns.Msg,
		) {
			if r.IsEdns0().UDPSize() != 1232 {
				t.Errorf("size %d, want 1232", r.IsEdns0().UDPSize())
			}
		}},
		{name: "edns@512", change: withEDNS(512, false), soa: true, opt: true},
		{name: "edns@0", change: withEDNS(0, false), soa: true, opt: true},
		{name: "ednstcp", via: TCP, change: withEDNS(512, true), soa: true, opt: true},
		{name: "do", change: withEDNS(4096, true), soa: true, opt: true, check: wantsDO},
		{name: "ednsflags", change: func(m *mdns.Msg) {
			m.SetEdns0(4096, false)
			m.IsEdns0().SetZ(0x40)
		}, soa: true, opt: true, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if r.IsEdns0().Z() != 0 {
				t.Error("an unknown EDNS flag was echoed")
			}
		}},
		{name: "ednsopt", change: withEDNS(4096, false, unknownOption()), soa: true, opt: true, check: noOption100},
		{name: "edns1", change: func(m *mdns.Msg) {
			m.SetEdns0(4096, false)
			m.IsEdns0().SetVersion(1)
		}, rcode: mdns.RcodeBadVers, opt: true},
		{name: "edns1do", change: func(m *mdns.Msg) {
			m.SetEdns0(4096, true)
			m.IsEdns0().SetVersion(1)
		}, rcode: mdns.RcodeBadVers, opt: true, check: wantsDO},
		{name: "edns1opt", change: func(m *mdns.Msg) {
			withEDNS(4096, false, unknownOption())(m)
			m.IsEdns0().SetVersion(1)
		}, rcode: mdns.RcodeBadVers, opt: true, check: noOption100},
		{name: "edns1flags", change: func(m *mdns.Msg) {
			m.SetEdns0(4096, false)
			m.IsEdns0().SetVersion(1)
			m.IsEdns0().SetZ(0x40)
		}, rcode: mdns.RcodeBadVers, opt: true},
		{
			name: "docookie", change: withEDNS(4096, true, clientCookie()), soa: true, opt: true,
			check: func(t *testing.T, _ []byte, r *mdns.Msg) {
				wantsDO(t, nil, r)
				c, ok := hasOption(r, mdns.EDNS0COOKIE).(*mdns.EDNS0_COOKIE)
				if !ok || len(c.Cookie) != 48 || !strings.HasPrefix(c.Cookie, "0123456789abcdef") {
					t.Errorf("cookie %v", c)
				}
			},
		},
		{
			name: "nsid", change: withEDNS(4096, false, &mdns.EDNS0_NSID{Code: mdns.EDNS0NSID}), soa: true, opt: true,
			check: func(t *testing.T, _ []byte, r *mdns.Msg) {
				if n, ok := hasOption(r, mdns.EDNS0NSID).(*mdns.EDNS0_NSID); !ok ||
					n.Nsid != hex.EncodeToString([]byte("edge-1")) {
					t.Error("no NSID")
				}
			},
		},
		{
			name: "optlist", change: withEDNS(4096, false, &mdns.EDNS0_NSID{Code: mdns.EDNS0NSID},
				&mdns.EDNS0_SUBNET{Code: mdns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}},
				&mdns.EDNS0_EXPIRE{Code: mdns.EDNS0EXPIRE, Empty: true}, clientCookie(), unknownOption()),
			soa: true, opt: true, check: noOption100,
		},
		{
			name:   "badcookie",
			change: withEDNS(4096, false, &mdns.EDNS0_COOKIE{Code: mdns.EDNS0COOKIE, Cookie: "0123"}),
			rcode:  mdns.RcodeFormatError, opt: true,
		},
		{name: "bufsize", change: func(m *mdns.Msg) {
			withEDNS(512, true)(m)
			m.Question[0] = mdns.Question{Name: "big.example.com.", Qtype: mdns.TypeTXT, Qclass: mdns.ClassINET}
		}, opt: true, check: func(t *testing.T, raw []byte, r *mdns.Msg) {
			if !r.Truncated || len(raw) > 512 {
				t.Errorf("%d octets, TC %v", len(raw), r.Truncated)
			}
		}},
		{name: "bufsize1200", change: func(m *mdns.Msg) {
			withEDNS(1200, true)(m)
			m.Question[0] = mdns.Question{Name: "www.example.com.", Qtype: mdns.TypeA, Qclass: mdns.ClassINET}
		}, opt: true},
		{name: "chaos", change: func(m *mdns.Msg) {
			m.Question[0] = mdns.Question{Name: "ID.server.", Qtype: mdns.TypeTXT, Qclass: mdns.ClassCHAOS}
		}, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if len(r.Answer) != 1 || r.Answer[0].(*mdns.TXT).Txt[0] != "edge-1" {
				t.Error(r)
			}
		}},
		{name: "chaos other", change: func(m *mdns.Msg) {
			m.Question[0] = mdns.Question{Name: "authors.bind.", Qtype: mdns.TypeTXT, Qclass: mdns.ClassCHAOS}
		}, rcode: mdns.RcodeRefused},
		{name: "class HS", change: func(m *mdns.Msg) {
			m.Question[0].Qclass = mdns.ClassHESIOD
		}, rcode: mdns.RcodeRefused},
		{name: "no question", change: func(m *mdns.Msg) { m.Question = nil }, rcode: mdns.RcodeFormatError},
		{name: "cookie alone", change: func(m *mdns.Msg) {
			m.Question = nil
			withEDNS(4096, false, clientCookie())(m)
		}, opt: true},
		{name: "two questions", change: func(m *mdns.Msg) {
			m.Question = append(m.Question, m.Question[0])
		}, rcode: mdns.RcodeFormatError},
		{name: "two OPT", change: func(m *mdns.Msg) {
			m.SetEdns0(512, false)
			m.Extra = append(m.Extra, m.Extra[0])
		}, rcode: mdns.RcodeFormatError, opt: true},
		{name: "outside", change: func(m *mdns.Msg) {
			withEDNS(1232, false)(m)
			m.Question[0].Name = "example.net."
		}, rcode: mdns.RcodeRefused, opt: true, check: func(t *testing.T, _ []byte, r *mdns.Msg) {
			if e, ok := hasOption(r, mdns.EDNS0EDE).(*mdns.EDNS0_EDE); !ok ||
				e.InfoCode != mdns.ExtendedErrorCodeNotAuthoritative {
				t.Error("no extended error")
			}
		}},
	}
}

func TestFlagDayProbes(t *testing.T) {
	h := nasty(t)
	h.Set(Settings{NSID: "edge-1", ServerID: "edge-1", Cookies: cookie.Secrets{{1}}})
	for _, p := range flagDayProbes() {
		t.Run(p.name, func(t *testing.T) {
			m := question("example.com", "SOA")
			m.RecursionDesired = false
			if p.change != nil {
				p.change(m)
			}
			wire, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			raw := h.Handle(nil, wire, client, p.via)
			r := new(mdns.Msg)
			if err := r.Unpack(raw); err != nil {
				t.Fatal(err)
			}
			soa := false
			for _, rr := range r.Answer {
				soa = soa || rr.Header().Rrtype == mdns.TypeSOA
			}
			if r.Rcode != p.rcode || soa != p.soa || (r.IsEdns0() != nil) != p.opt || r.Opcode != m.Opcode {
				t.Errorf("rcode %s, SOA %v, OPT %v, opcode %d", mdns.RcodeToString[r.Rcode], soa, r.IsEdns0() != nil,
					r.Opcode)
			}
			if o := r.IsEdns0(); o != nil && o.Version() != 0 {
				t.Errorf("EDNS version %d", o.Version())
			}
			if p.check != nil {
				p.check(t, raw, r)
			}
		})
	}
}

func TestCookies(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	h := nasty(t)
	h.clock = clock.At(func() time.Time { return now })
	h.Set(Settings{Cookies: cookie.Secrets{{1}}})
	get := func(sent string) string {
		m := question("www.example.com", "A")
		withEDNS(1232, false, &mdns.EDNS0_COOKIE{Code: mdns.EDNS0COOKIE, Cookie: sent})(m)
		c, ok := hasOption(ask(t, h, m, UDP), mdns.EDNS0COOKIE).(*mdns.EDNS0_COOKIE)
		if !ok {
			return ""
		}
		return c.Cookie
	}
	first := get("0123456789abcdef")
	now = now.Add(time.Minute)
	if again := get(first); again != first {
		t.Errorf("a good cookie was changed: %s to %s", first, again)
	}
	if other := get(first[:32] + "0000000000000000"); other == first || len(other) != 48 {
		t.Errorf("a forged cookie came back as %s", other)
	}
	h.Set(Settings{Cookies: cookie.Secrets{{2}, {1}}})
	if rolled := get(first); rolled == first || len(rolled) != 48 {
		t.Errorf("after the rollover: %s", rolled)
	}
	h.Set(Settings{})
	if none := get(first); none != "" {
		t.Errorf("without secrets: %s", none)
	}
}

// TestMalformed: what is no query costs no answer, the rest FORMERR.
func TestMalformed(t *testing.T) {
	h := nasty(t)
	good, err := question("www.example.com", "A").Pack()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(f func(b []byte) []byte) []byte { return f(append([]byte(nil), good...)) }
	for _, c := range []struct {
		name  string
		msg   []byte
		rcode int // negative: dropped
	}{
		{"empty", nil, -1},
		{"short header", good[:11], -1},
		{"an answer", edit(func(b []byte) []byte { b[2] |= 0x80; return b }), -1},
		{"cut in the name", good[:15], 1},
		{"cut in the type", good[:len(good)-3], 1},
		{"trailing", append(append([]byte(nil), good...), 0), 1},
		{"pointer as name", edit(func(b []byte) []byte { b[12], b[13] = 0xc0, 12; return b }), 1},
		{"label type 01", edit(func(b []byte) []byte { b[12] = 0x41; return b }), 1},
		{"counts lie", edit(func(b []byte) []byte { b[11] = 1; return b }), 1},
		{"many counts", edit(func(b []byte) []byte { binary.BigEndian.PutUint16(b[6:], 65535); return b }), 1},
	} {
		out := h.Handle(nil, c.msg, netip.AddrPort{}, UDP)
		if c.rcode < 0 != (len(out) == 0) || len(out) > 0 && int(out[3]&15) != c.rcode {
			t.Errorf("%s: %x", c.name, out)
		}
		if len(out) > 512 {
			t.Errorf("%s: %d octets", c.name, len(out))
		}
	}
}
