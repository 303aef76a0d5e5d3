package zone

import (
	"bytes"
	"testing"
)

// FuzzParseRecordSet: whatever people write, admission answers with errors or with
// what export gives back and Compile loads.
func FuzzParseRecordSet(f *testing.F) {
	f.Add("www", "A", "192.0.2.1")
	f.Add(`\000.*`, "TXT", `"a\"b" \255`)
	f.Add("@", "TYPE65280", `\# 3 01 02 03`)
	f.Add("x", "HTTPS", `1 . alpn="h2\,x" key65000="\000"`)
	f.Add("x", "NAPTR", `1 2 "u" "" "!a!b!" .`)
	f.Add("x", "LOC", "51 30 12.748 N 0 7 39.611 W 0.00m")
	f.Fuzz(func(t *testing.T, owner, typ, record string) {
		rr, bad := ParseRecordSet("example.com", owner, typ, 60, []string{record})
		if bad != nil {
			return
		}
		z, err := New("example.com", soa, 1)
		if err != nil {
			t.Fatal(err)
		}
		ed := z.Edit()
		if err := ed.Put(rr); err != nil {
			t.Fatalf("admitted but not compiled: %v", err)
		}
		if err := ed.Delete(rr.Owner, rr.Type); err != nil || ed.Zone().RRsets() != 0 {
			t.Fatalf("cannot be deleted by its own name %q: %v", rr.Owner, err)
		}
		o, ty, ttl, recs := FormatRecordSet("example.com", rr)
		again, bad := ParseRecordSet("example.com", o, ty, ttl, recs)
		if bad != nil || again.Owner != rr.Owner || !bytes.Equal(again.RData[0], rr.RData[0]) {
			t.Fatalf("%q %q %q comes back as %q %q: %v", o, ty, record, again.Owner, recs, bad)
		}
	})
}

// FuzzCanonicalApex: what comes out goes in unchanged and compiles.
func FuzzCanonicalApex(f *testing.F) {
	for _, s := range []string{
		"Example.COM.", "bücher.example", "xn--bcher-kva.example", "0/25.2.0.192.in-addr.arpa",
		"a\u200db.example",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := CanonicalApex(s)
		if err != nil {
			return
		}
		if b, err := CanonicalApex(a); err != nil || a != b {
			t.Fatalf("%q, then %q, %v", a, b, err)
		}
		if _, err := New(a, soa, 1); err != nil {
			t.Fatal(err)
		}
	})
}
