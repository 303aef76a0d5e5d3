package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// listed holds a scrape of a platform against docs/operations/metrics.md: each of its metrics is
// there, no other is, and each follows Prometheus's conventions.
func listed(t *testing.T, scrape string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/operations/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	in := map[string]bool{} // and whether a scrape always has it: a zone that was asked for has series of its own
	for _, m := range regexp.MustCompile("(?m)^\\| `(dark_[a-z0-9_]+)`.*").FindAllStringSubmatch(string(page), -1) {
		in[m[1]] = !strings.HasSuffix(m[0], "*names* |")
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^# TYPE (dark_[a-z0-9_]+) ([a-z]+)$").FindAllStringSubmatch(scrape, -1) {
		name, kind := m[1], m[2]
		seen[name] = true
		if _, there := in[name]; !there {
			t.Errorf("%s is not in docs/operations/metrics.md", name)
		}
		if (kind == "counter") != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s", name, kind)
		}
		help := regexp.MustCompile("(?m)^# HELP " + name + " ([A-Z0-9].{10,}\\.)$").FindStringSubmatch(scrape)
		if help == nil {
			t.Errorf("%s has no HELP of a sentence", name)
		} else if !regexp.MustCompile("(?m)^\\| `" + name + "` \\| " + kind + " \\|.*\\| " +
			regexp.QuoteMeta(help[1])).Match(page) {
			t.Errorf("docs/operations/metrics.md has another kind or text of %s, a %s: %s", name, kind, help[1])
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d metrics of Dark in a scrape", len(seen))
	}
	for name, always := range in {
		if always && !seen[name] {
			t.Errorf("docs/operations/metrics.md has %s, which no scrape has", name)
		}
	}
}

func TestMetricsAreOnLoopbackUnlessAnAddressIsNamed(t *testing.T) {
	for setting, want := range map[string]string{
		"9100": "127.0.0.1:9100", ":9100": "127.0.0.1:9100", "0.0.0.0:9100": "0.0.0.0:9100", "[::]:9100": "[::]:9100",
		"192.0.2.1:9100": "192.0.2.1:9100", "localhost:9100": "localhost:9100",
	} {
		if got := metricsAddr(setting); got != want {
			t.Errorf("--metrics %s listens on %s, want %s", setting, got, want)
		}
	}
}
