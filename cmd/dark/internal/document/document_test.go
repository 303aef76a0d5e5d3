package document

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const two = `# a comment
kind: Zone
name: example.com
spec: {negative_ttl: 60, serial: 18446744073709551615}
---
---
kind: RecordSet
name: zones/example.com/records/www/A
labels:
  1: yes
spec:
  ttl: 300
  records:
    - 192.0.2.1
    - "192.0.2.2"
`

func TestDocumentsKeepTheirLines(t *testing.T) {
	docs, err := Parse("f.yaml", []byte(two))
	if err != nil || len(docs) != 2 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	for path, want := range map[string]int{
		"": 7, "kind": 7, "name": 8, "labels.1": 10, "spec": 11, "spec.ttl": 12, "spec.records": 13,
		"spec.records[1]": 15, "spec.records[7]": 13, "spec.nothing.below": 11, "unknown": 7,
	} {
		if got := docs[1].LineOf(path); got != want {
			t.Errorf("%q: line %d, want %d", path, got, want)
		}
	}
	if docs[0].LineOf("spec.negativeTtl") != 4 || docs[0].At("spec.negative_ttl") != "f.yaml:4" {
		t.Error("a proto name and its JSON name are one field")
	}
	want := map[string]any{"kind": "Zone", "name": "example.com", "spec": map[string]any{
		"negative_ttl": 60.0,
		"serial":       "18446744073709551615",
	}}
	if !reflect.DeepEqual(docs[0].Value, want) {
		t.Errorf("got %v", docs[0].Value)
	}
	if l := docs[1].Value["labels"].(map[string]any); l["1"] != "yes" {
		t.Errorf("labels %v", l)
	}
}

func TestJSONWithTabsAndLists(t *testing.T) {
	docs, err := Parse("f.json", []byte("[\n\t{\"kind\": \"Zone\",\n\t\"spec\": {\n\t\t\"refresh\": "+
		"60}},\n\t{\"kind\": \"Node\"}\n]\n"))
	if err != nil || len(docs) != 2 {
		t.Fatalf("%v, %v", docs, err)
	}
	if docs[0].LineOf("spec.refresh") != 4 || docs[1].Line != 5 {
		t.Errorf("lines %d, %d", docs[0].LineOf("spec.refresh"), docs[1].Line)
	}
}

func TestAnchorsAndMerges(t *testing.T) {
	docs, err := Parse("f", []byte("kind: Zone\nspec:\n  <<: &d {ttl: 1, retry: 2}\n  ttl: 3\nlabels: *d\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"ttl": 3.0, "retry": 2.0}
	if !reflect.DeepEqual(docs[0].Value["spec"], want) {
		t.Errorf("got %v", docs[0].Value)
	}
}

func TestErrorsNameFileAndLine(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'h'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+p+",", 10), ",") + "]\n"
	}
	for in, want := range map[string]string{
		"kind: Zone\nkind: Zone\n":    `f:2: "kind" is given twice, first on line 1`,
		"- 1\n":                       "f:1: a document must be a mapping",
		"hello\n":                     "f:1: a document must be a mapping",
		"a: [1\nb: 2\n":               "f:1: did not find",
		"? [a]\n: b\n":                "f:1: a key must be plain text",
		"a:\n  <<: 3\n":               "f:2: \"<<\" takes a mapping",
		"[" + strings.Repeat("[", 99): "f",
		"a: &a [*a]\n":                "f:1: ",
		bomb:                          "more than",
		"{\"a\": 1}\n{\"a\": \n":      "f:",
		"a: " + strings.Repeat("[", 70) + strings.Repeat("]", 70): "nested deeper than 64 levels",
	} {
		_, err := Parse("f", []byte(in))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: got %v, want %q", in, err, want)
		}
	}
}

func TestEmptyDocumentsAreLeftOut(t *testing.T) {
	for _, in := range []string{"", "---\n", "# only this\n", "null\n", "---\n...\n---\n"} {
		if docs, err := Parse("f", []byte(in)); err != nil || len(docs) != 0 {
			t.Errorf("%q: %v, %v", in, docs, err)
		}
	}
}

func TestReadTakesADirectoryInOrder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "kind: B\n", "a.yml": "kind: A\n", "c.json": `{"kind":"C"}`,
		"no.txt": "]",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := Read([]string{dir, "-"}, strings.NewReader("kind: S\n"))
	var got string
	for _, d := range docs {
		got += d.Text("kind")
	}
	if err != nil || got != "ABCS" {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := Read([]string{t.TempDir()}, nil); err == nil {
		t.Error("an empty directory was taken")
	}
	if _, err := Read([]string{filepath.Join(dir, "none"), filepath.Join(dir, "no.txt")}, nil); err == nil ||
		strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("both bad files must be named: %v", err)
	}
}

// FuzzParse: no input panics, every line lies in the file, every value is JSON's.
func FuzzParse(f *testing.F) {
	f.Add([]byte(two))
	f.Add([]byte("[{\"kind\":\"Zone\",\n\"spec\":{\"a\":[1,null,true]}}]"))
	f.Add([]byte("a: &a {b: c}\nd: *a\n<<: *a\n--- !!int x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 4<<10 {
			return
		}
		began := time.Now()
		docs, err := Parse("f", b)
		if d := time.Since(began); d > 2*time.Second {
			t.Fatalf("%d bytes took %v", len(b), d)
		}
		if err != nil {
			return
		}
		most := strings.Count(string(b), "\n") + strings.Count(string(b), "\r") + strings.Count(string(b), "\u0085") +
			strings.Count(string(b), "\u2028") + strings.Count(string(b), "\u2029") + 1
		for _, d := range docs {
			for p, l := range d.lines {
				if l < 1 || l > most {
					t.Fatalf("line %d of %q, of %d", l, p, most)
				}
			}
			mustBeJSON(t, d.Value)
		}
	})
}

func mustBeJSON(t *testing.T, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, x := range v {
			mustBeJSON(t, x)
		}
	case []any:
		for _, x := range v {
			mustBeJSON(t, x)
		}
	case string, float64, bool, nil:
	default:
		t.Fatalf("%T is not JSON", v)
	}
}
