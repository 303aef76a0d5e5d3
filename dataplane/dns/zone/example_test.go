package zone

import (
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
)

// TestRefusalsShowAForm: the refusal of data of any type that people may write ends with a value that is taken.
func TestRefusalsShowAForm(t *testing.T) {
	shown := 0
	for typ := range 1 << 16 {
		name := rdata.FormatType(uint16(typ))
		if checkPlace("www", uint16(typ)) != nil {
			continue
		}
		_, bad := ParseRecordSet("example.com", "www", name, 60, []string{`no "data`})
		if len(bad) != 1 {
			t.Fatalf("%s: %v", name, bad)
		}
		_, form, _ := strings.Cut(bad[0].Text, "; one is written `")
		form, ok := strings.CutSuffix(form, "`")
		if !ok {
			t.Fatalf("%s: no form in %s", name, bad[0].Text)
		}
		if _, bad := ParseRecordSet("example.com", "www", name, 60, []string{form}); len(bad) > 0 {
			t.Errorf("%s: %s is shown, and refused: %v", name, form, bad)
		}
		if form[0] != '\\' {
			shown++
		}
	}
	if want := 70; shown < want {
		t.Errorf("%d types have a form of their own, want %d at least", shown, want)
	}
	_, bad := ParseRecordSet("example.com", "www", "RRSIG", 60, []string{"x"})
	for _, b := range bad {
		if strings.Contains(b.Text, "is written") {
			t.Errorf("a form of what nobody may write: %s", b.Text)
		}
	}
}

// TestNamesInUTF8AreRefused: in data by the API, with what clients ask for; strings keep their octets.
func TestNamesInUTF8AreRefused(t *testing.T) {
	for _, c := range []struct{ typ, text, want string }{
		{"MX", "10 müller.example.", "its A-label (RFC 5891); it is written `10 xn--mller-kva.example.`"},
		{"SRV", "0 0 1 www.Bücher", "it is written `0 0 1 www.xn--bcher-kva`"},
		{"CNAME", `a\.ü`, "no A-label (RFC 5891); octets are written \\DDD; one is written"},
		{"CNAME", `m\195\188ller`, ""},
		{"TXT", `"ü"`, ""},
		{"CAA", `0 issue "ü"`, ""},
	} {
		_, bad := ParseRecordSet("example.com", "www", c.typ, 60, []string{c.text})
		if c.want == "" && bad == nil {
			continue
		}
		if len(bad) != 1 || c.want == "" || !strings.Contains(bad[0].Text, c.want) {
			t.Errorf("%s %s: %v, want %s", c.typ, c.text, bad, c.want)
		}
		if _, bad := LoadRecordSet("example.com", "www", c.typ, 60, []string{c.text}); bad != nil {
			t.Errorf("a row of before is not read: %v", bad)
		}
	}
}
