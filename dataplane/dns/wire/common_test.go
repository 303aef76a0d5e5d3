package wire

import (
	"bytes"
	"testing"

	mdns "github.com/miekg/dns"
)

// FuzzParseCommon: what ParseCommon takes, Parse takes, and reads the same in it.
func FuzzParseCommon(f *testing.F) {
	for _, change := range []func(*mdns.Msg){
		func(*mdns.Msg) {},
		func(m *mdns.Msg) { m.SetEdns0(1232, true) },
		func(m *mdns.Msg) {
			m.SetEdns0(4096, false)
			m.IsEdns0().Option = []mdns.EDNS0{
				&mdns.EDNS0_NSID{Code: mdns.EDNS0NSID},
				&mdns.EDNS0_COOKIE{Code: mdns.EDNS0COOKIE, Cookie: "0123456789abcdef"},
			}
		},
		func(m *mdns.Msg) { m.SetEdns0(512, false); m.IsEdns0().SetVersion(1) },
		func(m *mdns.Msg) { m.Opcode = mdns.OpcodeNotify },
		func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeAXFR },
		func(m *mdns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		func(m *mdns.Msg) { m.SetTsig("key.", mdns.HmacSHA256, 300, 1) },
	} {
		m := new(mdns.Msg)
		m.SetQuestion("Www.example.com.", mdns.TypeA)
		change(m)
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
		f.Add(append(b, 0))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var a, b Query
		if !a.ParseCommon(msg) {
			return
		}
		if v := b.Parse(msg); v != Good {
			t.Fatalf("taken, but Parse says %d", v)
		}
		if !bytes.Equal(a.Name.Wire(), b.Name.Wire()) || a.Name.Key() != b.Name.Key() ||
			!bytes.Equal(a.Cookie, b.Cookie) || (a.Cookie == nil) != (b.Cookie == nil) {
			t.Fatalf("%+v\n%+v", a, b)
		}
		a.Name, b.Name, a.Cookie, b.Cookie = Name{}, Name{}, nil, nil
		x, y := [...]any{
			a.ID, a.Flags, a.Type, a.Class, a.HasQuestion, a.EDNS, a.Version, a.UDPSize, a.DO, a.NSID,
			a.Keepalive, a.TSIG,
		},
			[...]any{
				b.ID, b.Flags, b.Type, b.Class, b.HasQuestion, b.EDNS, b.Version, b.UDPSize, b.DO, b.NSID,
				b.Keepalive, b.TSIG,
			}
		if x != y {
			t.Fatalf("%v\n%v", x, y)
		}
	})
}

// TestParseCommonTakes: the forms it is for, and none that need a second look.
func TestParseCommonTakes(t *testing.T) {
	pack := func(change func(*mdns.Msg)) []byte {
		m := new(mdns.Msg)
		m.SetQuestion("www.example.com.", mdns.TypeA)
		change(m)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name   string
		change func(*mdns.Msg)
		want   bool
	}{
		{"plain", func(*mdns.Msg) {}, true},
		{"EDNS", func(m *mdns.Msg) { m.SetEdns0(1232, true) }, true},
		{"an odd type", func(m *mdns.Msg) { m.Question[0].Qtype = 65400 }, true},
		{"EDNS version 1", func(m *mdns.Msg) { m.SetEdns0(1232, true); m.IsEdns0().SetVersion(1) }, false},
		{"NOTIFY", func(m *mdns.Msg) { m.Opcode = mdns.OpcodeNotify }, false},
		{"an answer", func(m *mdns.Msg) { m.Response = true }, false},
		{"CHAOS", func(m *mdns.Msg) { m.Question[0].Qclass = mdns.ClassCHAOS }, false},
		{"AXFR", func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeAXFR }, false},
		{"IXFR", func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeIXFR }, false},
		{"two questions", func(m *mdns.Msg) { m.Question = append(m.Question, m.Question[0]) }, false},
		{"no question", func(m *mdns.Msg) { m.Question = nil }, false},
		{"TSIG", func(m *mdns.Msg) { m.SetTsig("key.", mdns.HmacSHA256, 300, 1) }, false},
		{"an answer section", func(m *mdns.Msg) {
			m.Answer = []mdns.RR{&mdns.ANY{Hdr: mdns.RR_Header{Name: ".", Rrtype: 255, Class: 1}}}
		}, false},
	} {
		if got := new(Query).ParseCommon(pack(c.change)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestTSIGNamesEnd: a compressed key name is read whole; pointers in a circle end.
func TestTSIGNamesEnd(t *testing.T) {
	var to [MaxName]byte
	msg := []byte("\x03key\x00\x01a\xc0\x00\xc0\x09\xc0\x0b")
	if n := expand(&to, msg, 5); string(to[:n]) != "\x01a\x03key\x00" {
		t.Errorf("%q", to[:n])
	}
	for _, off := range []int{9, 11, 13, 99} {
		if n := expand(&to, msg, off); n != 0 {
			t.Errorf("at %d: %q", off, to[:n])
		}
	}
}
