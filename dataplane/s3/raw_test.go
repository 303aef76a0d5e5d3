package s3

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// answer is what came back to a raw request.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) code() string {
	_, rest, _ := strings.Cut(a.body, "<Code>")
	c, _, _ := strings.Cut(rest, "</Code>")
	return c
}

// raw signs and sends one request; headers are "Name: value".
func (s *testServer) raw(t testing.TB, method, target string, body []byte, headers ...string) answer {
	t.Helper()
	r := ok(http.NewRequestWithContext(t.Context(), method, s.URL+target, bytes.NewReader(body)))(t)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	s.sign(t, r, body)
	return s.do(t, r)
}

func (s *testServer) sign(t testing.TB, r *http.Request, body []byte) {
	t.Helper()
	s.signAs(t, "AKACME", r, body)
}

func (s *testServer) signAs(t testing.TB, key string, r *http.Request, body []byte) {
	t.Helper()
	hash := r.Header.Get("X-Amz-Content-Sha256")
	if hash == "" {
		sum := sha256.Sum256(body)
		hash = hex.EncodeToString(sum[:])
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	id := aws.Credentials{AccessKeyID: key, SecretAccessKey: secretOf(key)}
	// S3 has each octet of the path encoded once, whatever the client did.
	canonical := r.Clone(t.Context())
	canonical.URL.RawPath = strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(r.URL.Path), "%2F", "/"), "+", "%20")
	canonical.URL.RawPath = strings.ReplaceAll(canonical.URL.RawPath, "%7E", "~")
	if err := signer.SignHTTP(context.Background(), id, canonical, hash, "s3", testRegion, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	r.Header = canonical.Header
}

func (s *testServer) do(t testing.TB, r *http.Request) answer {
	t.Helper()
	c := *s.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp := ok(c.Do(r))(t)
	defer resp.Body.Close()
	b := ok(io.ReadAll(resp.Body))(t)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func TestWhatComesLaterAnswersNotImplemented(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	s.raw(t, "PUT", "/box/k", []byte("x"))
	for _, c := range []struct {
		method, target string
		header         string
	}{
		{"PUT", "/box?website", ""},
		{"DELETE", "/box?website", ""},
		{"PUT", "/box?replication", ""},
		{"DELETE", "/box?replication", ""},
		{"PUT", "/box?notification", ""},
		{"PUT", "/box?logging", ""},
		{"PUT", "/box?accelerate", ""},
		{"PUT", "/box?object-lock", ""},
		{"GET", "/box?inventory&id=1", ""},
		{"PUT", "/box?inventory&id=1", ""},
		{"GET", "/box?inventory", ""},
		{"DELETE", "/box?inventory&id=1", ""},
		{"GET", "/box?analytics&id=1", ""},
		{"PUT", "/box?analytics&id=1", ""},
		{"DELETE", "/box?analytics&id=1", ""},
		{"GET", "/box?metrics&id=1", ""},
		{"PUT", "/box?metrics&id=1", ""},
		{"DELETE", "/box?metrics&id=1", ""},
		{"GET", "/box?intelligent-tiering&id=1", ""},
		{"PUT", "/box?intelligent-tiering&id=1", ""},
		{"DELETE", "/box?intelligent-tiering&id=1", ""},
		{"GET", "/box?metadataTable", ""},
		{"POST", "/box?metadataConfiguration", ""},
		{"GET", "/box?session", ""},
		{"PUT", "/box?abac", ""},
		{"PUT", "/box/k?legal-hold", ""},
		{"GET", "/box/k?legal-hold", ""},
		{"PUT", "/box/k?retention", ""},
		{"GET", "/box/k?retention", ""},
		{"POST", "/box/k?select&select-type=2", ""},
		{"POST", "/box/k?restore", ""},
		{"GET", "/box/k?torrent", ""},
		{"PUT", "/box/k?renameObject", ""},
		{"PUT", "/box/k?encryption", ""},
		{"PUT", "/box/k?annotation", ""},
		{"PUT", "/box/k", "X-Amz-Storage-Class: GLACIER"},
		{"PUT", "/box/k", "X-Amz-Storage-Class: STANDARD_IA"},
		{"PUT", "/box/k", "X-Amz-Object-Lock-Mode: GOVERNANCE"},
		{"PUT", "/box/k", "X-Amz-Object-Lock-Legal-Hold: ON"},
		{"POST", "/box/k?uploads", "X-Amz-Object-Lock-Mode: GOVERNANCE"},
		{"PUT", "/box/k", "X-Amz-Write-Offset-Bytes: 1"},
		{"PUT", "/box/k", "X-Amz-Server-Side-Encryption: aws:kms:dsse"},
		{"PUT", "/newbox", "X-Amz-Bucket-Object-Lock-Enabled: true"},
		{"POST", "/?Action=AssumeRole&Version=2011-06-15", ""},
		{"POST", "/", ""},
	} {
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		a := s.raw(t, c.method, c.target, []byte("<x/>"), headers...)
		if a.status != http.StatusNotImplemented || a.code() != "NotImplemented" ||
			a.header.Get("Content-Type") != "application/xml" {
			t.Errorf("%s %s %s: %d %s", c.method, c.target, c.header, a.status, a.body)
		}
	}
	if a := s.raw(t, "PUT", "/box/k", []byte("x"), "X-Amz-Storage-Class: REDUCED_REDUNDANCY"); a.status != 200 {
		t.Fatal(a)
	}
	if a := s.raw(t, "GET", "/box/k", nil); a.body != "x" {
		t.Fatalf("what was refused changed the object: %q", a.body)
	}
}

func TestBadInput(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	s.raw(t, "PUT", "/box/k", []byte("0123456789"))
	for _, c := range []struct {
		method, target, body string
		headers              []string
		status               int
		code                 string
	}{
		{"GET", "/box/k?versionId=", "", nil, 400, "InvalidArgument"},
		{"GET", "/box/k?versionId=null", "", nil, 200, ""},
		{"GET", "/box/k?partNumber=0", "", nil, 400, "InvalidArgument"},
		{"GET", "/box/k?partNumber=2", "", nil, 416, "InvalidPartNumber"},
		{"GET", "/box/k?partNumber=1", "", []string{"Range: bytes=0-1"}, 400, "InvalidRequest"},
		{"GET", "/box/k", "", []string{"Range: bytes=0-3"}, 206, ""},
		{"GET", "/box/k", "", []string{"Range: bytes=-3"}, 206, ""},
		{"GET", "/box/k", "", []string{"Range: bytes=10-"}, 416, "InvalidRange"},
		{"GET", "/box/k", "", []string{"Range: bytes=-0"}, 416, "InvalidRange"},
		{"GET", "/box/k", "", []string{"Range: bytes=5-2"}, 200, ""},
		{"GET", "/box/k", "", []string{"Range: bytes=0-1,3-4"}, 200, ""},
		{"GET", "/box/k", "", []string{"Range: octets=0-1"}, 200, ""},
		{"GET", "/box/k", "", []string{`If-Match: "x"`}, 412, "PreconditionFailed"},
		{"GET", "/box/k", "", []string{`If-None-Match: "x", *`}, 304, ""},
		{
			"GET", "/box/k", "",
			[]string{"If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT"},
			412,
			"PreconditionFailed",
		},
		{"GET", "/box/k", "", []string{"If-Modified-Since: Mon, 02 Jan 2096 15:04:05 GMT"}, 304, ""},
		{"GET", "/box/k", "", []string{"If-Modified-Since: yesterday"}, 200, ""},
		{"GET", "/box/" + strings.Repeat("k", 1025), "", nil, 400, "KeyTooLongError"},
		{"GET", "/box/%ff", "", nil, 400, "InvalidURI"},
		{"GET", "/box?max-keys=x", "", nil, 400, "InvalidArgument"},
		{"GET", "/box?max-keys=-1", "", nil, 400, "InvalidArgument"},
		{"GET", "/box?encoding-type=gzip", "", nil, 400, "InvalidArgument"},
		{"GET", "/box?list-type=2&continuation-token=x", "", nil, 400, "InvalidArgument"},
		{"GET", "/box?versions&version-id-marker=x", "", nil, 400, "InvalidArgument"},
		{"PUT", "/box/k", "x", []string{"Content-MD5: x"}, 400, "InvalidDigest"},
		{"PUT", "/box/k", "y", []string{"Content-MD5: " + md5Of("x")}, 400, "BadDigest"},
		{
			"PUT", "/box/k", "x",
			[]string{"X-Amz-Content-Sha256: " + strings.Repeat("0", 64)},
			400,
			"XAmzContentSHA256Mismatch",
		},
		{"PUT", "/box/k", "x", []string{"X-Amz-Content-Sha256: nonsense"}, 400, "InvalidArgument"},
		{"PUT", "/box/k", "x", []string{"X-Amz-Checksum-Crc32: AAAAAA=="}, 400, "BadDigest"},
		{"PUT", "/box/k", "x", []string{"X-Amz-Checksum-Crc32: AAAA"}, 400, "InvalidRequest"},
		{"PUT", "/box/k", "x", []string{"X-Amz-Checksum-Xyz: AAAA"}, 400, "InvalidRequest"},
		{"PUT", "/box/k", "x", []string{"X-Amz-Sdk-Checksum-Algorithm: CRC32"}, 400, "InvalidRequest"},
		{"PUT", "/box/k", "x", []string{"X-Amz-Meta-A: " + strings.Repeat("a", 2048)}, 400, "MetadataTooLarge"},
		{"PUT", "/box/k", "x", []string{"X-Amz-Tagging: a=1&a=2"}, 400, "InvalidArgument"},
		{"PUT", "/box/k", "x", []string{"X-Amz-Storage-Class: NONE"}, 400, "InvalidStorageClass"},
		{"PUT", "/box/k", "x", []string{"X-Amz-Server-Side-Encryption: rot13"}, 400, "InvalidArgument"},
		{
			"PUT", "/box/k", "x",
			[]string{"X-Amz-Server-Side-Encryption-Customer-Algorithm: AES256"},
			400,
			"InvalidArgument",
		},
		{"PUT", "/box/k", "x", []string{"X-Amz-Copy-Source: nothing"}, 400, "InvalidArgument"},
		{
			"PUT", "/box/k", "x",
			[]string{"X-Amz-Copy-Source: box/k", "X-Amz-Metadata-Directive: MOVE"},
			400,
			"InvalidArgument",
		},
		{"PUT", "/box/k", "x", []string{"X-Amz-Expected-Bucket-Owner: other"}, 403, "AccessDenied"},
		{"PUT", "/box/k?partNumber=1&uploadId=x", "x", nil, 404, "NoSuchUpload"},
		{"PUT", "/box/k?partNumber=10001&uploadId=x", "x", nil, 400, "InvalidArgument"},
		{
			"POST", "/box/k?uploadId=" + strings.Repeat("0", 32),
			"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
			nil, 404, "NoSuchUpload",
		},
		{"POST", "/box/k?uploadId=" + strings.Repeat("0", 32), "", nil, 400, "MalformedXML"},
		{"DELETE", "/box/k?uploadId=" + strings.Repeat("0", 32), "", nil, 404, "NoSuchUpload"},
		{"GET", "/box/k?uploadId=" + strings.Repeat("0", 32), "", nil, 404, "NoSuchUpload"},
		// no digest but the signature's
		{"POST", "/box?delete", "<Delete><Object><Key>k</Key></Object></Delete>", nil, 400, "InvalidRequest"},
		{"POST", "/box?delete", "<Delete/>", []string{"Content-MD5: " + md5Of("<Delete/>")}, 400, "MalformedXML"},
		{"POST", "/box?delete", "not xml", []string{"Content-MD5: " + md5Of("not xml")}, 400, "MalformedXML"},
		{"POST", "/box", "x", nil, 412, "PreconditionFailed"},
		{"PATCH", "/box/k", "x", nil, 405, "MethodNotAllowed"},
		{"POST", "/box/k", "x", nil, 405, "MethodNotAllowed"},
		{"DELETE", "/", "", nil, 405, "MethodNotAllowed"},
		{"GET", "/box/k?attributes", "", nil, 400, "InvalidRequest"},
		{"GET", "/box/k?attributes", "", []string{"X-Amz-Object-Attributes: Color"}, 400, "InvalidArgument"},
		{"PUT", "/box?versioning", "<VersioningConfiguration/>", nil, 400, "IllegalVersioningConfigurationException"},
		{"PUT", "/box?versioning", "", nil, 400, "MissingRequestBodyError"},
		{"PUT", "/box?acl", "", []string{"X-Amz-Acl: public-read"}, 400, "AccessControlListNotSupported"},
		{"PUT", "/box?publicAccessBlock", "<a><b></a>", nil, 400, "MalformedXML"},
		{"PUT", "/b", "", nil, 400, "InvalidBucketName"},
	} {
		a := s.raw(t, c.method, c.target, []byte(c.body), c.headers...)
		if a.status != c.status || a.code() != c.code {
			t.Errorf("%s %.60s %v: %d %s, want %d %s\n%s", c.method, c.target, c.headers, a.status, a.code(), c.status,
				c.code, a.body)
		}
		if a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: 405 without Allow (RFC 9110 15.5.6)", c.method, c.target)
		}
		if a.header.Get("X-Amz-Request-Id") == "" {
			t.Errorf("%s %s: no request id", c.method, c.target)
		}
	}
	if a := s.raw(t, "GET", "/box/k", nil); a.body != "0123456789" {
		t.Fatalf("what was refused changed the object: %q", a.body)
	}
	if a := s.raw(t, "HEAD", "/box/none", nil); a.status != 404 || a.body != "" {
		t.Fatal(a)
	}
}

func md5Of(text string) string {
	sum := md5.Sum([]byte(text))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func TestKeysAreNeverNormalised(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	for _, path := range []string{
		"/box//", "/box//a", "/box/a//b", "/box/./a", "/box/../a", "/box/a/..", "/box/..", "/box/a%2Fb", "/box/a+b",
		"/box/a%20b", "/box/%C3%BC",
		"/box/" + strings.Repeat("k", 1024), "/box/%25", "/box/%00x", "/box/a?versionId=null", "/box/%F0%9F%98%80",
		"/box/a%0Ab", "/box/'()*!~",
	} {
		target := path
		if strings.Contains(path, "versionId") {
			target = "/box/a%3FversionId=null"
		}
		if a := s.raw(t, "PUT", target, []byte(path)); a.status != 200 {
			t.Errorf("PUT %s: %d %s", target, a.status, a.body)
		}
		if a := s.raw(t, "GET", target, nil); a.body != path {
			t.Errorf("GET %s: %d %s", target, a.status, a.body)
		}
	}
	list := s.raw(t, "GET", "/box?encoding-type=url", nil).body
	for _, want := range []string{
		"<Key>/</Key>", "<Key>/a</Key>", "<Key>a//b</Key>", "<Key>./a</Key>",
		"<Key>../a</Key>", "<Key>a/..</Key>", "<Key>..</Key>", "<Key>a/b</Key>", "<Key>a%2Bb</Key>", "<Key>a+b</Key>",
		"<Key>%00x</Key>",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("no %s in %s", want, list)
		}
	}
}

func TestVirtualHostStyle(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	for _, host := range []string{"box.s3.test", "BOX.S3.test:9000", "box.s3.test."} {
		r := ok(http.NewRequest(http.MethodPut, s.URL+"/box/k", strings.NewReader("x")))(t)
		r.Host = host
		s.sign(t, r, []byte("x"))
		if a := s.do(t, r); a.status != 200 {
			t.Fatalf("%s: %+v", host, a)
		}
	}
	if a := s.raw(t, "GET", "/box/box/k", nil); a.body != "x" {
		t.Fatalf("%+v", a)
	}
}

func TestPresignedURLs(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", &storagev1.BucketSpec{RequestLog: true})
	p := awss3.NewPresignClient(s.client("AKACME"))
	putURL := ok(p.PresignPutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("box"), Key: aws.String("k"),
		Metadata: map[string]string{"a": "b"}, Tagging: aws.String("t=1"),
	}))(t)
	r := ok(http.NewRequest(http.MethodPut, putURL.URL, strings.NewReader("hello")))(t)
	for name, v := range putURL.SignedHeader {
		r.Header[name] = v
	}
	if a := s.do(t, r); a.status != 200 {
		t.Fatalf("%+v", a)
	}
	getURL := ok(p.PresignGetObject(t.Context(), &awss3.GetObjectInput{
		Bucket: aws.String("box"), Key: aws.String("k"),
		ResponseContentType: aws.String("text/plain"),
	}))(t)
	a := s.do(t, ok(http.NewRequest(http.MethodGet, getURL.URL, nil))(t))
	if a.body != "hello" || a.header.Get("Content-Type") != "text/plain" || a.header.Get("X-Amz-Meta-A") != "b" ||
		a.header.Get("X-Amz-Tagging-Count") != "1" {
		t.Fatalf("%+v", a)
	}
	if a := s.do(t, ok(http.NewRequest(http.MethodGet, getURL.URL+"1", nil))(t)); a.code() != "SignatureDoesNotMatch" {
		t.Fatalf("%+v", a)
	}
	s.clock.set(time.Now().Add(16 * time.Minute))
	if a := s.do(t, ok(http.NewRequest(http.MethodGet, getURL.URL, nil))(t)); a.status != 403 ||
		!strings.Contains(a.body, "expired") {
		t.Fatalf("%+v", a)
	}
	s.h.Close() // all lines are out
	s.logs.Lock()
	defer s.logs.Unlock()
	if len(s.logs.lines) != 4 {
		t.Fatalf("%d lines", len(s.logs.lines))
	}
	for _, l := range s.logs.lines {
		if !strings.Contains(l, "X-Amz-Signature=REDACTED") || !strings.Contains(l, `"bucket":"box"`) {
			t.Error(l)
		}
	}
}

func TestBrowsersPost(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	now := s.clock.Now().UTC()
	day, date := now.Format("20060102"), now.Format("20060102T150405Z")
	credential := "AKACME/" + day + "/" + testRegion + "/s3/aws4_request"
	policy := base64.StdEncoding.EncodeToString(fmt.Appendf(nil,
		`{"expiration":%q,"conditions":[{"bucket":"box"},["starts-with","$key","up/"],{"x-amz-credential":%q},{"x-amz-algorithm":"AWS4-HMAC-SHA256"},{"x-amz-date":%q},["content-length-range",1,10],["starts-with","$success_action_status",""],["starts-with","$x-amz-meta-a",""],["starts-with","$Content-Type",""]]}`,
		now.Add(time.Hour).Format(time.RFC3339), credential, date))
	key := sigv4.Derive(secretOf("AKACME"), sigv4.Day(now), testRegion)
	// What the form's sender adds by headers is in no policy, and must not count.
	unasked := map[string]string{
		"X-Amz-Meta-Added": "x", "X-Amz-Tagging": "t=1", "Cache-Control": "max-age=9",
		"X-Amz-Website-Redirect-Location": "/x",
	}
	more := "" // after the file
	send := func(file string, change func(map[string]string)) answer {
		fields := map[string]string{
			"key": "up/${filename}", "policy": policy, "x-amz-credential": credential,
			"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-date": date,
			"x-amz-signature": sigv4.Hex(sigv4.MAC(key[:], policy)), "success_action_status": "201",
			"x-amz-meta-a": "b", "Content-Type": "text/x",
		}
		change(fields)
		var b strings.Builder
		for name, value := range fields {
			fmt.Fprintf(&b, "--bound\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, value)
		}
		fmt.Fprintf(&b, "--bound\r\nContent-Disposition: form-data; name=\"file\"; "+
			"filename=\"f.txt\"\r\nContent-Type: text/plain\r\n\r\n%s\r\n%s--bound--\r\n", file, more)
		r := ok(http.NewRequest(http.MethodPost, s.URL+"/box", strings.NewReader(b.String())))(t)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=bound")
		for name, value := range unasked {
			r.Header.Set(name, value)
		}
		return s.do(t, r)
	}
	keep := func(map[string]string) {}
	if a := send("hello", keep); a.status != 201 || !strings.Contains(a.body, "<Key>up/f.txt</Key>") {
		t.Fatalf("%+v", a)
	}
	if a := s.raw(t, "GET", "/box/up/f.txt", nil); a.body != "hello" || a.header.Get("Content-Type") != "text/x" ||
		a.header.Get("X-Amz-Meta-A") != "b" {
		t.Fatalf("%+v", a)
	} else if h := a.header; h.Get("X-Amz-Meta-Added")+h.Get("X-Amz-Tagging-Count")+h.Get("Cache-Control")+
		h.Get("X-Amz-Website-Redirect-Location") != "" {
		t.Fatalf("headers of the request count: %+v", h)
	}
	if a := send("longer than ten", keep); a.code() != "EntityTooLarge" {
		t.Fatalf("%+v", a)
	}
	if a := send("", keep); a.code() != "EntityTooSmall" {
		t.Fatalf("%+v", a)
	}
	if a := send("x", func(f map[string]string) { f["key"] = "elsewhere" }); a.status != 403 {
		t.Fatalf("%+v", a)
	}
	if a := send("x", func(f map[string]string) {
		f["x-amz-signature"] = strings.Repeat("0", 64)
	}); a.code() != "SignatureDoesNotMatch" {
		t.Fatalf("%+v", a)
	}
	if a := send("x", func(f map[string]string) { clear(f); f["key"] = "up/x" }); a.code() != "AccessDenied" {
		t.Fatalf("%+v", a)
	}
	if a := send("x", func(f map[string]string) { delete(f, "success_action_status") }); a.status != 204 {
		t.Fatalf("%+v", a)
	}
	if a := send("x", func(f map[string]string) {
		f["key"] = "up/a b"
	}); !strings.HasSuffix(a.header.Get("Location"), "/box/up/a%20b") ||
		!strings.Contains(a.body, "/box/up/a%20b</Location>") {
		t.Fatalf("%+v", a)
	}
	if a := send("x", func(f map[string]string) {
		f["x-amz-meta-a"] = "ü"
	}); a.status != 201 || s.raw(t, "GET", "/box/up/f.txt", nil).header.Get("X-Amz-Meta-A") != "=?UTF-8?b?w7w=?=" {
		t.Fatalf("%+v", a)
	}
	const field, second = "--bound\r\nContent-Disposition: form-data; name=\"submit\"\r\n\r\ngo\r\n",
		"--bound\r\nContent-Disposition: form-data; name=\"file\"; filename=\"g\"\r\n\r\nx\r\n"
	if more = field; send("after", keep).status != 201 || s.raw(t, "GET", "/box/up/f.txt", nil).body != "after" {
		t.Fatal("a field after the file does not count")
	}
	more = field + second
	if a := send("two", keep); a.status != 400 || a.code() != "InvalidArgument" || s.raw(t, "GET", "/box/up/f.txt",
		nil).body != "after" {
		t.Fatalf("two files: %+v", a)
	}
}

func TestClientsThatStallOrLie(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.Stall = 2 * time.Second })
	s.bucket(t, "box", nil)
	signed := func(method, target string, length string, headers ...string) string {
		r := ok(http.NewRequest(method, s.URL+target, nil))(t)
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		s.sign(t, r, nil)
		var b strings.Builder
		fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, r.URL.Host)
		_ = r.Header.Write(&b)
		if length != "" {
			fmt.Fprintf(&b, "%s\r\n", length)
		}
		return b.String() + "\r\n"
	}
	read := func(request string, close bool) answer {
		t.Helper()
		c := s.dial(t)
		ok(io.WriteString(c, request))(t)
		if close {
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
		}
		resp := ok(http.ReadResponse(bufio.NewReader(c), nil))(t)
		b, _ := io.ReadAll(resp.Body)
		return answer{resp.StatusCode, resp.Header, string(b)}
	}
	if a := read(signed("PUT", "/box/k", "Content-Length: 10")+"12345", false); a.code() != "RequestTimeout" {
		t.Errorf("a client that stalls: %+v", a)
	}
	if a := read(signed("PUT", "/box/k", "Content-Length: 10")+"12345", true); a.code() != "IncompleteBody" {
		t.Errorf("a client that ends early: %+v", a)
	}
	if a := read(signed("PUT", "/box/k", "Transfer-Encoding: chunked")+"5\r\n12345\r\n0\r\n\r\n",
		false); a.code() != "MissingContentLength" {
		t.Errorf("no length: %+v", a)
	}
	if a := read(signed("PUT", "/box/k", "Content-Length: 5368709121"), false); a.code() != "EntityTooLarge" {
		t.Errorf("too large: %+v", a)
	}
	trailer := []string{
		"X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
		"X-Amz-Trailer: x-amz-checksum-crc32", "X-Amz-Decoded-Content-Length: 5", "Content-Encoding: aws-chunked",
	}
	body := "5\r\n12345\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
	if a := read(signed("PUT", "/box/k", fmt.Sprint("Content-Length: ", len(body)), trailer...)+body,
		false); a.code() != "BadDigest" {
		t.Errorf("a trailer that lies: %+v", a)
	}
	trailer[2] = "X-Amz-Decoded-Content-Length: 6"
	if a := read(signed("PUT", "/box/k", fmt.Sprint("Content-Length: ", len(body)), trailer...)+body,
		false); a.code() != "IncompleteBody" {
		t.Errorf("a decoded length that lies: %+v", a)
	}
	huge := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 100_000)
	if a := read(signed("POST", "/box?delete", "Content-Length: 104857600", "X-Amz-Checksum-Crc32: AAAAAA==")+huge,
		false); a.code() != "MaxMessageLengthExceeded" {
		t.Errorf("100 MB of XML: %+v", a)
	}
	if a := s.raw(t, "GET", "/box?versions", nil); strings.Contains(a.body, "<Version>") {
		t.Errorf("something was kept: %s", a.body)
	}
	space := ok(s.store.At(s.h.View().buckets.root.value.Placement))(t)
	if u := ok(space.Usage())(t); u.Bytes != 0 || u.Rows != 0 || u.Others != 0 {
		t.Errorf("something was kept: %+v", u)
	}
}

func TestTooManyAtOnceAreToldToSlowDown(t *testing.T) {
	s := newServer(t, func(c *Config) { c.Limits.InFlight = 1 })
	s.bucket(t, "box", nil)
	s.h.slots.take(holder{}, 1)
	if a := s.raw(t, "GET", "/box", nil); a.status != 503 || a.code() != "SlowDown" {
		t.Fatalf("%+v", a)
	}
	s.h.slots.give(holder{}, 1)
	if a := s.raw(t, "GET", "/box", nil); a.status != 200 {
		t.Fatalf("%+v", a)
	}
}
