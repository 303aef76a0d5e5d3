package dnsquery

import (
	"context"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestPrefixNamesNobody(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2ff::9": "2001:db8:1:200::/56", "::ffff:192.0.2.77": "192.0.2.0/24",
		"198.51.100.7/32": "198.51.100.7/32", "198.51.100.7/20": "198.51.96.0/20", "host": "", "": "",
	} {
		p, err := Prefix(in)
		if (err != nil) != (want == "") || err == nil && p.String() != want {
			t.Errorf("%s: %v, %v", in, p, err)
		}
	}
}

// TestSubnetOption: RFC 7871 6, the octets that the prefix covers and no more.
func TestSubnetOption(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.77": "00011800c00002", "198.51.100.7/20": "00011400c63360",
		"2001:db8:1:2ff::9": "0002380020010db8000102",
	} {
		p, err := Prefix(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(subnet(p)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestUncompressedData(t *testing.T) {
	for _, c := range []struct {
		typ  string
		data string
		want string
	}{
		{"DS", "0001080203ab", "1 8 2 03AB"},
		{"CAA", "0005697373756563612e6e6574", `0 issue "ca.net"`},
		{"DNAME", "03612e62016300", `a\.b.c.`},
		{"TYPE65400", "0102", `\# 2 0102`},
		{"DS", "00", `\# 1 00`},
		{"DNAME", "0561", `\# 2 0561`},
		{
			"RRSIG", "0001080200000e1000000002000000010007" + "016100" + "ff",
			"A 8 2 3600 19700101000002 19700101000001 7 a. /w==",
		},
	} {
		b, err := hex.DecodeString(c.data)
		if err != nil {
			t.Fatal(err)
		}
		typ, err := ParseType(c.typ)
		if err != nil {
			t.Fatal(err)
		}
		if got := uncompressed(typ, b); got != c.want {
			t.Errorf("%s: %s, want %s", c.typ, got, c.want)
		}
	}
}

// TestOnlyTheAnswerIsTaken: datagrams with another id or question are passed over.
func TestOnlyTheAnswerIsTaken(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer func() { <-done }()
	defer c.Close()
	go func() {
		defer close(done)
		b := make([]byte, 2048)
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		for _, wrong := range []func([]byte){
			func(m []byte) {
				m[0] ^= 1
			}, func(m []byte) { m[13] ^= 1 }, func(m []byte) { m[2] &^= 0x80 }, func([]byte) {},
		} {
			m := append([]byte{}, b[:n]...)
			m[2] |= 0x80
			wrong(m)
			c.WriteTo(m, from)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	a, err := Ask(ctx, c.LocalAddr().String(), Query{Name: "example.com", Type: dnsmessage.TypeA})
	if err != nil || a.RCode != 0 || a.Transport != "udp" || len(a.Question) != 1 ||
		a.Question[0].Name != "example.com." {
		t.Errorf("%+v, %v", a, err)
	}
}

// FuzzRead: no octets make it fail otherwise than with an error, nor reach a terminal raw.
func FuzzRead(f *testing.F) {
	q, err := Query{Name: "example.com", Type: dnsmessage.TypeA, DNSSEC: true}.pack(7)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q)
	f.Add([]byte("\x00\x07\x81\x00\x00\x00\x00\x01\x00\x00\x00\x01\x01\x1b\x00\x00\x10\x00\x01\x00\x00\x00\x01\x00\x02\x01\x1b\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x06\x00\x0f\x00\x02\x00\x12"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Read(b)
		if err != nil {
			return
		}
		for _, s := range m.Sections {
			for _, r := range s {
				if strings.ContainsFunc(r.Name+r.Data, func(c rune) bool { return c < ' ' || c > '~' }) {
					t.Errorf("raw octets in %q %q", r.Name, r.Data)
				}
			}
		}
	})
}
