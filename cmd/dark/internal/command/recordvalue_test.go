package command

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	"github.com/dark-ecosystem/dark/proto/dark/dns/v1/dnsgrpc"
)

// judge takes and refuses records as a control node does.
type judge struct {
	dnsgrpc.UnimplementedRecordSetServiceServer
}

func (judge) UpdateRecordSet(_ context.Context, q *dnsv1.UpdateRecordSetRequest) (*dnsv1.RecordSet, error) {
	f := strings.Split(q.RecordSet.Name, "/")
	if _, err := rdata.ParseType(f[4]); err != nil {
		return nil, refuse("name", err.Error())
	}
	_, bad := zone.ParseRecordSet(f[1], f[3], f[4], 60, q.RecordSet.Spec.Records)
	if len(bad) > 0 && strings.HasPrefix(bad[0].Text, "owner") {
		return nil, refuse("name", bad[0].Text)
	}
	if len(bad) > 0 {
		return nil, refuse("spec.records[0]", bad[0].Text)
	}
	q.RecordSet.Spec.Records = zone.StoredRecords(f[1], f[4], q.RecordSet.Spec.Records)
	return q.RecordSet, nil
}

func refuse(field, text string) error {
	st, err := status.New(codes.InvalidArgument, "invalid").WithDetails(&errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: text}},
	})
	if err != nil {
		return err
	}
	return st.Err()
}

// setTo runs dark records set and returns what it advises after "dark records set ", if it is that.
func setTo(t *testing.T, addr, typ string, values ...string) string {
	t.Helper()
	r := dark(t, addr, "", append([]string{"records", "set", "example.com", "www", typ}, values...)...)
	_, next, ok := strings.Cut(r.err, "dark records set ")
	if !ok || r.code != 1 {
		t.Errorf("%s %q: code %d, %s", typ, values, r.code, r.err)
	}
	return strings.TrimSuffix(next, "\n")
}

// TestRefusedDataShowACommand: for every type of data, a refusal shows a line that a shell and the server take.
func TestRefusedDataShowACommand(t *testing.T) {
	addr := (&fake{}).serve(t)
	var script strings.Builder
	var types []string
	for code := range 1 << 16 {
		if rdata.Example(uint16(code))[0] == '\\' && code != 65400 {
			continue
		}
		typ, example := rdata.FormatType(uint16(code)), []string{rdata.Example(uint16(code))}
		if _, bad := zone.ParseRecordSet("example.com", "www", typ, 60, example); bad != nil {
			continue // nobody may write it
		}
		types = append(types, typ)
		script.WriteString("printf '%s\\n' " + setTo(t, addr, typ, `no "data`) + "\n")
	}
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script.String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(types) < 70 || len(lines) != 4*len(types) {
		t.Fatalf("%d lines for %d types", len(lines), len(types))
	}
	for i, typ := range types {
		args := lines[4*i : 4*i+4]
		_, bad := zone.ParseRecordSet("example.com", "www", typ, 60, args[3:])
		if !slices.Equal(args[:3], []string{"example.com", "www", typ}) || bad != nil {
			t.Errorf("%s is advised %q: %v", typ, args, bad)
		}
	}
}

// TestWhatWasMeant: where the values make records that the server takes, those are advised, and otherwise an example.
func TestWhatWasMeant(t *testing.T) {
	addr := (&fake{}).serve(t)
	for _, c := range []struct {
		typ    string
		values []string
		want   string
	}{
		{"TXT", []string{`v=DKIM1; k=rsa; p=AA`}, `TXT '"v=DKIM1; k=rsa; p=AA"'`},
		{"txt", []string{"v=spf1 mx -all"}, `txt '"v=spf1 mx -all"'`},
		{"TXT", []string{`it's "so"`}, `TXT '"it'\''s \"so\""'`},
		{"CAA", []string{`0 issue ca.example; account=1`}, `CAA '0 issue "ca.example; account=1"'`},
		{"CAA", []string{"0", "issue", "ca.example"}, `CAA '0 issue ca.example'`},
		{"CAA", []string{"0", "is-sue", "ca.example"}, `CAA '0 issue "ca.example.net"'`},
		{"MX", []string{"mail"}, `MX '10 mail'`},
		{"MX", []string{"10", "mail", "20", "mail2"}, `MX '10 mail' '20 mail2'`},
		{"MX", []string{"70000", "mail"}, `MX '10 mail.example.net.'`},
		{"DS", []string{"1", "13", "1", strings.Repeat("ab", 20)}, `DS '1 13 1 ` + strings.Repeat("ab", 20) + `'`},
		{"HINFO", []string{"Intel Core Linux"}, `HINFO '"Intel Core" "Linux"'`},
		{"HINFO", []string{"Intel", "Core", "Linux"}, `HINFO '"Intel Core" "Linux"'`},
		{"HINFO", []string{"Intel Core", "Linux"}, `HINFO '"Intel Core" Linux'`},
		{
			"NAPTR",
			[]string{"100", "50", "s", "SIP+D2U", "", "_sip._udp.example.net."},
			`NAPTR '100 50 s SIP+D2U "" _sip._udp.example.net.'`,
		},
		{"A", []string{"192.0.2.1 ; x"}, `A 192.0.2.1`},
		{"FOO", []string{"x"}, "A 192.0.2.1"},
		{"300", []string{"A", "192.0.2.7"}, "A 192.0.2.7 --ttl 300"},
		{"IN", []string{"A", "192.0.2.7"}, "A 192.0.2.7"},
		{"CNAME", []string{"a", "b"}, "CNAME a"},
		{"MX", []string{"10 müller.example."}, "MX '10 xn--mller-kva.example.'"},
	} {
		if got := setTo(t, addr, c.typ, c.values...); got != "example.com www "+c.want {
			t.Errorf("%s %q: %s, want %s", c.typ, c.values, got, c.want)
		}
	}
}

// TestNoHintWhereNothingHelps: what nobody may write has no form, and an owner that cannot be is not blamed on the
// data.
func TestNoHintWhereNothingHelps(t *testing.T) {
	addr := (&fake{}).serve(t)
	for typ, next := range map[string]string{
		"RRSIG": "", "OPT": "", "SOA": "try: dark get zone example.com -o yaml, edit its spec, and dark apply -f it\n",
	} {
		r := dark(t, addr, "", "records", "set", "example.com", "www", typ, "x")
		if _, got, _ := strings.Cut(r.err, "\n"); got != next {
			t.Errorf("%s: %s", typ, r.err)
		}
	}
	r := dark(t, addr, "", "records", "set", "example.com", "a..b", "A", "192.0.2.7")
	if !strings.HasSuffix(r.err, "@ for the zone itself: dark records set example.com www A 192.0.2.7\n") {
		t.Error(r.err)
	}
}

// TestStoredOtherwiseIsTold: a string that is stored as two, and a record that is given twice.
func TestStoredOtherwiseIsTold(t *testing.T) {
	addr := (&fake{}).serve(t)
	x := strings.Repeat("x", 300)
	r := dark(t, addr, "", "records", "set", "example.com", "www", "TXT", x, "y", `"y"`)
	if two := `"` + x[:255] + `" "` + x[255:] + `"`; r.code != 0 || !strings.Contains(r.out, " is "+two+", y, revision") ||
		!strings.Contains(r.err, "warning: a string of more than 255 octets is stored as several (RFC 1035 3.3), "+
			"which readers join: "+two[:40]+"...\n") || !strings.Contains(r.err, "warning: 1 record is given twice") {
		t.Errorf("%+v", r)
	}
	if r := dark(t, addr, "", "records", "set", "example.com", "www", "TXT", x[:255], `"y"`); r.err != "" {
		t.Errorf("warned of what is stored as it is given: %s", r.err)
	}
}

// TestANameOfTheZoneWithoutItsDot: what would lead below the zone is told, and advice has the dot.
func TestANameOfTheZoneWithoutItsDot(t *testing.T) {
	addr := (&fake{}).serve(t)
	if got, want := setTo(t, addr, "MX", "mail.example.com"), "example.com www MX '10 mail.example.com.'"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, c := range []struct {
		typ, value string
		warned     bool
	}{
		{"MX", "10 mail.example.com", true},
		{"mx", "10 Mail.EXAMPLE.com", true},
		{"CNAME", "example.com", true},
		{"SRV", "0 0 443 www.example.com", true},
		{"MX", "10 mail.example.com.", false},
		{"MX", "10 mail", false},
		{"MX", "10 notexample.com", false},
		{"TXT", "see www.example.com", false},
	} {
		if got := relativeTargets("example.com", c.typ, []string{c.value}); (len(got) > 0) != c.warned {
			t.Errorf("%s %q: %q", c.typ, c.value, got)
		}
	}
}
