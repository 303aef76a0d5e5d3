package zones_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// caseFile reads testdata/cases/NN-what.zone; its zone is fNN.test.
func caseFile(t *testing.T, name string) (apex, text string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata/cases", name+".zone"))
	if err != nil {
		t.Fatal(err)
	}
	return "f" + name[:2] + ".test", string(b)
}

// TestZeroIsAValue: TTLs and timers of 0, and the root as a name, are stored, served and
// exported as they were written; only what was not given takes the defaults.
func TestZeroIsAValue(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ file, export string }{
		{"01-ttl0", "z 0 IN A 192.0.2.2\n"},
		{"02-soa-zero", "@ 60 IN SOA . . 1 0 0 0 0\n"},
	} {
		apex, text := caseFile(t, c.file)
		if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: apex, Create: true}, text); err != nil {
			t.Fatal(err)
		}
		got := w.exports("acme", apex)
		if !strings.Contains(got, c.export) {
			t.Errorf("%s exports\n%s", c.file, got)
		}
		again, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: apex}, got)
		if err != nil || again.Updated+again.Created+again.Deleted != 0 {
			t.Errorf("%s imports again as %v %v", c.file, again, err)
		}
	}
	zero := proto.Uint32(0)
	spec := &dnsv1.ZoneSpec{
		PrimaryNameServer: ".", Contact: ".", Refresh: zero, Retry: zero, Expire: zero,
		NegativeTtl: zero, SoaTtl: zero, DefaultTtl: zero,
	}
	if err := w.zone("acme", "zones/example.com", true, spec); err != nil {
		t.Fatal(err)
	}
	if err := w.set("acme", "example.com/a/A", -1, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if got, want := w.exports("acme", "example.com"),
		"@ 0 IN SOA . . 1 0 0 0 0\na 0 IN A 192.0.2.1\n"; !strings.HasSuffix(got, want) {
		t.Errorf("zeros by the API export\n%s", got)
	}
	z := &dnsv1.PublishedZone{}
	for _, r := range w.publish("acme", "zones/example.com", nil) {
		set := &dnsv1.PublishedRecordSet{}
		switch r.Kind {
		case "dark.dns.v1.Zone":
			if err := proto.Unmarshal(r.Value, z); err != nil || z.PrimaryNameServer != "." || z.Mailbox != "." ||
				z.Refresh+z.Retry+z.Expire+z.NegativeTtl+z.SoaTtl != 0 {
				t.Errorf("published %v %v", z, err)
			}
		default:
			if err := proto.Unmarshal(r.Value, set); err != nil || set.Ttl != 0 {
				t.Errorf("published %v %v", set, err)
			}
		}
	}
	// A row of before the fields had presence stored a TTL of 0 as nothing, and meant the default.
	if err := w.zone("acme", "zones/example.com", true, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.exports("acme", "example.com"); !strings.Contains(got, "a 3600 IN A") ||
		!strings.Contains(got, "7200 900 1209600 300\n") {
		t.Errorf("without values\n%s", got)
	}
}

// told is all that an error says.
func told(err error) string {
	var e *errs.Error
	if !errors.As(err, &e) || len(e.Fields) == 0 {
		return fmt.Sprint(err)
	}
	var b strings.Builder
	for _, f := range e.Fields {
		b.WriteString(f.Text + "\n")
	}
	return b.String()
}

// TestCases loads small zones that other servers agree on: "taken" is a line of the export,
// "refused" parts of the refusal, in order.
func TestCases(t *testing.T) {
	for file, c := range map[string]struct {
		taken   string
		refused []string
	}{
		"01-ttl0":         {taken: "z 0 IN A 192.0.2.2"},
		"02-soa-zero":     {taken: "@ 60 IN SOA . . 1 0 0 0 0"},
		"03-amtrelay-d":   {taken: `c 300 IN TYPE260 \# 17 0A830178076578616D706C6503636F6D00`},
		"04-soa-units":    {taken: "@ 3600 IN SOA ns.f04.test. host.f04.test. 1 3600 600 864000 3600"},
		"05-latin1":       {taken: `t 300 IN TXT "gr\252\223e"`},
		"06-quoted-owner": {taken: "www 300 IN A 192.0.2.1"},
		"07-svcb-bad": {refused: []string{
			"line 5, column 13: HTTPS: mandatory lists alpn",
			"line 6, column 27: SVCB: mandatory: it must not list itself",
			"line 7, column 27: SVCB: mandatory: key123 is listed twice",
			"line 8, column 27: SVCB: mandatory: it needs a value",
			"line 9, column 13: HTTPS: no-default-alpn needs alpn",
		}},
		"08-mx-trailing":     {refused: []string{"line 5, column 11: MX: 000A00FFFFFF is not data of type MX"}},
		"09-caa-long":        {taken: `c 300 IN CAA 0 issue "` + strings.Repeat("x", 300) + `"`},
		"10-uri-long":        {taken: `u 300 IN URI 10 1 "https://example.com/xxx`},
		"11-naptr-unquoted":  {taken: `n 300 IN NAPTR 100 50 "s" "SIP+D2U" "" _sip._udp.f11.test.`},
		"12-dnskey-mnemonic": {taken: "d 300 IN DNSKEY 256 3 8 AwEAAQ=="},
		"13-apl-empty":       {taken: `a 300 IN APL \# 0`},
		"14-class1":          {taken: "u 300 IN A 10.0.0.1"},
		"15-svcb-v4mapped":   {taken: "s 300 IN HTTPS 1 . ipv6hint=::ffff:192.0.2.1"},
		"16-key1":            {taken: `s 300 IN HTTPS 1 . alpn="h2"`},
		"17-missing-dot":     {taken: "www 300 IN CNAME www.f17.test.f17.test."},
		"18-cname-apex-line": {refused: []string{"line 7, column 3: @: a CNAME cannot be at the apex"}},
		"19-two-errors": {refused: []string{
			"line 5, column 5: A: 1.2.3 is not an IPv4 address",
			"line 6, column 8: AAAA: 1.2.3.4 is not an IPv6 address", `line 7, column 3: "FOO" is not a record type`,
		}},
		"20-no-default-alpn": {taken: `s 300 IN HTTPS 1 . alpn="h2" no-default-alpn`},
		"21-soa-twice":       {refused: []string{"line 5, column 3: a zone has one SOA; the first is on line 2"}},
		"22-dname-loop":      {taken: "d 300 IN DNAME x.d.f22.test."},
		"23-caa-badtag": {refused: []string{
			"line 5, column 9: CAA: the tag is of letters and digits, not is-sue",
		}},
		"24-gpos-quoted": {taken: `g 300 IN TYPE27 \# 24`},
		"25-dsync":       {taken: `_dsync 300 IN TYPE66 \# `},
		"26-hinfo-one":   {refused: []string{"line 5, column 9: HINFO: the operating system is missing"}},
		"27-soa-at":      {taken: "@ 300 IN SOA ns.f27.test. hostmaster.f27.test. 1 2 3 4 5"},
	} {
		t.Run(file, func(t *testing.T) {
			w := newWorld(t)
			apex, text := caseFile(t, file)
			_, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: apex, Create: true}, text)
			if c.refused != nil {
				said := told(err)
				for _, want := range c.refused {
					at := strings.Index(said, want)
					if at < 0 {
						t.Fatalf("%s\nhas no %q, or not in order", told(err), want)
					}
					said = said[at+len(want):]
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			file := w.exports("acme", apex)
			if !strings.Contains(file, "\n"+c.taken) {
				t.Fatalf("no %q in\n%s", c.taken, file)
			}
			again, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: apex}, file)
			if err != nil || again.Created+again.Updated+again.Deleted != 0 {
				t.Errorf("the export comes back as %v %v", again, err)
			}
			loads(t, apex, file)
		})
	}
}

// loads asks BIND, Knot and NSD whether they load an export.
func loads(t *testing.T, apex, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"named-checkzone", "-i", "none", "-k", "ignore"},
		{"nsd-checkzone"},
		{"kzonecheck", "-o"},
	} {
		if said, err := exec.Command(command[0], append(command[1:], apex, path)...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%s", command[0], err, said, text)
		}
	}
}

// TestErrorsEndAtAHundred: a file of mistakes tells the first hundred.
func TestErrorsEndAtAHundred(t *testing.T) {
	w := newWorld(t)
	_, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true},
		"$TTL 60\n"+strings.Repeat("www A nonsense\n", 5000))
	if n := strings.Count(told(err), "is not an IPv4 address"); n != 100 ||
		!strings.Contains(told(err), "line 101, column 7") {
		t.Errorf("%d mistakes told: %.300s", n, told(err))
	}
}

// TestOperatorsFiles loads zone files in the style of operators of many servers. The export of
// each loads in BIND, Knot and NSD, and comes back unchanged.
func TestOperatorsFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/operators/*.zone")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := newWorld(t)
			_, err = w.imports("acme", &dnsv1.ImportZoneRequest{Name: "real.test", Create: true}, string(text))
			if err != nil {
				t.Fatal(told(err))
			}
			export := w.exports("acme", "real.test")
			again, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "real.test"}, export)
			if err != nil || again.Created+again.Updated+again.Deleted != 0 {
				t.Errorf("the export comes back as %v %v", again, err)
			}
			loads(t, "real.test", export)
		})
	}
}
