package peers

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file is one of the thousand.
type file struct {
	name string
	size int
}

// stems are names that somebody's software has stumbled over. Each is used as a file's
// name and as a directory's.
var stems = []string{
	"plain", "with space", " leading space", "trailing space ", "two  spaces", "a+b", "a%b", "a%20b", "a%2Fb", "a%2fb",
	"%", "%25", "100%",
	"it's", `say "hi"`, "`back`", "back\\slash", "a&b", "a&amp;b", "<tag>", "a<b", "a>b", "semi;colon", "co:lon",
	"com,ma", "at@sign", "dollar$", "hash#tag",
	"quest?ion", "star*", "[brackets]", "{braces}", "(parens)", "pipe|", "caret^", "tilde~", "~tilde", "bang!",
	"eq=ual", "under_score", "dash-", "-dash", "--dashes",
	".hidden", "..two", "...", "dot.", "a..b", "UPPER", "MiXed", "na\u00efve", "nai\u0308ve", "Ünïcödé", "日本語", "한국어",
	"עברית", "русский", "ελληνικά",
	"emoji😀", "👩‍👩‍👧‍👦", "zero\u200bwidth", "nbsp\u00a0", "ﬁ", "ß", "İ", "\u202ertl", "𝒳", "tab\there", "quote'\"both",
	"+", "++", "=", "&", "$", "@", "x?y=z&w", "aux", "con.txt", "null",
	"undefined", "true", "0", "-1", "1e5", "_", "a b+c%20d", "%E2%82%AC", "€", "%zz", "index.html", "file.tar.gz", "*",
	"!important", "a=b&c=d", "http:", "C:", "c:\\x",
}

// sizes come round and round; the large ones once each.
var sizes = []int{0, 1, 16383, 16384, 16385, 65535, 65536, 65537, 17, 100, 1000, 4095, 4096, 4097, 7, 33000}

var largeSizes = []int{5 << 20, 16<<20 - 1, 16 << 20, 16<<20 + 1}

const corpusFiles = 1000

// corpus is the thousand files, always the same.
func corpus() []file {
	var out []file
	add := func(name string) {
		if len(out) < corpusFiles {
			out = append(out, file{name, sizes[len(out)%len(sizes)]})
		}
	}
	for _, s := range stems {
		add(s)
		add("in " + s + "/" + s)
		add("dirs/" + s + "x/plain.txt")
	}
	add(deep(1024, "a"))
	add(deep(1023, "b"))
	add(deep(1024, "€")) // three octets each
	add(strings.Repeat("n", 255))
	add("l/" + strings.Repeat("é", 127))
	add(strings.TrimSuffix(strings.Repeat("d/", 200), "/"))
	for i := 0; len(out) < corpusFiles; i++ {
		add(fmt.Sprintf("many/%02d/%s %d+%%.bin", i%37, stems[i%40], i))
	}
	for i, size := range largeSizes {
		out[10+i*17].size = size
	}
	return out
}

// deep is a key of exactly n octets of directories whose names are as long as a file
// system allows.
func deep(n int, letter string) string {
	var b strings.Builder
	b.WriteString("deep-" + letter)
	for b.Len() < n {
		if rest := n - b.Len(); rest > len(letter) {
			b.WriteString("/" + strings.Repeat(letter, min(240, rest-1)/len(letter)))
		} else {
			b.WriteString(strings.Repeat("z", rest))
		}
	}
	return b.String()
}

// content is what a file of that name and size holds.
func content(f file) []byte {
	b := make([]byte, f.size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(f.name))).Read(b) // never fails
	return b
}

// without leaves out the files whose names a client cannot carry. Every reason given
// must be needed by some file.
func without(t *testing.T, files []file, cannot func(name string) (reason string)) []file {
	t.Helper()
	reasons := map[string]int{}
	out := slices.DeleteFunc(slices.Clone(files), func(f file) bool {
		r := cannot(f.name)
		if r != "" {
			reasons[r]++
		}
		return r != ""
	})
	for r, n := range reasons {
		t.Logf("left out %d names: %s", n, r)
	}
	return out
}

// write makes the files in a new directory.
func write(t *testing.T, files []file) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content(f), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// compare fails unless the directory holds the files and nothing else.
func compare(t *testing.T, dir string, files []file) {
	t.Helper()
	left := map[string]file{}
	for _, f := range files {
		left[f.name] = f
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		got, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, ok := left[name]
		if delete(left, name); !ok {
			t.Errorf("%q came back and was never sent", name)
		} else if !bytes.Equal(got, content(f)) {
			t.Errorf("%q came back with %d octets that differ from the %d sent", name, len(got), f.size)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range left {
		t.Errorf("%q did not come back", name)
	}
}

func TestCorpusIsAsPromised(t *testing.T) {
	files := corpus()
	seen := map[string]bool{}
	longest, large := 0, 0
	for _, f := range files {
		if seen[f.name] {
			t.Errorf("%q is there twice", f.name)
		}
		seen[f.name] = true
		longest = max(longest, len(f.name))
		if f.size > 1<<20 {
			large++
		}
	}
	if len(files) != corpusFiles || longest != 1024 || large != len(largeSizes) {
		t.Errorf("%d files, the longest name of %d octets, %d large", len(files), longest, large)
	}
	compare(t, write(t, files), files)
}
