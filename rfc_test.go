package dark

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	rfcRow   = regexp.MustCompile(`^\| \d+ \|`)
	goName   = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w*`)
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
)

// TestTheListOfRFCsIsTrue: a row says done, part or not yet, and names packages and tests
// that exist; what is done has a test.
func TestTheListOfRFCsIsTrue(t *testing.T) {
	f, err := os.Open("docs/rfc.md")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		if !rfcRow.MatchString(s.Text()) {
			continue
		}
		rows++
		c := strings.Split(s.Text(), "|")
		checkRow(t, strings.TrimSpace(c[1]), strings.TrimSpace(c[2]), c[3], c[4])
	}
	if rows < 20 {
		t.Fatalf("only %d rows were read", rows)
	}
}

func checkRow(t *testing.T, rfc, status, packages, tests string) {
	t.Helper()
	kind, _, _ := strings.Cut(status, ":")
	if kind != "done" && kind != "part" && kind != "not yet" {
		t.Errorf("RFC %s: status %q begins with neither done, part nor not yet", rfc, status)
	}
	have := map[string]bool{}
	folders := strings.FieldsFunc(packages, func(r rune) bool { return strings.ContainsRune(" `,", r) })
	for _, folder := range folders {
		if st, err := os.Stat(folder); err != nil || !st.IsDir() {
			t.Errorf("RFC %s: there is no package %s", rfc, folder)
		}
	}
	// A test may stand in any package of the same service.
	for _, folder := range folders {
		for name := range testsBelow(t, service(folder)) {
			have[name] = true
		}
	}
	named := goName.FindAllString(tests, -1)
	for _, name := range named {
		if !have[name] {
			t.Errorf("RFC %s: there is no test %s", rfc, name)
		}
	}
	if kind == "done" && len(named) == 0 {
		t.Errorf("RFC %s is said to be done and no test shows it", rfc)
	}
}

func service(folder string) string {
	parts := strings.SplitN(folder, "/", 3)
	return filepath.Join(parts[:min(2, len(parts))]...)
}

func testsBelow(t *testing.T, folder string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(folder, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range testFunc.FindAllStringSubmatch(string(b), -1) {
			out[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return out
}
