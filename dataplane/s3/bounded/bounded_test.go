package bounded

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3"
)

const (
	// memory is what the server may have resident at any time, octets: of its heap, which
	// Go's runtime is told, and of all else.
	memory = 128 << 20
	heap   = 100 << 20

	stall    = 2 * time.Second // how long a client may stall
	document = 100 << 20       // octets that those send who send too much
	most     = 10_000          // parts of an upload
)

// run is the server under attack.
type run struct {
	*client
	server *server
	tally  sync.Map // what was answered → *atomic.Int64
}

// met holds an answer against those that are right, and counts it.
func (r *run) met(t *testing.T, what string, a answer, codes ...string) {
	t.Helper()
	n, _ := r.tally.LoadOrStore(a.code(), new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	for _, code := range codes {
		if a.code() == code {
			return
		}
	}
	t.Errorf("%s: %d %s, want %q", what, a.status, a.body, codes)
}

// insist does what a client does that is told to come again.
func (r *run) insist(send func() answer) (a answer) {
	for begin := time.Now(); time.Since(begin) < time.Minute; {
		if a = send(); !a.again() {
			return a
		}
		why := a.code() + ", and came again"
		if a.status == 0 {
			why = "cut off, and came again"
		}
		n, _ := r.tally.LoadOrStore(why, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		<-time.After(100 * time.Millisecond)
	}
	return a
}

// documents are all that take one, and how such a one begins and goes on.
var documents = []struct{ method, target, open, on string }{
	{
		"POST", "/box/m?uploadId=" + noUpload, "<CompleteMultipartUpload>",
		"<Part><PartNumber>1</PartNumber><ETag>e</ETag></Part>",
	},
	{"POST", "/box?delete", "<Delete>", "<Object><Key>k</Key></Object>"},
	{"PUT", "/box/k?tagging", "<Tagging><TagSet>", "<Tag><Key>k</Key><Value>v</Value></Tag>"},
	{"PUT", "/box/k?acl", "<AccessControlPolicy>", "<Grant/>"},
	{"PUT", "/box?tagging", "<Tagging><TagSet>", "<Tag><Key>k</Key><Value>v</Value></Tag>"},
	{"PUT", "/box?lifecycle", "<LifecycleConfiguration>", "<Rule><Prefix/></Rule>"},
	{"PUT", "/box?cors", "<CORSConfiguration>", "<CORSRule/>"},
	{"PUT", "/box?versioning", "<VersioningConfiguration>", " "},
	{"PUT", "/box?policy", `{"Version":"2012-10-17","Statement":[`, `{"Effect":"Allow"},`},
	{"PUT", "/newbox", "<CreateBucketConfiguration>", "<LocationConstraint>x</LocationConstraint>"},
}

const noUpload = "00000000000000000000000000000000"

// tooMuch: 100 MB of a document, with its length and without.
func (r *run) tooMuch(t *testing.T, all *sync.WaitGroup) {
	digest := "X-Amz-Checksum-Crc32: AAAAAA=="
	if len(documents) == 0 {
		t.Error("nothing is sent")
	}
	for _, d := range documents {
		for range 2 {
			all.Go(func() {
				a := r.insist(func() answer {
					return r.raw(t, d.method, d.target, fmt.Sprint("Content-Length: ", document), []string{digest},
						flood(document, d.open, d.on, false), false)
				})
				r.met(t, "100 MB to "+d.target, a, "MaxMessageLengthExceeded")
			})
		}
		all.Go(func() {
			a := r.insist(func() answer {
				return r.raw(t, d.method, d.target, "Transfer-Encoding: chunked", []string{digest},
					flood(document, d.open, d.on, true), false)
			})
			r.met(t, "100 MB without a length to "+d.target, a, "MissingContentLength")
		})
		all.Go(func() { // in the chunks of SDKs
			frame := fmt.Sprintf("%x\r\n", document)
			headers := []string{
				"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
				"X-Amz-Trailer: x-amz-checksum-crc32", fmt.Sprint("X-Amz-Decoded-Content-Length: ", document),
				"Content-Encoding: aws-chunked",
			}
			a := r.insist(func() answer {
				return r.raw(t, d.method, d.target, fmt.Sprint("Content-Length: ", document+len(frame)+60), headers,
					flood(document, frame+d.open, d.on, false), false)
			})
			r.met(t, "100 MB in chunks to "+d.target, a, "MaxMessageLengthExceeded", "InvalidRequest")
		})
	}
}

// large are documents as large as they may be, and those that cost most to take apart.
func (r *run) large(t *testing.T, all *sync.WaitGroup) {
	var parts strings.Builder
	sum := strings.Repeat("A", 43) + "="
	for n := 1; n <= most; n++ {
		fmt.Fprintf(&parts,
			`<Part><PartNumber>%d</PartNumber><ETag>"%032x"</ETag><ChecksumSHA256>%s</ChecksumSHA256></Part>`, n, n,
			sum)
	}
	complete := "<CompleteMultipartUpload>" + parts.String() + "</CompleteMultipartUpload>"
	many := "<CompleteMultipartUpload>" + strings.Repeat("<a/>", 9*most) + "</CompleteMultipartUpload>"
	wide := "<CompleteMultipartUpload>" + strings.Repeat("<a>"+strings.Repeat("x", 30_000)+"</a>", 130) +
		"</CompleteMultipartUpload>"
	remove := "<Delete>" + strings.Repeat("<Object><Key>"+strings.Repeat("k", 1024)+"</Key></Object>", 1000) +
		"</Delete>"
	for range 8 {
		for _, d := range []struct{ target, doc, code string }{
			{"/box/m?uploadId=" + noUpload, complete, "NoSuchUpload"},
			{"/box/m?uploadId=" + noUpload, many, "MalformedXML"},
			{"/box/m?uploadId=" + noUpload, wide, "MalformedXML"},
			{"/box?delete", remove, ""},
		} {
			md := md5.Sum([]byte(d.doc))
			all.Go(func() {
				a := r.insist(func() answer {
					return r.do(t, "POST", d.target, []byte(d.doc),
						"Content-MD5: "+base64.StdEncoding.EncodeToString(md[:]))
				})
				r.met(t, "a large document", a, d.code)
			})
		}
	}
}

// stalled: bodies that begin and do not go on.
func (r *run) stalled(t *testing.T, all *sync.WaitGroup) {
	for i := range 64 {
		all.Go(func() {
			a := r.raw(t, "PUT", fmt.Sprint("/box/stalled", i), "Content-Length: 20000000", nil,
				text(strings.Repeat("x", 300_000)), false)
			r.met(t, "a body that stalls", a, "RequestTimeout")
		})
	}
}

// stalledDocuments: 48 that are held, of 4 MB each, as long as their clients may stall. Those
// that are told to come again do not.
func (r *run) stalledDocuments(t *testing.T, all *sync.WaitGroup) {
	doc := strings.Repeat(" ", 4_000_000)
	for range 48 {
		all.Go(func() {
			a := r.raw(t, "POST", "/box/m?uploadId="+noUpload, "Content-Length: 4100000", nil, text(doc), false)
			if a.status != 0 { // cut off, in the midst of its document
				r.met(t, "a document that stalls", a, "RequestTimeout", "SlowDown")
			}
		})
	}
}

// lies are bodies that are not what was said of them.
func (r *run) lies(t *testing.T, all *sync.WaitGroup) {
	body := strings.Repeat("0123456789abcdef", 1<<16)
	n := fmt.Sprint("Content-Length: ", len(body))
	zeros := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	trailer := func(decoded int) []string {
		return []string{
			"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
			"X-Amz-Trailer: x-amz-checksum-crc32c", fmt.Sprint("X-Amz-Decoded-Content-Length: ", decoded),
			"Content-Encoding: aws-chunked",
		}
	}
	chunks := fmt.Sprintf("%x\r\n%s\r\n0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n", len(body), body)
	framed := fmt.Sprint("Content-Length: ", len(chunks))
	other := sha256.Sum256([]byte("another"))
	for i, lie := range []struct {
		length  string
		headers []string
		send    string
		code    string
	}{
		{n, []string{"Content-MD5: " + zeros(16)}, body, "BadDigest"},
		{n, []string{"X-Amz-Content-Sha256: " + hex.EncodeToString(other[:])}, body, "XAmzContentSHA256Mismatch"},
		{n, []string{"X-Amz-Checksum-Crc32: " + zeros(4)}, body, "BadDigest"},
		{n, []string{"X-Amz-Checksum-Crc32c: " + zeros(4)}, body, "BadDigest"},
		{n, []string{"X-Amz-Checksum-Crc64nvme: " + zeros(8)}, body, "BadDigest"},
		{n, []string{"X-Amz-Checksum-Sha1: " + zeros(20)}, body, "BadDigest"},
		{n, []string{"X-Amz-Checksum-Sha256: " + zeros(32)}, body, "BadDigest"},
		{fmt.Sprint("Content-Length: ", len(body)+1), nil, body, "IncompleteBody"},
		{"Content-Length: 5368709121", nil, body, "EntityTooLarge"},
		{"Transfer-Encoding: chunked", nil, "1\r\nx\r\n0\r\n\r\n", "MissingContentLength"},
		{framed, trailer(len(body)), chunks, "BadDigest"},
		{framed, trailer(len(body) + 1), chunks, "IncompleteBody"},
		{framed, trailer(len(body) - 1), chunks, "IncompleteBody"},
		{framed, trailer(100), chunks, "IncompleteBody"},
	} {
		for _, target := range []string{fmt.Sprint("/box/lie", i), "/box/k"} {
			all.Go(func() {
				a := r.insist(func() answer {
					return r.raw(t, "PUT", target, lie.length, lie.headers, text(lie.send), true)
				})
				r.met(t, fmt.Sprintf("lie %d: %s, %v", i, lie.length, lie.headers), a, lie.code)
			})
		}
	}
}

// each does n things, sixteen at a time.
func each(n int, do func(int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				do(i)
			}
		})
	}
	all.Wait()
}

// upload begins an upload.
func (r *run) upload(t *testing.T, key string) string {
	t.Helper()
	id := r.do(t, "POST", "/box/"+key+"?uploads", nil).text("UploadId")
	if id == "" {
		t.Fatal("no upload began")
	}
	return id
}

// completion names all parts, of one ETag.
func completion(n int, etag string) []byte {
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i, etag)
	}
	return []byte(b.String() + "</CompleteMultipartUpload>")
}

// smallParts sends 10,000 parts of one octet, which make no object.
func (r *run) smallParts(t *testing.T) {
	id := r.upload(t, "small")
	part := func(n int) answer {
		return r.insist(func() answer {
			return r.do(t, "PUT", fmt.Sprintf("/box/small?partNumber=%d&uploadId=%s", n, id), []byte("x"))
		})
	}
	var etag atomic.Value
	each(most, func(n int) {
		if a := part(n); a.status == http.StatusOK {
			etag.Store(a.header.Get("Etag"))
		} else {
			t.Errorf("part %d: %+v", n, a)
		}
	})
	r.met(t, "part 10,001", part(most+1), "InvalidArgument")
	r.met(t, "part 0", part(0), "InvalidArgument")
	found, marker := 0, ""
	for pages := 1; ; pages++ {
		a := r.do(t, "GET", "/box/small?uploadId="+id+"&part-number-marker="+marker, nil)
		found += strings.Count(a.body, "<Part>")
		if marker = a.text("NextPartNumberMarker"); a.text("IsTruncated") != "true" || pages > 10 {
			if pages != 10 || found != most {
				t.Errorf("%d parts on %d pages", found, pages)
			}
			break
		}
	}
	tag, _ := etag.Load().(string)
	each(4, func(int) {
		a := r.insist(func() answer { return r.do(t, "POST", "/box/small?uploadId="+id, completion(most, tag)) })
		r.met(t, "10,000 parts of an octet", a, "EntityTooSmall")
	})
	if a := r.do(t, "DELETE", "/box/small?uploadId="+id, nil); a.status != http.StatusNoContent {
		t.Errorf("abort: %+v", a)
	}
}

// tenThousand makes an object of 10,000 parts of 5 MiB, and reads of it.
func (r *run) tenThousand(t *testing.T, source []byte) {
	id := r.upload(t, "whole")
	etag := ""
	var once sync.Mutex
	each(most, func(n int) {
		a := r.insist(func() answer {
			return r.do(t, "PUT", fmt.Sprintf("/box/whole?partNumber=%d&uploadId=%s", n, id), nil,
				"X-Amz-Copy-Source: box/source")
		})
		if a.status != http.StatusOK {
			t.Errorf("part %d: %+v", n, a)
		}
		once.Lock()
		defer once.Unlock()
		etag = a.text("ETag")
	})
	begin := time.Now()
	a := r.do(t, "POST", "/box/whole?uploadId="+id, completion(most, etag))
	if a.status != http.StatusOK || !strings.Contains(a.text("ETag"), fmt.Sprint("-", most)) {
		t.Fatalf("complete: %+v", a)
	}
	t.Logf("10,000 parts completed in %v", time.Since(begin).Round(time.Millisecond))
	size := int64(most) * int64(len(source))
	if a := r.do(t, "HEAD", "/box/whole", nil); a.header.Get("Content-Length") != fmt.Sprint(size) {
		t.Errorf("%+v, want %d octets", a, size)
	}
	each(64, func(n int) {
		at := int64(n)*(size/64) - 1000
		if n == 64 {
			at = size - 2000
		}
		a := r.do(t, "GET", "/box/whole", nil, fmt.Sprintf("Range: bytes=%d-%d", at, at+1999))
		from := int(at % int64(len(source)))
		if want := (string(source) + string(source))[from:][:2000]; a.status != http.StatusPartialContent ||
			a.body != want {
			t.Errorf("2,000 octets at %d: %d, %d octets", at, a.status, len(a.body))
		}
	})
	if a := r.do(t, "HEAD", fmt.Sprint("/box/whole?partNumber=", most),
		nil); a.header.Get("X-Amz-Mp-Parts-Count") != fmt.Sprint(most) {
		t.Errorf("%+v", a)
	}
	if a := r.do(t, "DELETE", "/box/whole", nil); a.status != http.StatusNoContent {
		t.Errorf("%+v", a)
	}
}

// attack is all of them at once.
func (r *run) attack(t *testing.T) {
	var all sync.WaitGroup
	r.stalled(t, &all)
	r.stalledDocuments(t, &all)
	r.tooMuch(t, &all)
	r.large(t, &all)
	r.lies(t, &all)
	all.Wait()
}

// TestMemoryIsBoundedAndNothingIsKept: 128 MiB resident at most (VmHWM) with the clients
// above all at once; a proper answer for each; afterwards only what was acknowledged.
func TestMemoryIsBoundedAndNothingIsKept(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server; not with -short")
	}
	s := start(t, s3.Limits{Stall: stall}, heap)
	r := &run{client: newClient(s), server: s}
	source := make([]byte, 5<<20)
	for i := range source {
		source[i] = byte(i * i >> 7)
	}
	for key, body := range map[string][]byte{"source": source, "k": []byte("kept")} {
		if a := r.do(t, "PUT", "/box/"+key, body); a.status != http.StatusOK {
			t.Fatalf("%+v", a)
		}
	}
	before, idle := s.holds(t), s.peak(t)
	phase := func(name string, do func()) {
		begin := time.Now()
		do()
		t.Logf("%s: %v, peak %d MiB", name, time.Since(begin).Round(100*time.Millisecond), s.peak(t)>>20)
	}
	phase("all who stall, lie and send too much", func() { r.attack(t) })
	phase("10,000 parts of an octet", func() { r.smallParts(t) })
	phase("10,000 parts of 5 MiB", func() { r.tenThousand(t, source) })
	r.tally.Range(func(code, n any) bool {
		t.Logf("%6d × %s", n.(*atomic.Int64).Load(), code)
		return true
	})
	r.kept(t, before, source)
	if peak := s.peak(t); peak > memory {
		t.Errorf("%d MiB were resident, of %d", peak>>20, memory>>20)
	} else {
		t.Logf("at most %d MiB were resident, of %d; %d before", peak>>20, memory>>20, idle>>20)
	}
}

// kept fails unless the server has what it had before, and the one row for a client that
// asks for its completion again.
func (r *run) kept(t *testing.T, before holds, source []byte) {
	t.Helper()
	if a := r.do(t, "GET", "/box?versions", nil); strings.Count(a.body, "<Key>") != 2 {
		t.Errorf("objects: %s", a.body)
	}
	if a := r.do(t, "GET", "/box?uploads", nil); a.status != http.StatusOK || strings.Contains(a.body, "<Upload>") {
		t.Errorf("uploads: %s", a.body)
	}
	if a := r.do(t, "GET", "/box/source", nil); a.body != string(source) {
		t.Error("an acknowledged object has changed")
	}
	if a := r.do(t, "GET", "/box/k", nil); a.body != "kept" {
		t.Errorf("an acknowledged object has changed: %q", a.body)
	}
	before.Usage.Others++
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !until(ctx, func() bool { return r.server.holds(t) == before }) {
		t.Errorf("the store has %+v, and had %+v with the row of the completion", r.server.holds(t), before)
	}
}

// TestMeterBites: the same meter goes over the bound on a server that takes documents of
// 200 MB, with four clients, and on one where each request is bounded and not all together.
func TestMeterBites(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a server; not with -short")
	}
	over := func(t *testing.T, limits s3.Limits, attack func(*testing.T, *run)) {
		s := start(t, limits, heap)
		attack(t, &run{client: newClient(s), server: s})
		if peak := s.peak(t); peak <= memory {
			t.Errorf("only %d MiB were resident: the meter does not see what it should", peak>>20)
		} else {
			t.Logf("%d MiB were resident, of %d", peak>>20, memory>>20)
		}
	}
	t.Run("large documents", func(t *testing.T) {
		over(t, s3.Limits{Stall: stall, Document: 200 << 20, Documents: 1 << 40, Working: 1000},
			func(t *testing.T, r *run) {
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						d := documents[1]
						a := r.raw(t, d.method, d.target, fmt.Sprint("Content-Length: ", document),
							[]string{"Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg=="}, flood(document, d.open, d.on, false),
							true)
						r.met(t, "100 MB", a, "BadDigest")
					})
				}
				all.Wait()
			})
	})
	t.Run("no bound of all", func(t *testing.T) {
		over(t, s3.Limits{Stall: 5 * time.Second, Documents: 1 << 40}, func(t *testing.T, r *run) {
			var all sync.WaitGroup
			r.stalledDocuments(t, &all)
			all.Wait()
		})
	})
}
