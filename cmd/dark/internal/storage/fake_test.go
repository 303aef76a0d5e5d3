package storage

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// fake serves one bucket, without checking signatures, and does on demand what no real
// server does: it breaks connections, refuses, and lists hostile keys.
type fake struct {
	mu      sync.Mutex
	objects map[string][]byte
	headers map[string]http.Header
	etags   map[string]string // of objects whose ETag is no MD5
	uploads map[string]map[int][]byte
	// breakAt ends an answer's body after so many bytes, once for each entry.
	breakAt []int
	// opaque makes ETags of parts that are no MD5.
	opaque bool
	// refuse answers requests whose "METHOD /path?query" begins so with an error, once.
	refuse map[string]int
	// before is called with each request, before its body is read.
	before func(line string)
	log    []string
	// described is what the last PUT of an object, or begin of an upload, said of it.
	described http.Header
}

func newFake(t *testing.T) (*fake, *Env, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	f := &fake{
		objects: map[string][]byte{}, headers: map[string]http.Header{}, etags: map[string]string{},
		uploads: map[string]map[int][]byte{}, refuse: map[string]int{},
	}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	out, errs := &bytes.Buffer{}, &bytes.Buffer{}
	return f, &Env{
		In: strings.NewReader("from stdin"), Out: out, Err: errs, Output: func() string { return "table" },
		Terminal: func(any) bool { return false },
		Columns:  func(any) int { return 0 },
		Buckets:  func(_ *cobra.Command, word string) []string { return []string{word + "x"} },
		Endpoint: func() (Endpoint, error) {
			return Endpoint{URL: s.URL, Region: "here", AccessKey: "a", SecretKey: "s", Timeout: 10 * time.Second}, nil
		},
	}, out, errs
}

// dark runs one of the commands.
func dark(env *Env, args ...string) error {
	root := &cobra.Command{Use: "storage", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Commands(env)...)
	root.SetArgs(args)
	return root.ExecuteContext(context.Background())
}

func etagOf(b []byte) string { return fmt.Sprintf("%x", md5.Sum(b)) }

func (f *fake) requests(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.log {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line := r.Method + " " + r.URL.Path + "?" + r.URL.RawQuery
	f.log = append(f.log, line)
	if f.before != nil {
		f.before(line)
	}
	for prefix, code := range f.refuse {
		if strings.HasPrefix(line, prefix) {
			delete(f.refuse, prefix)
			fail(w, code, map[int]string{404: "NoSuchUpload", 403: "AccessDenied", 412: "PreconditionFailed"}[code])
			return
		}
	}
	key := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/box"), "/")
	q := r.URL.Query()
	switch {
	case key == "" && r.Method == http.MethodGet:
		f.list(w, q)
	case q.Has("delete"):
		f.deleteMany(w, r)
	case q.Has("uploads"):
		f.described = r.Header.Clone()
		id := fmt.Sprintf("id%d", len(f.uploads)+1)
		f.uploads[id] = map[int][]byte{}
		fmt.Fprintf(w,
			"<InitiateMultipartUploadResult><Bucket>box</Bucket><Key>x</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case q.Has("uploadId"):
		f.multipart(w, r, key, q)
	case r.Method == http.MethodPut:
		f.described = r.Header.Clone()
		f.objects[key] = body0(r)
		f.headers[key] = http.Header{}
		for k, v := range r.Header {
			if strings.HasPrefix(k, "X-Amz-Meta-") {
				f.headers[key][k] = v
			}
		}
		w.Header().Set("ETag", strconv.Quote(etagOf(f.objects[key])))
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		f.get(w, r, key)
	}
}

// body0 reads a body, out of its signed chunks where it comes in such.
func body0(r *http.Request) []byte {
	b, _ := io.ReadAll(r.Body)
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return b
	}
	var out []byte
	for {
		head, rest, ok := bytes.Cut(b, []byte("\r\n"))
		text, _, _ := strings.Cut(string(head), ";")
		n, err := strconv.ParseInt(text, 16, 64)
		if !ok || err != nil || n == 0 {
			return out
		}
		out, b = append(out, rest[:n]...), rest[n+2:]
	}
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as asked</Message></Error>", code)
}

func (f *fake) get(w http.ResponseWriter, r *http.Request, key string) {
	content, ok := f.objects[key]
	if !ok {
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	for k, v := range f.headers[key] {
		w.Header()[k] = v
	}
	w.Header().Set("ETag", strconv.Quote(f.etag(key)))
	w.Header().Set("Content-Type", "application/octet-stream")
	if len(f.breakAt) > 0 && r.Method == http.MethodGet {
		w = &breaking{w, f.breakAt[0]}
		f.breakAt = f.breakAt[1:]
	}
	http.ServeContent(w, r, "", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), bytes.NewReader(content))
}

func (f *fake) etag(key string) string {
	if e := f.etags[key]; e != "" {
		return e
	}
	return etagOf(f.objects[key])
}

type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

type listed struct {
	Key, ETag, LastModified string
	Size                    int
}

func (f *fake) list(w http.ResponseWriter, q url.Values) {
	var out struct {
		XMLName      xml.Name `xml:"ListBucketResult"`
		EncodingType string
		Contents     []listed
	}
	out.EncodingType = "url"
	for k, v := range f.objects {
		if strings.HasPrefix(k, q.Get("prefix")) {
			out.Contents = append(out.Contents, listed{
				url.QueryEscape(k), strconv.Quote(f.etag(k)),
				"2026-01-02T03:04:05.000Z", len(v),
			})
		}
	}
	slices.SortFunc(out.Contents, func(a, b listed) int { return strings.Compare(unescaped(a.Key), unescaped(b.Key)) })
	_ = xml.NewEncoder(w).Encode(out)
}

// deleteMany answers DeleteObjects: it refuses keys that end in "refused", and forgets to
// speak of those that end in "untold".
func (f *fake) deleteMany(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Object []struct{ Key string } }
	if err := xml.Unmarshal(body0(r), &asked); err != nil || len(asked.Object) > 1000 {
		fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	type deleted struct{ Key, Code string }
	var out struct {
		XMLName xml.Name `xml:"DeleteResult"`
		Deleted []deleted
		Error   []deleted
	}
	for _, o := range asked.Object {
		switch {
		case strings.HasSuffix(o.Key, "refused"):
			out.Error = append(out.Error, deleted{o.Key, "AccessDenied"})
		case !strings.HasSuffix(o.Key, "untold"):
			delete(f.objects, o.Key)
			out.Deleted = append(out.Deleted, deleted{Key: o.Key})
		}
	}
	_ = xml.NewEncoder(w).Encode(out)
}

func unescaped(s string) string { u, _ := url.QueryUnescape(s); return u }

func (f *fake) multipart(w http.ResponseWriter, r *http.Request, key string, q url.Values) {
	parts, ok := f.uploads[q.Get("uploadId")]
	if !ok {
		fail(w, http.StatusNotFound, "NoSuchUpload")
		return
	}
	number, _ := strconv.Atoi(q.Get("partNumber"))
	switch r.Method {
	case http.MethodPut:
		parts[number] = body0(r)
		w.Header().Set("ETag", strconv.Quote(f.partETag(parts[number])))
	case http.MethodGet:
		fmt.Fprint(w, "<ListPartsResult>")
		for n, b := range parts {
			fmt.Fprintf(w, "<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag><Size>%d</Size></Part>", n,
				f.partETag(b), len(b))
		}
		fmt.Fprint(w, "</ListPartsResult>")
	case http.MethodPost:
		var all []byte
		for n := 1; n <= len(parts); n++ {
			all = append(all, parts[n]...)
		}
		f.objects[key] = all
		delete(f.uploads, q.Get("uploadId"))
		fmt.Fprintf(w,
			"<CompleteMultipartUploadResult><Bucket>box</Bucket><Key>x</Key><ETag>&quot;%s-%d&quot;</ETag></CompleteMultipartUploadResult>", etagOf(all), len(parts))
	case http.MethodDelete:
		delete(f.uploads, q.Get("uploadId"))
		w.WriteHeader(http.StatusNoContent)
	}
}

func (f *fake) partETag(b []byte) string {
	if f.opaque {
		return "opaque-" + etagOf(b)[:8]
	}
	return etagOf(b)
}
