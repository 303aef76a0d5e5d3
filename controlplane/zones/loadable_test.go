package zones_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// exportsWarning is an export and its warnings.
func (w *world) exportsWarning(org, name string) (string, []string) {
	w.t.Helper()
	ctx := identity.With(w.t.Context(), identity.Caller{
		Who: "test", Organization: org, Permissions: []string{"dns:read"},
	})
	p := &pipe{ctx: ctx, in: []proto.Message{&dnsv1.ExportZoneRequest{Name: name}}}
	if err := w.tr.Export(p); err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	var warnings []string
	for _, m := range p.sent {
		b.Write(m.(*dnsv1.ExportZoneResponse).Data)
		warnings = append(warnings, m.(*dnsv1.ExportZoneResponse).Warnings...)
	}
	return b.String(), warnings
}

// TestExportWarnsOfWhatBINDRefuses: a zone that is served, but whose file BIND does not load, is exported with a
// warning that says what to do; where BIND loads it there is none.
func TestExportWarnsOfWhatBINDRefuses(t *testing.T) {
	w := newWorld(t)
	none := "the zone has no NS at its apex: resolvers will not find it, and BIND and Knot refuse a file of it; " +
		"add it: dark records set z.test @ NS ns1.dark.test."
	for file, want := range map[string]string{
		"":                                                     none,
		"sub NS ns.example.\n":                                 none,
		"@ NS ns.example.\n":                                   "",
		"@ NS ns\nns A 192.0.2.1\n":                            "",
		"@ NS ns\nns AAAA 2001:db8::1\n":                       "",
		"@ NS @\n@ A 192.0.2.1\n":                              "",
		"@ NS a.ns\n*.ns A 192.0.2.1\n":                        "",
		"@ NS a.ns\n* A 192.0.2.1\n":                           "",
		"@ NS 1ns\n1ns A 192.0.2.1\n":                          "",
		"@ NS ns.sub\nsub NS ns.example.\n":                    "",
		"@ NS ns\n@ NS b.example.\n@ A 192.0.2.1":              "@/NS leads to ns, which has no address: BIND refuses",
		"@ NS b.example.\na MD b.example.\n":                   "a: BIND refuses MD and MF",
		"@ NS b.example.\na X25 \"12\"\n":                      "a: BIND refuses an X25",
		"@ NS b.example.\na X25 \"1234\"\n":                    "",
		"@ NS b.example.\na IPSECKEY 10 3 0 g.example.\n":      "a: BIND refuses an IPSECKEY",
		"@ NS b.example.\na IPSECKEY 10 3 2 g.example. AQID\n": "",
		"@ NS @\n":                       "@/NS leads to @, which has no address: BIND refuses",
		"@ NS ns\nns CNAME b.example.\n": "@/NS leads to ns, which is a CNAME (RFC 2181 10.3): BIND refuses",
	} {
		if err := w.zone("acme", "zones/z.test", true, nil); err != nil {
			t.Fatal(err)
		}
		if file != "" {
			if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "z.test"}, "$TTL 60\n"+file); err != nil {
				t.Fatalf("%q: %v", file, err)
			}
		}
		got, warnings := w.exportsWarning("acme", "z.test")
		if all := strings.Join(warnings, "\n"); !strings.HasPrefix(all, want) || (all == "") != (want == "") {
			t.Errorf("%q: %q, want %q", file, all, want)
		}
		path := filepath.Join(t.TempDir(), "z")
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command("named-checkzone", "-i", "local", "z.test", path).CombinedOutput()
		if (err != nil) != (want != "") {
			t.Errorf("%q: warned of %q, and BIND says %s", file, want, said)
		}
		if err := w.drop("acme", "z.test"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestImportTellsWhatIsNotKept: of a set with several TTLs both, with the line of the first that differs,
// once; and of a record that is there twice.
func TestImportTellsWhatIsNotKept(t *testing.T) {
	w := newWorld(t)
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "z.test", Create: true}, "$TTL 300\n"+
		"@ NS ns.example.\nwww A 192.0.2.1\nb 60 A 192.0.2.1\nwww 60 A 192.0.2.2\nwww 30 A 192.0.2.3\n"+
		"b 60 A 192.0.2.1\n@ MX 10 mail.example.\n@ MX 10 MAIL.example.\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"line 8, column 3: @/MX: a record is written in two ways; it is kept once (RFC 2181 5)",
		"line 7, column 6: b/A: the record is in the set already; it is kept once (RFC 2181 5)",
		"line 5, column 8: www/A: the TTL is 60 here and 300 on line 3; a set has one (RFC 2181 5.2), and the " +
			"least is kept, 30",
	}
	if all := strings.Join(got.Warnings, "\n"); all != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", all, strings.Join(want, "\n"))
	}
	if file := w.exports("acme", "z.test"); strings.Count(file, " MX ") != 1 ||
		strings.Count(file, "www 30 IN A") != 3 {
		t.Error(file)
	}
	if s := w.stored("acme", "zones/z.test/records/@/MX"); len(s) != 1 {
		t.Errorf("stored as %q", s)
	}
}

// TestStoredAsServed: a string of more than 255 octets is stored as the two that are served, and a record that
// is given twice once, by the API and in a row of a version that stored them as they were written.
func TestStoredAsServed(t *testing.T) {
	w := newWorld(t)
	if err := w.zone("acme", "zones/z.test", true, nil); err != nil {
		t.Fatal(err)
	}
	x := strings.Repeat("x", 300)
	two := `"` + x[:255] + `" "` + x[255:] + `"`
	const txt = "zones/z.test/records/t/TXT"
	if err := w.set("acme", txt, 60, x, `"a" "b"`, `"`+x[:255]+`" "`+x[255:]+`"`, `b`); err != nil {
		t.Fatal(err)
	}
	if got := w.stored("acme", txt); strings.Join(got, "|") != two+`|"a" "b"|b` {
		t.Errorf("stored as %q", got)
	}
	if file := w.exports("acme", "z.test"); !strings.Contains(file, "t 60 IN TXT "+two+"\n") {
		t.Error(file)
	}
	old := &dnsv1.RecordSet{Name: txt, Spec: &dnsv1.RecordSetSpec{Records: []string{`"` + x + `"`, "y"}}}
	if err := w.z.RecordSet().Show(t.Context(), nil, old); err != nil || old.Spec.Records[0] != two ||
		old.Spec.Records[1] != "y" {
		t.Errorf("shown as %q, %v", old.Spec.Records, err)
	}
}

// stored are the records of a set as they are stored.
func (w *world) stored(org, name string) (records []string) {
	w.t.Helper()
	r, err := w.state.At(0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	ctx := context.WithoutCancel(w.t.Context())
	stored, _, err := w.z.RecordSet().Locate(ctx, admit.NewView(r, nil), org, name)
	if err != nil {
		w.t.Fatal(err)
	}
	m, _, err := admit.NewView(r, nil).Get(ctx, "dark.dns.v1.RecordSet", org, stored)
	if err != nil || m == nil {
		w.t.Fatal(name, err)
	}
	return m.(*dnsv1.RecordSet).Spec.Records
}

// drop deletes a zone.
func (w *world) drop(org, name string) error {
	return w.do(org, false, func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Delete(ctx, w.z.Zone(), name, admit.Options{})
		return err
	})
}
