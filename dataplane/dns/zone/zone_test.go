package zone

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

var soa = SOA{
	MName: "ns1.example.com", RName: "hostmaster.example.com", Refresh: 3600, Retry: 600, Expire: 86400,
	Minimum: 300, TTL: 3600,
}

// build makes a zone of lines "owner type rdata".
func build(t testing.TB, apex string, lines ...string) *Zone {
	t.Helper()
	z, err := New(apex, soa, 1)
	if err != nil {
		t.Fatal(err)
	}
	sets := map[[2]string][]string{}
	for _, l := range lines {
		f := strings.SplitN(l, " ", 3)
		k := [2]string{f[0], f[1]}
		sets[k] = append(sets[k], f[2])
	}
	var cs []Change
	for k, recs := range sets {
		rr, bad := ParseRecordSet(apex, k[0], k[1], 300, recs)
		if bad != nil {
			t.Fatal(k, bad)
		}
		cs = append(cs, Change{rr.Owner, rr.Type, &rr})
	}
	z, refused := z.With(2, cs)
	if refused != nil {
		t.Fatal(refused)
	}
	return z
}

func name(t testing.TB, s string) *wire.Name {
	t.Helper()
	w, err := apexToWire(strings.TrimSuffix(s, "."))
	if err != nil {
		t.Fatal(err)
	}
	n := new(wire.Name)
	if n.ParseString(w) == 0 {
		t.Fatal(s)
	}
	return n
}

func TestSearch(t *testing.T) {
	z := build(t, "example.com",
		"@ NS ns1", "ns1 A 192.0.2.1", "a.b.c A 192.0.2.2", "*.wild A 192.0.2.3", "sub.wild A 192.0.2.4",
		"x.*.deep A 192.0.2.5", "cut NS ns.cut", "ns.cut A 192.0.2.6", "cut DS 1 8 2 "+strings.Repeat("00", 32),
		"red DNAME other.example.", "below.red A 192.0.2.7", `w\.w A 192.0.2.8`, `z\000 A 192.0.2.9`)
	for _, c := range []struct {
		q      string
		parent bool
		found  Found
		owner  string
		depth  int
	}{
		{"example.com", false, Exact, "@", 2},
		{"EXAMPLE.com", false, Exact, "@", 2},
		{"NS1.example.com", false, Exact, "ns1", 3},
		{"b.c.example.com", false, Empty, "", 4},
		{"c.example.com", false, Empty, "", 3},
		{"x.c.example.com", false, Missing, "", 3},
		{"any.thing.wild.example.com", false, Wild, "*.wild", 3},
		{"wild.example.com", false, Empty, "", 3},
		{"sub.wild.example.com", false, Exact, "sub.wild", 4},
		{"x.sub.wild.example.com", false, Missing, "", 4},
		{"y.deep.example.com", false, Wild, "", 3},
		{"*.wild.example.com", false, Exact, "*.wild", 4},
		{"x.*.wild.example.com", false, Missing, "", 4},
		{"cut.example.com", false, Cut, "cut", 3},
		{"cut.example.com", true, Exact, "cut", 3},
		{"ns.cut.example.com", false, Cut, "cut", 3},
		{"ns.cut.example.com", true, Cut, "cut", 3},
		{"red.example.com", false, Exact, "red", 3},
		{"below.red.example.com", false, Redirect, "red", 3},
		{`w\.w.example.com`, false, Exact, `w\.w`, 3},
		{`w.w.example.com`, false, Missing, "", 2},
		{`z\000.example.com`, false, Exact, `z\000`, 3},
		{`z\001.example.com`, false, Missing, "", 2},
		{`z.example.com`, false, Missing, "", 2},
	} {
		r := z.Search(name(t, c.q), c.parent)
		owner := ""
		if r.Node != nil {
			owner = r.Node.Owner()
		}
		if r.Found != c.found || owner != c.owner || r.Depth != c.depth {
			t.Errorf("Search(%s, %v) = %d %q %d, want %d %q %d", c.q, c.parent, r.Found, owner, r.Depth, c.found,
				c.owner, c.depth)
		}
	}
}

func TestTableFind(t *testing.T) {
	var tb Table
	for _, a := range []string{"example.com", "sub.example.com", "a.b.sub.example.com", "example.org", "com-x"} {
		tb = tb.With(build(t, a))
	}
	for _, c := range []struct {
		q, want string
		parent  bool
	}{
		{"www.example.com", "example.com", false},
		{"example.com", "example.com", false},
		{"sub.example.com", "sub.example.com", false},
		{"sub.example.com", "example.com", true},
		{"example.com", "", true},
		{"zzz.example.com", "example.com", false},
		{"z.b.sub.example.com", "sub.example.com", false},
		{"z.z.z.sub.example.com", "sub.example.com", false},
		{"q.a.b.sub.example.com", "a.b.sub.example.com", false},
		{"com", "", false},
		{"", "", false},
		{"", "", true},
		{"example.net", "", false},
		{"a.com-x", "com-x", false},
	} {
		got := ""
		if z := tb.Find(name(t, c.q), c.parent); z != nil {
			got = z.Apex()
		}
		if got != c.want {
			t.Errorf("Find(%q, %v) = %q, want %q", c.q, c.parent, got, c.want)
		}
	}
	if tb = tb.Without("example.com"); tb.Len() != 4 || tb.Find(name(t, "www.example.com"), false) != nil {
		t.Error("Without left the zone")
	}
}

func TestWithKeepsTheRest(t *testing.T) {
	z := build(t, "example.com", "www A 192.0.2.1")
	bad := RRset{Type: wire.TypeA, RData: [][]byte{{1, 2, 3}}}
	empty := RRset{Type: wire.TypeA}
	next, refused := z.With(3, []Change{
		{"www", wire.TypeA, &bad},
		{"www", wire.TypeA, &empty},
		{"bad..name", wire.TypeA, nil},
	})
	if len(refused) != 3 {
		t.Fatalf("refused %v, want all three", refused)
	}
	if r := next.Search(name(t, "www.example.com"), false); r.Found != Exact || !r.Node.has(wire.TypeA) {
		t.Fatal("a refused change took the answer away")
	}
	gone, refused := next.With(4, []Change{{"www", wire.TypeA, nil}, {"nope", wire.TypeA, nil}})
	if len(refused) != 0 || gone.Names() != 1 || gone.RRsets() != 0 {
		t.Fatalf("delete: %v, %d names, %d sets", refused, gone.Names(), gone.RRsets())
	}
	if next.Names() != 2 {
		t.Fatal("the earlier version changed")
	}
}

func TestParseRecordSet(t *testing.T) {
	for _, c := range []struct {
		owner, typ string
		records    []string
		bad        string // what the errors contain, "" for none
	}{
		{"www", "A", []string{"192.0.2.1", "192.0.2.1", "192.0.2.0"}, ""},
		{"www", "a", []string{"192.0.2.256"}, "not a record of type A"},
		{"www", "A", []string{"192.0.2.1 192.0.2.2"}, "A"},
		{"www", "A", []string{""}, "empty"},
		{"www", "A", nil, "at least one"},
		{"www", "TYPE1", []string{`\# 4 c0000201`}, ""},
		{"www", "TYPE1", []string{`\# 3 c00002`}, "type A"},
		{"www", "TYPE65534", []string{`\# 0`}, ""},
		{"www", "TYPE65534", []string{`\# 2 c0`}, "TYPE65534"},
		{"@", "MX", []string{"10 mail", "20 mail.example.net."}, ""},
		{"@", "TXT", []string{`"a;b" "c\"d\255"`}, ""},
		{"@", "CAA", []string{`0 issue "ca.example"`}, ""},
		{"@", "HTTPS", []string{"1 . alpn=h2,h3 ipv4hint=192.0.2.1"}, ""},
		{"@", "SOA", []string{"a. b. 1 1 1 1 1"}, "zone itself"},
		{"@", "RRSIG", []string{"x"}, "signing"},
		{"@", "ANY", []string{"x"}, "type of questions"},
		{"*", "NS", []string{"x"}, "wildcard"},
		{"a..b", "A", []string{"192.0.2.1"}, "empty label"},
		{strings.Repeat("a", 64), "A", []string{"192.0.2.1"}, "63"},
		{"www", "NOPE", []string{"x"}, "not a record type"},
		{"www", "CNAME", []string{"a", "b"}, "at most one"},
		{"www", "A", []string{"192.0.2.1\n@ NS x."}, "one line"},
		{"www", "A", []string{"192.0.2.1 (", "192.0.2.2"}, "A"},
		{"www", "A", []string{"$INCLUDE /etc/passwd"}, "A"},
	} {
		rr, bad := ParseRecordSet("example.com", c.owner, c.typ, 60, c.records)
		if c.bad == "" {
			if bad != nil {
				t.Errorf("%s %s %q: %v", c.owner, c.typ, c.records, bad)
				continue
			}
			o, ty, ttl, recs := FormatRecordSet("example.com", rr)
			again, bad := ParseRecordSet("example.com", o, ty, ttl, recs)
			if bad != nil || !slices.EqualFunc(again.RData, rr.RData, func(a, b []byte) bool {
				return string(a) == string(b)
			}) {
				t.Errorf("%s %s: %q does not come back: %v", c.owner, c.typ, recs, bad)
			}
			continue
		}
		if len(bad) == 0 || !strings.Contains(fmt.Sprint(bad), c.bad) {
			t.Errorf("%s %s %q: %v, want %q", c.owner, c.typ, c.records, bad, c.bad)
		}
	}
	rr, _ := ParseRecordSet("example.com", "www", "A", 60, []string{"192.0.2.1", "192.0.2.1", "192.0.2.0"})
	if len(rr.RData) != 2 || rr.RData[0][3] != 0 {
		t.Errorf("not in canonical order without duplicates: %v", rr.RData)
	}
}

// TestValuesAreWhole: a value of the API has no comments. All of it is data, in the form
// that is shown, or it is refused with the form that was meant.
func TestValuesAreWhole(t *testing.T) {
	for _, c := range []struct{ typ, value, shown, refused string }{
		{"TXT", `v=DKIM1;k=rsa;p=AAAA`, `"v=DKIM1;k=rsa;p=AAAA"`, ""},
		{"TXT", `v=DKIM1; k=rsa; p=AAAA`, "", "it is written `\"v=DKIM1; k=rsa; p=AAAA\"`"},
		{"TXT", `v=spf1 mx -all`, "", "it is written `\"v=spf1 mx -all\"`"},
		{"SPF", `v=spf1 mx -all`, "", "it is written `\"v=spf1 mx -all\"`"},
		{"TXT", `"a" b`, "", "several strings"},
		{"TXT", `"v=spf1 mx -all"`, `"v=spf1 mx -all"`, ""},
		{"TXT", `"a" ";" "b"`, `"a" ";" "b"`, ""},
		{"TXT", `;`, `";"`, ""},
		{"TXT", `say"so"`, "", `a quote within`},
		{"TXT", `"open`, "", "ends within quotes"},
		{"TXT", `(x)`, `"(x)"`, ""},
		{"TXT", `"C:\dir\x"`, "", "as itself it is written `\"C:\\\\dir\\\\x\"`"},
		{"TXT", `"C:\\dir\\x\;\065\""`, `"C:\\dir\\x;A\""`, ""},
		{"CAA", `0 issue a\b`, "", "as itself it is written `0 issue a\\\\b`"},
		{"CAA", `0 issue ca.example;account=1`, `0 issue "ca.example;account=1"`, ""},
		{"CAA", `0 issue "ca.example; account=1"`, `0 issue "ca.example; account=1"`, ""},
		{"CAA", `0 issue ca.example; account=1`, "", "written in quotes"},
		{"CAA", `0 issue ;`, `0 issue ";"`, ""},
		{"MX", `10 mail.example. ; office`, "", "no comments"},
		{"MX", `10 mail;office`, "", "no comments"},
		{"A", `192.0.2.1 ; office`, "", "no comments"},
		{"CNAME", `www.example.net.;`, "", "no comments"},
		{"NAPTR", `1 1 "u" "a;b" "" .`, `1 1 "u" "a;b" "" .`, ""},
		{"URI", `10 1 https://example.com/;x`, `10 1 "https://example.com/;x"`, ""},
		{"SVCB", `1 . key667=a;b`, `1 . key667="a;b"`, ""},
		{
			"DNSKEY",
			`257 3 13 ( oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfR vMGPmM1x8fGAa2XhSA== )`,
			`257 3 13 oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA==`, "",
		},
	} {
		rr, bad := ParseRecordSet("example.com", "x", c.typ, 60, []string{c.value})
		if c.refused != "" {
			if len(bad) != 1 || bad[0].Index != 0 || !strings.Contains(bad[0].Text, c.refused) {
				t.Errorf("%s %s: %v, want %q", c.typ, c.value, bad, c.refused)
			}
			continue
		}
		if bad != nil {
			t.Errorf("%s %s: %v", c.typ, c.value, bad)
			continue
		}
		if _, _, _, got := FormatRecordSet("example.com", rr); got[0] != c.shown {
			t.Errorf("%s %s is %s, want %s", c.typ, c.value, got[0], c.shown)
		}
	}
}

// TestStoredValuesGoOn: what an earlier version admitted is compiled as it was, though it
// would be refused today.
func TestStoredValuesGoOn(t *testing.T) {
	for _, c := range []struct{ typ, value, shown string }{
		{"A", "192.0.2.1 ; office", "192.0.2.1"},
		{"MX", "10 mail ; office", "10 mail.example.com."},
		{"MX", `\# 6 000A00FFFFFF`, "10 ."},
		{"HINFO", `"one"`, `"one" ""`},
		{"CAA", `0 is-sue "x"`, `\# 9 000669732D73756578`},
		{"TXT", `a b`, `"a" "b"`},
		{"TXT", `v=DKIM1; k=rsa`, `"v=DKIM1;" "k=rsa"`},
		{"SSHFP", `4 2 aabb`, `\# 4 0402AABB`},
		{"SSHFP", `\# 4 0402AABB`, `\# 4 0402AABB`},
		{"DS", `1 8 2 aabb`, `\# 6 00010802AABB`},
		{"TYPE32768", `1 8 2 aabb`, `\# 6 00010802AABB`},
		{"TYPE32768", `\# 6 00010802AABB`, `\# 6 00010802AABB`},
		{"ZONEMD", `1 1 1 aabbccddeeff001122334455`, `\# 18 000000010101AABBCCDDEEFF001122334455`},
		{"NAPTR", `1 1 "u" "" "!x!" .`, `\# 12 000100010175000321782100`},
		{"IPSECKEY", `10 1 2 192.0.2.1`, `\# 7 0A0102C0000201`},
		{"IPSECKEY", `\# 7 0A0102C0000201`, `\# 7 0A0102C0000201`},
	} {
		rr, bad := LoadRecordSet("example.com", "x", c.typ, 60, []string{c.value})
		if bad != nil {
			t.Errorf("%s %s: %v", c.typ, c.value, bad)
			continue
		}
		if _, _, _, got := FormatRecordSet("example.com", rr); got[0] != c.shown {
			t.Errorf("%s %s is %s, want %s", c.typ, c.value, got[0], c.shown)
		}
	}
	if _, bad := LoadRecordSet("example.com", "x", "A", 60, []string{"nonsense"}); bad == nil {
		t.Error("nonsense is loaded")
	}
}

func TestCanonicalApex(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM.": "example.com", "bücher.example": "xn--bcher-kva.example",
		"BÜCHER.example.":      "xn--bcher-kva.example",
		"2.0.192.in-addr.arpa": "2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa": "0/25.2.0.192.in-addr.arpa",
		"": "", ".": "", "a..b": "", "-a.example": "", "a b.example": "", "xn--zzzzzz999.example": "", `a\.b`: "",
		strings.Repeat("a.", 127) + "a": "", strings.Repeat("a", 64) + ".example": "",
	} {
		got, err := CanonicalApex(in)
		if (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("CanonicalApex(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestCheckOwner(t *testing.T) {
	for _, c := range []struct {
		apex  bool
		types []uint16
		ok    bool
	}{
		{false, []uint16{5}, true},
		{true, []uint16{5}, false},
		{false, []uint16{1, 5}, false},
		{false, []uint16{2, 39}, false},
		{true, []uint16{2, 39}, true},
		{true, []uint16{43}, false},
		{false, []uint16{2, 43}, true},
	} {
		if culprit, err := CheckOwner(c.apex, c.types); (err == nil) != c.ok || err != nil && !slices.Contains(c.types,
			culprit) {
			t.Errorf("CheckOwner(%v, %v) = %v", c.apex, c.types, err)
		}
	}
}

// TestMillion: a million names in under 5 s, and one change in the time of any other.
func TestMillion(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 50_000
	}
	z, err := New("example.com", soa, 1)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start := time.Now()
	b := z.Edit()
	for i := range n {
		k := i * 7919 % n // not in order
		if err := b.Put(RRset{
			Owner: fmt.Sprintf("host%07d", k), Type: 1, TTL: 300,
			RData: [][]byte{{10, byte(k >> 16), byte(k >> 8), byte(k)}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	z = b.Zone()
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int64(after.HeapAlloc-before.HeapAlloc) / int64(n)
	t.Logf("%d names in %v, %d octets each", n, took, each)
	if each > 256 && !raceEnabled {
		t.Errorf("%d octets for a name with one A record", each)
	}
	if z.Names() != n+1 || z.RRsets() != n {
		t.Fatalf("%d names, %d sets", z.Names(), z.RRsets())
	}
	start = time.Now()
	rr := RRset{Owner: "host0000001", Type: 1, TTL: 300, RData: [][]byte{{10, 0, 0, 1}}}
	for i := range 1000 {
		rr.Owner = fmt.Sprintf("new%d", i)
		z, _ = z.With(uint32(i), []Change{{rr.Owner, 1, &rr}})
	}
	t.Logf("a change: %v", time.Since(start)/1000)
	if z.Names() != n+1001 {
		t.Fatal(z.Names())
	}
}

// TestPlainAddresses: what is read past the parser is what the parser reads.
func TestPlainAddresses(t *testing.T) {
	for _, c := range []struct {
		typ  uint16
		text string
		fast bool
	}{
		{dns.TypeA, "192.0.2.1", true},
		{dns.TypeA, "0.0.0.0", true},
		{dns.TypeAAAA, "2001:DB8::1", true},
		{dns.TypeAAAA, "::ffff:192.0.2.1", true},
		{dns.TypeA, "192.0.2.01", false},
		{dns.TypeA, "::1", false},
		{dns.TypeAAAA, "192.0.2.1", false},
		{dns.TypeAAAA, "fe80::1%eth0", false},
		{dns.TypeA, " 192.0.2.1", false},
		{dns.TypeA, "192.0.2.1 ; text", false},
		{dns.TypeA, `\# 4 01020304`, false},
		{dns.TypeTXT, "192.0.2.1", false},
	} {
		got := plainAddress(c.typ, c.text)
		if (got != nil) != c.fast {
			t.Errorf("%d %q: %x", c.typ, c.text, got)
			continue
		}
		if !c.fast {
			continue
		}
		rr, err := dns.NewRR(". 0 IN " + dns.TypeToString[c.typ] + " " + c.text)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := packRData(rr); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d %q: %x, the parser says %x %v", c.typ, c.text, got, want, err)
		}
	}
}
