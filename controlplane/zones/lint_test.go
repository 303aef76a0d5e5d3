package zones_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

const doubtful = `$TTL 300
@ NS ns
@ NS ns.example.com
@ MX 10 mail
@ MX 20 192.0.2.25.
@ MX 30 alias
www CNAME www.example.com
www.example.com A 192.0.2.1
long 604800 A 192.0.2.1
@ TXT "v=spf1 -all"
@ TXT "v=spf1 mx -all"
k._domainkey TXT "v=DKIM1; k=rsa; p=AAA"
gone._domainkey TXT "v=DKIM1; p="
alias CNAME www.example.net.
ns A 192.0.2.53
`

// TestImportWarns: what is taken and probably not meant is told with its line, and what is
// meant is not.
func TestImportWarns(t *testing.T) {
	w := newWorld(t)
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true}, doubtful)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(got.Warnings, "\n")
	wanted := []string{
		"line 3, column 3: @/NS leads to ns.example.com.example.com: a dot is missing after ns.example.com",
		"line 4, column 3: @/MX leads to mail, which has no address",
		"line 5, column 3: @/MX leads to the address 192.0.2.25",
		"line 6, column 3: @/MX leads to alias, which is a CNAME",
		"line 7, column 5: www/CNAME leads to www.example.com.example.com: a dot is missing",
		"line 8, column 17: www.example.com is within the zone twice",
		"line 9, column 13: long/A: a TTL of 604800 seconds",
		"@ has 2 SPF records",
		"line 12, column 14: k._domainkey: the DKIM key is cut",
	}
	for _, want := range wanted {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if len(got.Warnings) != len(wanted) {
		t.Errorf("%d warnings, want %d:\n%s", len(got.Warnings), len(wanted), all)
	}
	got, err = w.imports("acme", &dnsv1.ImportZoneRequest{Name: "bare.test", Create: true}, "www 60 IN A 192.0.2.1\n")
	if err != nil || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "no NS at its apex") {
		t.Errorf("%v %v", got, err)
	}
}

// TestALongTTLHidesNoOtherWarning: of a whole file it is told once; of other warnings it is told
// how many there are more than are listed. An owner with a slash is told as it is typed.
func TestALongTTLHidesNoOtherWarning(t *testing.T) {
	w := newWorld(t)
	var file strings.Builder
	file.WriteString("$TTL 2d\n@ NS ns.example.net.\n1/2 CNAME x.example.com\n")
	for i := range 150 {
		fmt.Fprintf(&file, "h%d A 192.0.2.1\n", i)
	}
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true}, file.String())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"line 3, column 5: 1/2/CNAME leads to x.example.com.example.com: a dot is missing after x.example.com",
		"line 3, column 5: 1/2/CNAME: a TTL of 172800 seconds is more than a day; a mistake stays in caches that " +
			"long; so does that of 151 more sets",
	}
	if !slices.Equal(got.Warnings, want) {
		t.Errorf("%q", got.Warnings)
	}
	got, err = w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", AllowLargeDeletion: true},
		strings.ReplaceAll(file.String(), "A 192.0.2.1", "CNAME x.example.com"))
	if n := len(got.GetWarnings()); err != nil || n != 101 || got.Warnings[n-1] != "there are 52 more warnings" {
		t.Errorf("%d: %q %v", n, got.GetWarnings()[max(n-1, 0):], err)
	}
}

// TestDryRunListsTheChanges: with the records before and after.
func TestDryRunListsTheChanges(t *testing.T) {
	w := newWorld(t)
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true},
		"a 60 A 192.0.2.1\nb 60 A 192.0.2.2\nc 60 A 192.0.2.3\n"); err != nil {
		t.Fatal(err)
	}
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", DryRun: true},
		"a 60 A 192.0.2.1\nb 0 A 192.0.2.9\nd 60 A 192.0.2.4\n")
	if err != nil || len(got.Changes) != 3 {
		t.Fatalf("%v %v", got, err)
	}
	b, c, d := got.Changes[0], got.Changes[1], got.Changes[2]
	if b.Name != "zones/example.com/records/b/A" || b.Before.GetTtl() != 60 || b.After.Ttl == nil ||
		b.After.GetTtl() != 0 || b.After.Records[0] != "192.0.2.9" {
		t.Errorf("changed: %v", b)
	}
	if c.Name != "zones/example.com/records/c/A" || c.Before == nil || c.After != nil || d.Before != nil ||
		d.After.GetRecords()[0] != "192.0.2.4" {
		t.Errorf("deleted and created: %v %v", c, d)
	}
}

// TestSignedFile: what signing made is refused with its line, or left out where that is
// asked for. DS stay.
func TestSignedFile(t *testing.T) {
	const file = `$TTL 60
@ NS ns.example.net.
@ DNSKEY 257 3 13 oJMRESz5E4gYzS/q6XDrvU1qMPYIjCWzJaOau8XNEZeqCYKD5ar0IRd8KqXXFJkqmVfRvMGPmM1x8fGAa2XhSA==
@ RRSIG NS 13 2 60 20300101000000 20260101000000 12345 example.com. AQID
@ NSEC sub.example.com. NS RRSIG NSEC DNSKEY
@ TYPE65534 \# 5 0D30390001
sub NS ns.example.net.
sub DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
`
	w := newWorld(t)
	_, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true}, file)
	if s := told(err); !strings.Contains(s, "line 4, column 3: @/RRSIG: records of type RRSIG are made by signing") ||
		!strings.Contains(s, "line 5") {
		t.Fatal(s)
	}
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true, WithoutDnssec: true},
		file)
	if err != nil || got.Created != 3 {
		t.Fatalf("%v %v", got, err)
	}
}

// TestImportWarnsOfWhatIsHidden: of a name below a DNAME, once, and of a string that is split.
func TestImportWarnsOfWhatIsHidden(t *testing.T) {
	w := newWorld(t)
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true}, "$TTL 60\n"+
		"@ NS ns.example.net.\nd DNAME example.net.\na.b.d A 192.0.2.1\na.b.d TXT x\nad A 192.0.2.1\n"+
		"long TXT \""+strings.Repeat("x", 300)+"\"\n")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(got.Warnings, "\n")
	if len(got.Warnings) != 2 ||
		!strings.Contains(all, "line 7, column 6: long/TXT: a string of 300 octets is stored as 2") ||
		!strings.Contains(all, "line 3, column 3: a.b.d is below the DNAME of d, which hides it") {
		t.Errorf("%q", got.Warnings)
	}
}

// TestTransferAsFile: what dig writes of a transfer ends with its SOA again. An empty file does
// not empty a zone, whatever is allowed.
func TestTransferAsFile(t *testing.T) {
	const soa = "@ 60 SOA ns.example.net. h.example.net. 7 1 2 3 4\n"
	w := newWorld(t)
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true},
		soa+"@ 60 NS ns.example.net.\n"+soa)
	if err != nil || got.Created != 1 {
		t.Fatalf("%v %v", got, err)
	}
	_, err = w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", AllowLargeDeletion: true}, "; nothing\n")
	if !strings.Contains(told(err), "the file has no records") {
		t.Errorf("an empty file: %v", err)
	}
	_, err = w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"}, "a 60 TXT \"open")
	if s := told(err); strings.Count(s, "line ") != 1 {
		t.Errorf("the place is told more than once: %s", s)
	}
	_, err = w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"}, "a 60 TXT (x\n")
	if s := told(err); strings.Count(s, "line ") != 1 {
		t.Errorf("the place is told more than once: %s", s)
	}
}
