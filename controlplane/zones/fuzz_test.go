package zones_test

import (
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/zones"
)

// FuzzNames: a name that is accepted is canonical, has the pattern's segments, and
// holds no byte that the state's keys cannot.
func FuzzNames(f *testing.F) {
	z := zones.New(zones.Options{Compilers: compilers()})
	for _, s := range []string{
		"example.com/www/A", "zones/EXAMPLE.com/records/@/NS", "bücher.example/a\\000b/TXT",
		"0%2F25.arpa/1/PTR", "a/%/A", "a.b/\\1/A",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, err := admit.Canonical(z.RecordSet(), s)
		if err != nil {
			return
		}
		if strings.Count(name, "/") != 4 || strings.Contains(name, "\x00") {
			t.Fatalf("%q gives %q", s, name)
		}
		if again, err := admit.Canonical(z.RecordSet(), name); err != nil || again != name {
			t.Fatalf("%q gives %q, and that %q %v", s, name, again, err)
		}
	})
}
