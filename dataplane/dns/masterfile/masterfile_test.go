package masterfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

func readAll(text, origin string) ([]string, error) {
	var got []string
	err := Read(strings.NewReader(text), origin, func(r Record) error {
		got = append(got, fmt.Sprintf("%d: %s %d %s %s", r.Line, r.Owner, r.TTL, rdata.FormatType(r.Type), r.Text))
		return nil
	})
	return got, err
}

func TestRead(t *testing.T) {
	const text = `; a comment
$TTL 1h
@	IN SOA ns1 hostmaster.example.com. ( 1 ; serial
		7200 900
		1w 5m )
	NS	ns1
	60 IN NS ns.example.net.
ns1 IN 120 A 192.0.2.1
    AAAA 2001:db8::1 ; with comment
$ORIGIN sub
www A 192.0.2.2
@ MX 10 mail
  MX 20 @
abs.example.com. TXT "a;b" c\032d "(e)" ( "f"
  "g" )
$ORIGIN example.com.
\@at\.dot\007 A 192.0.2.3
*.w CNAME www.sub
t TYPE65400 \# 3 01 02 03
h HTTPS 1 . alpn="h2,h3" port=8443
$GENERATE 1-3 host$ A 192.0.2.$
$GENERATE 0-4/2 h${8,3,d} 30 CNAME x${0,2,x}.\$y
`
	got, err := readAll(text, "example.com")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"3: @ 3600 SOA ns1.example.com. hostmaster.example.com. 1 7200 900 604800 300",
		"6: @ 3600 NS ns1",
		"7: @ 60 NS ns.example.net.",
		"8: ns1 120 A 192.0.2.1",
		"9: ns1 3600 AAAA 2001:db8::1",
		"11: www.sub 3600 A 192.0.2.2",
		"12: sub 3600 MX 10 mail.sub.example.com.",
		"13: sub 3600 MX 20 sub.example.com.",
		`14: abs 3600 TXT "a;b" "c d" "(e)" "f" "g"`,
		`17: \@at\.dot\007 3600 A 192.0.2.3`,
		"18: *.w 3600 CNAME www.sub",
		`19: t 3600 TYPE65400 \# 3 010203`,
		`20: h 3600 HTTPS 1 . alpn="h2,h3" port=8443`,
		"21: host1 3600 A 192.0.2.1", "21: host2 3600 A 192.0.2.2", "21: host3 3600 A 192.0.2.3",
		"22: h008 30 CNAME x00.$y", "22: h010 30 CNAME x02.$y", "22: h012 30 CNAME x04.$y",
	}
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("record %d:\n got %s\nwant %s", i, g, w)
		}
	}
}

func TestErrorsHaveTheirPlace(t *testing.T) {
	for _, c := range []struct {
		text      string
		line, col int
		contains  string
	}{
		{"$TTL 60\nwww A 192.0.2.256\n", 2, 7, "192.0.2.256"},
		{"$TTL 60\nwww IN A (\n  192.0.2.1\n", 2, 10, "not closed before the file ends"},
		{
			"$TTL 60\nwww IN TXT (\n  a\nb TXT ( x )\n", 4, 7,
			"do not nest; the parenthesis that opens on line 2, column 12, is still open",
		},
		{
			"$TTL 60\nwww IN A ( 192.0.2.1\nb A 192.0.2.2 )\n", 3, 1,
			"the parenthesis that opens on line 2, column 10, encloses it",
		},
		{"$TTL 60\nwww IN TXT (\n" + strings.Repeat("a\n", maxTokens-2), maxTokens, 1, "opens on line 2, column 12"},
		{"$TTL 60\nwww MX 10\n", 2, 8, "MX"},
		{"$TTL 60\n@ SOA a b 1 2 x 4 5\n", 2, 15, "SOA"},
		{"$TTL 60\n@ SOA a b (1\n 2\n x 4 5 )\n", 4, 2, "SOA"},
		{"www A 192.0.2.1\n", 1, 5, "no TTL"},
		{" A 192.0.2.1\n", 1, 2, "no owner"},
		{"$INCLUDE /etc/passwd\n", 1, 1, "not allowed"},
		{"$FOO x\n", 1, 1, "directive"},
		{"$TTL x\n", 1, 6, "TTL"},
		{"$TTL 60\nwww.example.org. A 192.0.2.1\n", 2, 1, "not within"},
		{"$TTL 60\nwww CH TXT x\n", 2, 5, "class CH"},
		{"$TTL 60\nwww NOPE x\n", 2, 5, "not a record type"},
		{"$TTL 60\nwww TXT \"abc\nx\"\n", 2, 9, "quotes"},
		{"$TTL 60\na..b A 192.0.2.1\n", 2, 1, "empty label"},
		{"$TTL 60\n) A 192.0.2.1\n", 2, 1, "closing"},
		{"$TTL 60\n$GENERATE 5-1 a$ A 192.0.2.1\n", 2, 11, "range"},
		{"$TTL 60\n$GENERATE 1-99999999 a$ A 192.0.2.1\n", 2, 11, "range"},
		{"$TTL 60\n$GENERATE 1-300 a$ A 192.0.2.$\n", 2, 22, "192.0.2.256"},
		{"www 4294967296 A 192.0.2.1\n", 1, 5, "above"},
		{"$TTL 60\n$GENERATE 17-18 ${0,6,n} A 192.0.2.1\n", 2, 17, "1.1.0. is not within"},
	} {
		_, err := readAll(c.text, "example.com")
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Text, c.contains) || e.Line != c.line || e.Column != c.col {
			t.Errorf("%q: %v, want line %d, column %d: …%s…", c.text, err, c.line, c.col, c.contains)
		}
	}
}

// TestWriteComesBack: what is written is read to the same zone.
func TestWriteComesBack(t *testing.T) {
	z, err := zone.New("example.com", zone.SOA{
		MName: "ns1.example.com", RName: "h.example.com", Refresh: 1, Retry: 2,
		Expire: 3, Minimum: 4, TTL: 5,
	}, 7)
	if err != nil {
		t.Fatal(err)
	}
	ed := z.Edit()
	for _, r := range [][3]string{
		{"@", "MX", "10 mail"},
		{`\@\$\.x\255`, "TXT", `"a\"b\\c\000\255" "" ";("`},
		{"*", "CNAME", "x"},
		{"u", "TYPE1234", `\# 0`},
		{"e", "NINFO", `"x"`},
		{"h", "SVCB", `1 a\.b alpn="a\\\,b,c" mandatory=alpn`},
		{"l", "LOC", "51 30 12.748 N 0 7 39.611 W 0.00m 0.00m 0.00m 0.00m"},
		{"n", "NAPTR", `10 20 "u" "E2U+sip" "!^.*$!sip:a@b!" .`},
	} {
		rr, bad := zone.ParseRecordSet("example.com", r[0], r[1], 60, []string{r[2]})
		if bad != nil {
			t.Fatal(r, bad)
		}
		if err := ed.Put(rr); err != nil {
			t.Fatal(err)
		}
	}
	z = ed.Zone()
	var file bytes.Buffer
	w := NewWriter(&file, "example.com")
	if err := errors.Join(w.Zone(z), w.Flush()); err != nil {
		t.Fatal(err)
	}
	again, _ := zone.New("example.com", z.Settings(), 7)
	ed = again.Edit()
	if err := Read(bytes.NewReader(file.Bytes()), "example.com", func(r Record) error {
		if r.Type == 6 {
			return nil
		}
		rr, bad := zone.ParseRecordSet("example.com", r.Owner, rdata.FormatType(r.Type), r.TTL, []string{r.Text})
		if bad != nil {
			return fmt.Errorf("%v", bad)
		}
		return ed.Put(rr)
	}); err != nil {
		t.Fatalf("%v\n%s", err, file.String())
	}
	var two bytes.Buffer
	w = NewWriter(&two, "example.com")
	if err := errors.Join(w.Zone(ed.Zone()), w.Flush()); err != nil {
		t.Fatal(err)
	}
	if file.String() != two.String() {
		t.Errorf("first\n%s\nthen\n%s", file.String(), two.String())
	}
}

// TestMillionRecords: a large file streams in a few seconds.
func TestMillionRecords(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 20_000
	}
	r, w := io.Pipe()
	go func() {
		var b bytes.Buffer
		b.WriteString("$TTL 300\n@ SOA ns1 h 1 2 3 4 5\n")
		for i := range n {
			switch i % 4 {
			case 3:
				fmt.Fprintf(&b, "host%d CNAME host%d\n", i, i-1)
			default:
				fmt.Fprintf(&b, "host%d\tIN A 10.%d.%d.%d\n", i, i>>16&255, i>>8&255, i&255)
			}
			if b.Len() > 1<<16 {
				if _, err := w.Write(b.Bytes()); err != nil {
					return
				}
				b.Reset()
			}
		}
		_, _ = w.Write(b.Bytes())
		w.Close()
	}()
	start, got := time.Now(), 0
	if err := Read(r, "example.com", func(Record) error { got++; return nil }); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records in %v", got, time.Since(start))
	if got != n+1 {
		t.Fatal(got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("$TTL 60\n@ SOA a b 1 2 3 4 5\nwww A 192.0.2.1\n")
	f.Add("$ORIGIN a\n$GENERATE 1-3 a$ 60 TXT \"${1,2,x}\"\n")
	f.Add("a 60 IN TXT ( \"x\ny\" ; c\n \\000 )\n")
	f.Fuzz(func(t *testing.T, text string) {
		var owners []string
		err := Read(strings.NewReader(text), "example.com", func(r Record) error {
			if len(owners) > 1000 {
				return io.ErrShortBuffer
			}
			owners = append(owners, r.Owner)
			// What was read is what admission takes, but for types that it reserves.
			_, bad := zone.ParseRecordSet("example.com", "x", rdata.FormatType(r.Type), 60, []string{r.Text})
			if len(bad) > 0 && bad[0].Index >= 0 {
				t.Errorf("record %+v does not parse: %v", r, bad)
			}
			return nil
		})
		var e *Error
		if errors.As(err, &e) && (e.Line < 1 || e.Column < 0 || e.Text == "") {
			t.Errorf("error without a place: %v", err)
		}
	})
}

// TestLongStringIsTold: a string that is longer than one can be is stored as several, which is
// told; what is within, and what types hold whole, is not.
func TestLongStringIsTold(t *testing.T) {
	long := strings.Repeat("x", 300)
	for text, want := range map[string]string{
		`TXT "` + long + `"`:                   "a string of 300 octets is stored as 2",
		`SPF ` + long:                          "a string of 300 octets is stored as 2",
		`TXT "` + strings.Repeat("\\120", 255): "", // 255 octets in their escapes
		`CAA 0 issue "` + long + `"`:           "",
	} {
		if strings.Count(text, `"`) == 1 {
			text += `"`
		}
		err := Read(strings.NewReader("a 60 "+text+"\n"), "example.com", func(r Record) error {
			if !strings.HasPrefix(r.Doubt, want) || want == "" && r.Doubt != "" {
				t.Errorf("%.20s: %q, want %q", text, r.Doubt, want)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%.20s: %v", text, err)
		}
	}
}
