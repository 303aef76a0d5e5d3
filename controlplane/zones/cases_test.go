package zones_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

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
	spec := &dnsv1.ZoneSpec{PrimaryNameServer: ".", Contact: ".", Refresh: zero, Retry: zero, Expire: zero, NegativeTtl: zero, SoaTtl: zero, DefaultTtl: zero}
	if err := w.zone("acme", "zones/example.com", true, spec); err != nil {
		t.Fatal(err)
	}
	if err := w.set("acme", "example.com/a/A", -1, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if got, want := w.exports("acme", "example.com"), "@ 0 IN SOA . . 1 0 0 0 0\na 0 IN A 192.0.2.1\n"; !strings.HasSuffix(got, want) {
		t.Errorf("zeros by the API export\n%s", got)
	}
	z := &dnsv1.PublishedZone{}
	for _, r := range w.publish("acme", "zones/example.com", nil) {
		set := &dnsv1.PublishedRecordSet{}
		switch r.Kind {
		case "dark.dns.v1.Zone":
			if err := proto.Unmarshal(r.Value, z); err != nil || z.PrimaryNameServer != "." || z.Mailbox != "." || z.Refresh+z.Retry+z.Expire+z.NegativeTtl+z.SoaTtl != 0 {
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
	if got := w.exports("acme", "example.com"); !strings.Contains(got, "a 3600 IN A") || !strings.Contains(got, "7200 900 1209600 300\n") {
		t.Errorf("without values\n%s", got)
	}
}
