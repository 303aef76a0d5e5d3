package masterfile

import (
	"strings"
	"testing"
)

// TestAnotherZoneIsOneMistake: however many records a file has of another zone, it is told once, at
// the first, with what to do. What else is wrong is told beside it.
func TestAnotherZoneIsOneMistake(t *testing.T) {
	for text, want := range map[string]string{
		"$TTL 60\n$ORIGIN example.org.\n@ SOA ns h 1 2 3 4 5\n NS ns\n\tMX 10 mail\nwww A 192.0.2.1\n": "line 3, " +
			"column 1: example.org. is not within the zone example.com, and neither are 3 more records; the file has " +
			"the SOA of example.org: give the name of that zone",
		"$TTL 60\nwww.example.org. A 192.0.2.1\n A 192.0.2.2\n": "line 2, column 1: www.example.org. is not within " +
			"the zone example.com, and neither is 1 more record; the file has no record of this zone: give the name " +
			"of the zone that it is of",
		"$TTL 60\nwww A 192.0.2.1\nns.example.org. A 192.0.2.1\nx A 192.0.2.256\n": "line 3, column 1: " +
			"ns.example.org. is not within the zone example.com; leave out what belongs to other zones\n" +
			"line 4, column 5: A: 192.0.2.256 is not an IPv4 address such as 192.0.2.1",
		// A record below a refused owner is neither the owner's above it nor a mistake of its own.
		"$TTL 60\na..b A 192.0.2.1\n A 192.0.2.2\n": `line 2, column 1: "a..b": the name has an empty label`,
	} {
		_, err := readAll(text, "example.com")
		if err == nil || err.Error() != want {
			t.Errorf("%q\n got %v\nwant %s", text, err, want)
		}
	}
	_, err := readAll("$TTL 60\n"+strings.Repeat("a.example.org. A 192.0.2.1\n", 5000)+strings.Repeat("a A x\n", 200),
		"example.com")
	bad, _ := err.(Errors) //nolint:errorlint // Read returns no other
	if len(bad) != maxErrors || !strings.Contains(bad[0].Text, "neither are 4999 more") {
		t.Errorf("%d errors, the first %v", len(bad), bad[0])
	}
}

// TestNamesInUTF8AreTold: the octets stay, and the name that clients ask for is told, once for each place
// where one is written. Octets of other encodings, escapes and strings are not told.
func TestNamesInUTF8AreTold(t *testing.T) {
	const said = " is stored as its octets (RFC 1035 5.1); clients ask for "
	for text, want := range map[string][]string{
		"müller A 192.0.2.1\n AAAA 2001:db8::1\n": {`"müller"` + said + "xn--mller-kva (RFC 5891): write that", ""},
		"w CNAME www.Bücher.example.\n":           {`"www.Bücher.example."` + said + "www.xn--bcher-kva.example. (RFC 5891): write that"},
		"w SRV 0 0 1 ж\n":                         {`"ж"` + said + "xn--f1a (RFC 5891): write that"},
		"$ORIGIN ö\nw A 192.0.2.1\n":              {`line 2: $ORIGIN "ö"` + said + "xn--nda (RFC 5891): write that"},
		"$GENERATE 1-2 ä$ A 192.0.2.$\n":          {`"ä1"` + said + "xn--1-zfa (RFC 5891): write that", ""},
		"m\xfcller A 192.0.2.1\n":                 {""},
		`m\195\188ller A 192.0.2.1` + "\n":        {""},
		"w TXT müller\n":                          {""},
		`w NAPTR 1 1 u "ü" "" .` + "\n":           {""},
		"w HTTPS 1 ü.example. alpn=ü\n":           {`"ü.example."` + said + "xn--tda.example. (RFC 5891): write that"},
		`w\.ü A 192.0.2.1` + "\n":                 {`"w\\.ü" is stored as its octets (RFC 1035 5.1), and no client asks for these`},
		`"ü" CNAME ü` + "\n":                      {`"ü"` + said + `xn--tda (RFC 5891): write that; "ü"` + said + "xn--tda (RFC 5891): write that"},
	} {
		var got []string
		err := Read(strings.NewReader("$TTL 60\n"+text), "example.com", func(r Record) error {
			got = append(got, r.Doubt)
			if strings.ContainsFunc(r.Owner+r.Text, func(c rune) bool { return c > '~' }) {
				t.Errorf("%q is kept as %q %q, and not in escapes", text, r.Owner, r.Text)
			}
			return nil
		})
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q: %v\n got %q\nwant %q", text, err, got, want)
		}
	}
}
