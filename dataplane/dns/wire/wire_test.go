package wire

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"
)

func nameOf(t testing.TB, text string) string {
	t.Helper()
	b := make([]byte, 512)
	n, err := mdns.PackDomainName(mdns.Fqdn(text), b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// TestKeyOrder: keys compare as names do in RFC 4034 6.1, whose example this is, with
// octets that need care.
func TestKeyOrder(t *testing.T) {
	names := []string{
		"example.", "a.example.", "yljkjljk.a.example.", "Z.a.example.", "zABC.a.EXAMPLE.", "z.example.",
		`\000.z.example.`, `\000\000.z.example.`, `\000a.z.example.`, `\001.z.example.`, `\001\000.z.example.`,
		`\002.z.example.`, "*.z.example.", `\200.z.example.`,
	}
	var before []byte
	for i, n := range names {
		key := AppendKey(nil, nameOf(t, n))
		if i > 0 && bytes.Compare(before, key) >= 0 {
			t.Errorf("%s is not after %s", n, names[i-1])
		}
		before = key
	}
}

func TestName(t *testing.T) {
	var n Name
	if n.ParseString(nameOf(t, "www.Sub.example.com")) != 21 || n.Labels() != 4 {
		t.Fatal(n.Labels())
	}
	if n.Key() != "com\x00example\x00sub\x00www\x00" || n.KeyOf(2) != "com\x00example\x00" || n.KeyOf(0) != "" {
		t.Errorf("%q", n.Key())
	}
	if n.WildcardKey(2) != "com\x00example\x00*\x00" || n.Offset(2) != 8 || n.Offset(0) != 20 {
		t.Error(n.WildcardKey(2), n.Offset(2))
	}
	if n.DepthWithin(0) != 0 || n.DepthWithin(4) != 1 || n.DepthWithin(11) != 1 || n.DepthWithin(100) != 4 {
		t.Error("DepthWithin")
	}
	for _, bad := range []string{
		"", "\x01", "\x01a", "\xc0\x0c", "\x40", strings.Repeat("\x01a", 127) + "\x01a\x00",
		strings.Repeat("\x3f"+strings.Repeat("a", 63), 4) + "\x00",
	} {
		if n.ParseString(bad) != 0 {
			t.Errorf("%q was taken", bad)
		}
	}
	if n.ParseString(strings.Repeat("\x01a", 127)+"\x00") != 255 {
		t.Error("a name of 255 octets was refused")
	}
	if n.ParseString(strings.Repeat("\x3f"+strings.Repeat("\x00", 63), 3)+"\x3d"+strings.Repeat("\x01", 61)+
		"\x00") != 255 {
		t.Error("a name of the longest key was refused")
	}
}

func TestCheckRData(t *testing.T) {
	for _, c := range []struct {
		typ  uint16
		rd   string
		good bool
	}{
		{TypeA, "1234", true},
		{TypeA, "123", false},
		{TypeAAAA, "1234567890123456", true},
		{TypeNS, "\x01a\x00", true},
		{TypeNS, "\x01a\x00x", false},
		{TypeNS, "\x01a", false},
		{TypeNS, "\xc0\x0c", false},
		{15, "\x00\x0a\x01a\x00", true},
		{15, "\x00", false},
		{33, "123456\x00", true},
		{33, "12345\x00", false},
		{TypeSOA, "\x00\x00" + strings.Repeat("x", 20), true},
		{TypeSOA, "\x00\x00" + strings.Repeat("x", 19), false},
		{35, "1234\x01a\x01b\x01c\x00", true},
		{35, "1234\x01a\x01b\x05c\x00", false},
		{65280, "anything", true},
	} {
		if err := CheckRData(c.typ, []byte(c.rd)); (err == nil) != c.good {
			t.Errorf("type %d %q: %v", c.typ, c.rd, err)
		}
	}
}

// TestPointersBeyondReach: names after 16 KiB are written whole, because a pointer has
// 14 bits.
func TestPointersBeyondReach(t *testing.T) {
	var q Query
	m := new(mdns.Msg)
	m.SetQuestion("example.com.", mdns.TypeTXT)
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if q.Parse(msg) != Good {
		t.Fatal("parse")
	}
	var b Builder
	b.Begin(nil, &q, 65535, 0)
	big := Set{Type: 16, Count: 1, Wire: "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x42\x00" +
		strings.Repeat("\xff"+strings.Repeat("x", 255), 66)}
	big.Wire = big.Wire[:RecordHead+0x4200]
	ns := nameOf(t, "ns.other.test")
	set := Set{Type: TypeNS, Count: 1, Wire: "\xc0\x0c\x00\x02\x00\x01\x00\x00\x00\x00\x00" + string(byte(len(ns))) +
		ns}
	if !b.Add(Answer, 12, big) || !b.Add(Authority, 12, set) ||
		!b.AddAt(Additional, ns, Set{
			Type: 1, Count: 2,
			Wire: strings.Repeat("\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x041234", 2),
		}) {
		t.Fatal("did not fit")
	}
	out := b.Finish(1, 0, 0, true, nil)
	r := new(mdns.Msg)
	// The TXT's strings are not what they claim; only the frame matters here.
	if err := r.Unpack(out); err == nil && (len(r.Extra) != 2 || r.Extra[1].Header().Name != "ns.other.test.") {
		t.Error(r.Extra)
	}
}

// FuzzParse: what miekg/dns reads as one plain query, this reads the same; nothing
// makes it panic.
func FuzzParse(f *testing.F) {
	for _, name := range []string{".", "example.com.", `\000\255.x.`, strings.Repeat("a.", 127)} {
		m := new(mdns.Msg)
		m.SetQuestion(name, mdns.TypeA)
		for range 2 {
			if b, err := m.Pack(); err == nil {
				f.Add(b)
			}
			m.SetEdns0(1232, true)
			m.IsEdns0().Option = []mdns.EDNS0{
				&mdns.EDNS0_COOKIE{Code: 10, Cookie: "0123456789abcdef"},
				&mdns.EDNS0_NSID{Code: 3},
			}
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var q Query
		v := q.Parse(msg)
		if len(msg) < 12 && v != Drop {
			t.Fatal("a short message was not dropped")
		}
		if v != Good || q.Opcode() != 0 || !q.HasQuestion {
			return
		}
		m := new(mdns.Msg)
		if m.Unpack(msg) != nil {
			return // miekg reads RDATA that is of no interest here
		}
		packed, err := mdns.PackDomainName(m.Question[0].Name, make([]byte, 512), 0, nil, false)
		if err != nil || packed != q.Name.Len() || m.Question[0].Qtype != q.Type || m.Question[0].Qclass != q.Class ||
			m.Id != q.ID {
			t.Errorf("miekg reads %v", m.Question)
		}
		if o := m.IsEdns0(); (o != nil) != q.EDNS || o != nil && (o.UDPSize() != q.UDPSize || o.Do() != q.DO ||
			o.Version() != q.Version) {
			t.Errorf("miekg reads %v", o)
		}
		if binary.BigEndian.Uint16(msg[4:]) != 1 {
			t.Error("more than one question was taken")
		}
	})
}
