package command

import "testing"

// TestQuotedForTheShell: what is advised is what is typed in a shell, with the quotes of the value within.
func TestQuotedForTheShell(t *testing.T) {
	for _, c := range []struct {
		typ    string
		values []string
		want   string
	}{
		{"TXT", []string{`v=DKIM1; k=rsa; p=AA`}, `'"v=DKIM1; k=rsa; p=AA"'`},
		{"txt", []string{"v=spf1", "mx", "-all"}, `'"v=spf1 mx -all"'`},
		{"TXT", []string{`it's "so"`}, `'"it'\''s \"so\""'`},
		{"CAA", []string{`0 issue ca.example; account=1`}, `'0 issue "ca.example; account=1"'`},
		{"CAA", []string{`0 issue "ca.example`}, ""},
		{"CAA", []string{"0", "issue", "ca.example"}, `'0 issue ca.example'`},
		{"MX", []string{"mail"}, `'10 mail'`},
		{"A", []string{"192.0.2.1 ; x"}, ""},
	} {
		if got := quoted(c.typ, c.values); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.typ, c.values, got, c.want)
		}
	}
}
