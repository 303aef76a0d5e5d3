package storage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/minio/minio-go/v7"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

func TestLocations(t *testing.T) {
	for text, want := range map[string]location{
		"darkstorage://box":           {bucket: "box"},
		"darkstorage://box/":          {bucket: "box"},
		"s3://box/a%20b/?c#d":         {bucket: "box", key: "a%20b/?c#d"},
		"darkstorage://box//x":        {bucket: "box", key: "/x"},
		"darkstorage://box/new\nline": {bucket: "box", key: "new\nline"},
		"-":                           {path: "-"},
		"./gs://x":                    {path: "./gs://x"},
		"a:b":                         {path: "a:b"},
	} {
		if got, err := parse(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "s3://", "s3:///x", "s3://B/x", "s3://a/x", "gs://box/x", "https://h/x",
		"s3://box/\xff", "s3://box/ ", "s3://box/" + strings.Repeat("k", 1025), "s3://a@b.c/x",
	} {
		if _, err := parse(text); err == nil || exit.Of(err).Code != exit.Usage {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParse: what names an object names it in the same way when it is written out.
func FuzzParse(f *testing.F) {
	f.Add("darkstorage://box/key")
	f.Add("s3://box/../x")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parse(text)
		if err != nil || !l.remote() {
			return
		}
		if again, err := parse(l.String()); err != nil || again != l {
			t.Fatalf("%q is %+v and then %+v, %v", text, l, again, err)
		}
	})
}

// FuzzLocalName: whatever a key is, the path is in the directory.
func FuzzLocalName(f *testing.F) {
	for _, k := range []string{"a/b", "../x", "/x", "a/../../x", `..\x`, "a//b", "", ".", "C:x", "NUL", "a/\x00"} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, err := localName(key)
		if err != nil {
			return
		}
		if !filepath.IsLocal(name) || filepath.ToSlash(name) != strings.TrimSuffix(key, "/") {
			t.Fatalf("%q became %q", key, name)
		}
	})
}

// FuzzGlob: each glob is a valid expression, and a glob without wildcards is itself.
func FuzzGlob(f *testing.F) {
	f.Add("*.jpg", "a.jpg")
	f.Add("docs/**", "docs/a/b")
	f.Add("a[b", "a[b")
	f.Fuzz(func(t *testing.T, glob, name string) {
		fl := filter{include: []string{glob}}
		if err := fl.compile(); err != nil {
			if glob != "" && len(glob) <= maxPattern && utf8.ValidString(glob) {
				t.Fatalf("%q: %v", glob, err)
			}
			return
		}
		literal := !strings.ContainsAny(glob, "*?")
		if literal && !fl.match(glob) {
			t.Fatalf("%q is not like itself", glob)
		}
		if literal && fl.match(name) && name != glob && !strings.HasSuffix(name, "/"+glob) {
			t.Fatalf("%q is like %q", name, glob)
		}
	})
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		in, out string
		name    string
		want    bool
	}{
		{"", "", "x", true},
		{"*.jpg", "", "a/b.jpg", true},
		{"*.jpg", "", "a/b.png", false},
		{"a/*", "", "a/b", true},
		{"a/*", "", "a/b/c", false},
		{"a/**", "", "a/b/c", true},
		{"*", "*.tmp", "x.tmp", false},
		{"?.txt", "", "a.txt", true},
		{"?.txt", "", "ab.txt", false},
		{"new*", "", "new\nline", true},
	} {
		var f filter
		if c.in != "" {
			f.include = []string{c.in}
		}
		if c.out != "" {
			f.exclude = []string{c.out}
		}
		if err := f.compile(); err != nil || f.match(c.name) != c.want {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string][2]int64{
		"": {0, 100}, "0-9": {0, 10}, "90-": {90, 100}, "-5": {95, 100},
		"-500": {0, 100}, "5-1000": {5, 100},
	} {
		if a, b, err := span(text, 100); err != nil || a != want[0] || b != want[1] {
			t.Errorf("%q: %d-%d, %v", text, a, b, err)
		}
	}
	for _, text := range []string{"-", "5", "100-", "9-5", "a-b", "--5", "-0"} {
		if _, _, err := span(text, 100); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestTheEnvironmentIsAboveTheContext(t *testing.T) {
	ctx := Endpoint{URL: "http://ctx", Region: "r", AccessKey: "ck", SecretKey: "cs"}
	for _, c := range []struct {
		from Endpoint
		env  map[string]string
		want string
	}{
		{ctx, nil, "http://ctx r ck cs"},
		{ctx, map[string]string{"DARK_S3_ACCESS_KEY": "d", "DARK_S3_SECRET_KEY": "e"}, "http://ctx r d e"},
		{ctx, map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, "http://ctx r ck cs"},
		{ctx, map[string]string{
			"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
			"AWS_ENDPOINT_URL": "http://aws", "AWS_REGION": "q",
		}, "http://aws q a b"},
		{Endpoint{}, map[string]string{
			"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
			"DARK_S3_URL": "http://own",
		}, "http://own us-east-1 a b"},
		{Endpoint{}, map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, ""},
		{Endpoint{URL: "http://x"}, nil, ""},
	} {
		got, err := Resolve(c.from, func(k string) string { return c.env[k] })
		if text := fmt.Sprint(got.URL, " ", got.Region, " ", got.AccessKey, " ",
			got.SecretKey); (err == nil) != (c.want != "") || err == nil && text != c.want {
			t.Errorf("%v: %s, %v", c.env, text, err)
		}
	}
}

func TestErrorsHaveTheirCode(t *testing.T) {
	for want, r := range map[exit.Code]minio.ErrorResponse{
		exit.NotFound:    {Code: "NoSuchBucket", StatusCode: 404},
		exit.Denied:      {Code: "SomethingNew", StatusCode: 403},
		exit.Conflict:    {Code: "PreconditionFailed", StatusCode: 412},
		exit.Unavailable: {Code: "InsufficientStorage", StatusCode: 507},
		exit.Failed:      {Code: "InvalidArgument", StatusCode: 400},
	} {
		if e := exit.Of(explain(fmt.Errorf("wrapped: %w", r))); e.Code != want {
			t.Errorf("%v: %d, want %d", r, e.Code, want)
		}
	}
}

func TestFilesAreInTheOrderOfKeys(t *testing.T) {
	dir := t.TempDir()
	names := []string{"a-b", "a.b", "a/b", "a/c/d", "a0", "b", "é"}
	for _, n := range slices.Backward(names) {
		put(t, filepath.Join(dir, filepath.FromSlash(n)), nil)
	}
	put(t, filepath.Join(dir, temporaryPrefix+strings.Repeat("0", 32)+partSuffix), nil)
	_ = os.Symlink(dir, filepath.Join(dir, "circle"))
	var got, skipped []string
	for e, err := range walk(dir, walking{skipped: func(p, _ string) {
		skipped = append(skipped, filepath.Base(p))
	}, failed: func(p string, err error) { t.Error(p, err) }}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.rel)
	}
	if !slices.Equal(got, names) || !slices.IsSorted(got) || len(skipped) != 1 {
		t.Fatalf("%q, skipped %q", got, skipped)
	}
}

func TestETagsOfUploadsInParts(t *testing.T) {
	// As AWS has it: MD5 of the MD5s of two parts of zeros, 16 MiB and 1 byte.
	got, err := multipartETag(bytes.NewReader(make([]byte, basePart+1)), basePart+1)
	if err != nil || !strings.HasSuffix(got, "-2") || len(got) != 34 {
		t.Fatal(got, err)
	}
	if p := partSizeOf(5 << 40); 5<<40 > p*maxParts || p > 5<<30 {
		t.Errorf("5 TiB in parts of %d", p)
	}
	if partSizeOf(1) != basePart || partsOf(basePart) != 1 || partsOf(basePart+1) != 2 {
		t.Error("sizes of parts")
	}
}

func TestTheBar(t *testing.T) {
	got := progressLine(50<<20, 100<<20, 3, 7, 10*time.Second)
	want := "[############            ]  50%  3/7  50.0 MiB of 100.0 MiB  5.0 MiB/s  10s left"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := progressLine(0, 0, 0, 0, 0); !strings.Contains(got, "0 B of 0 B") {
		t.Error(got)
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 30: "1.0 GiB"} {
		if size(n) != want {
			t.Errorf("%d: %s", n, size(n))
		}
	}
}

func TestTheBarMakesWayForLines(t *testing.T) {
	var w bytes.Buffer
	b := newBar(&w, true, func() int { return 100 })
	b.start(100)
	b.move(50)
	b.line(b.begin.Add(time.Second))
	b.above(func() { w.WriteString("a line\n") })
	b.end()
	if got := w.String(); !strings.HasPrefix(got, clearLine+"[####") || !strings.HasSuffix(got, clearLine+"a line\n") {
		t.Errorf("%q", got)
	}
	w.Reset()
	b = newBar(&w, false, nil)
	b.start(100)
	b.above(func() { w.WriteString("a line\n") })
	b.end()
	if w.String() != "a line\n" {
		t.Errorf("without a terminal: %q", w.String())
	}
}

func TestNamesCannotCommandTheTerminal(t *testing.T) {
	for name, want := range map[string]string{
		"plain é 日本": "plain é 日本", "a\x1b[31m": `"a\x1b[31m"`,
		"new\nline": `"new\nline"`, "\u202ertl": "\"\\u202ertl\"",
	} {
		if got := show(name); got != want {
			t.Errorf("%q is shown as %s", name, got)
		}
	}
}
