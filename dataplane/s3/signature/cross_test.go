package signature

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/minio/minio-go/v7/pkg/signer"

	"github.com/dark-ecosystem/dark/internal/sigv4"
)

const rounds = 4000

// source of odd requests; the seed is printed with each failure.
type source struct{ *rand.Rand }

func newSource(t *testing.T) source {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return source{rand.New(rand.NewPCG(seed, 1))}
}

var oddPieces = []string{
	"a", "Z", "0", "-", "_", ".", "~", "/", "//", "..", "/../", "/./", " ", "  ", "+", "%", "%2F", "%zz", "é", "日本",
	"\u00ff", "!", "'", "(", ")", "*", "&", "=", "&a=b", ";", ":", "@", "$", ",", "\"", "<", ">", "[", "]", "{", "}",
	"|", "^", "`", "\\", "#", "?", "\x01",
}

func (s source) odd(most int) string {
	var b strings.Builder
	for range s.IntN(most + 1) {
		b.WriteString(oddPieces[s.IntN(len(oddPieces))])
	}
	return b.String()
}

// encodeAll encodes as SDKs do for S3.
func encodeAll(text string, keep byte) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if unreserved[c] || c == keep && keep != 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func (s source) request(t *testing.T) *http.Request {
	host := []string{"s3.example.com", "bucket.s3.example.com:9000", "127.0.0.1:8080", "[::1]:9000"}[s.IntN(4)]
	target := "http://" + host + "/" + encodeAll(s.odd(12), '/')
	var query []string
	for i := range s.IntN(5) {
		name := fmt.Sprintf("%c%s", 'a'+s.IntN(26), []string{"", "-marker", "_x", ".y", "Z"}[i])
		switch s.IntN(3) {
		case 0:
			query = append(query, name+"=")
		default:
			query = append(query, name+"="+encodeAll(s.odd(6), 0))
		}
	}
	if len(query) > 0 {
		target += "?" + strings.Join(query, "&")
	}
	r, err := http.NewRequest([]string{"GET", "HEAD", "DELETE", "PUT", "POST"}[s.IntN(5)], target, nil)
	if err != nil {
		t.Fatalf("%q: %v", target, err)
	}
	r.Header.Set("X-Amz-Content-Sha256", []string{
		"UNSIGNED-PAYLOAD", emptySHA256,
		"STREAMING-UNSIGNED-PAYLOAD-TRAILER",
	}[s.IntN(3)])
	for i := range s.IntN(4) {
		r.Header.Set(fmt.Sprintf("X-Amz-Meta-%c%d", 'a'+s.IntN(26), i), s.headerValue())
	}
	if s.IntN(3) == 0 {
		r.Header.Set("Range", "bytes=0-1")
		r.Header.Set("Content-Type", "text/plain;  charset=utf-8")
	}
	if s.IntN(4) == 0 {
		r.Header["X-Amz-Meta-Twice"] = []string{"b", "a  c"}
	}
	return r
}

func (s source) headerValue() string {
	value := s.odd(6)
	return strings.Trim(strings.Map(func(c rune) rune {
		if c < ' ' {
			return -1
		}
		return c
	}, value), " ")
}

// overTheWire writes the request and reads it as a server does.
func overTheWire(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func sdkSigner() *v4.Signer {
	return v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
}

var sdkCredentials = aws.Credentials{AccessKeyID: exampleID, SecretAccessKey: exampleSecret}

// TestAgreesWithTheSDK: what aws-sdk-go-v2 signs is verified, loosely encoded or not, and
// refused after any change.
func TestAgreesWithTheSDK(t *testing.T) {
	s, v := newSource(t), example("eu-1", "us-east-1")
	for range rounds {
		r := s.request(t)
		region := []string{"eu-1", "us-east-1"}[s.IntN(2)]
		hash := r.Header.Get("X-Amz-Content-Sha256")
		if err := sdkSigner().SignHTTP(context.Background(), sdkCredentials, r, hash, "s3", region,
			exampleTime); err != nil {
			t.Fatal(err)
		}
		got := overTheWire(t, r)
		res, err := v.Verify(got, exampleTime)
		if err != nil {
			t.Fatalf("%s %s: %s", r.Method, got.RequestURI, detailed(err))
		}
		checkProof(t, v, got, res)
		retarget(got, s.loosen(got.RequestURI))
		if _, err := v.Verify(got, exampleTime); err != nil {
			t.Fatalf("loosened %s: %s", got.RequestURI, detailed(err))
		}
		s.refusesChanges(t, v, got)
	}
}

// loosen encodes the path otherwise: small digits, and letters that need no encoding.
func (s source) loosen(uri string) string {
	path, query, has := strings.Cut(uri, "?")
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '%':
			b.WriteString(strings.ToLower(path[i : i+3]))
			i += 2
		case i > 0 && s.IntN(4) == 0:
			fmt.Fprintf(&b, "%%%02x", c)
		default:
			b.WriteByte(c)
		}
	}
	if has {
		return b.String() + "?" + query
	}
	return b.String()
}

// retarget gives a request another request line.
func retarget(r *http.Request, uri string) {
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		panic(err)
	}
	r.RequestURI, r.URL = uri, u
}

func checkProof(t *testing.T, v *Verifier, r *http.Request, res Result) {
	t.Helper()
	p, err := v.Prove(r, res, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.Token()
	if err != nil {
		t.Fatal(err)
	}
	proven, err := sigv4.ReadToken(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := proven.Verify(exampleSecret, []string{"eu-1", "us-east-1"}, exampleTime); err != nil {
		t.Fatal(err)
	}
	p.CanonicalRequest = []byte(strings.Replace(string(p.CanonicalRequest), "\n", "\n/other", 1))
	if other, err := p.Open(); err == nil && other.Verify(exampleSecret, []string{"eu-1", "us-east-1"},
		exampleTime) == nil {
		t.Fatal("a changed proof was taken")
	}
}

// refusesChanges makes one change after the other to a good request.
func (s source) refusesChanges(t *testing.T, v *Verifier, good *http.Request) {
	t.Helper()
	for what, change := range map[string]func(*http.Request){
		"method":        func(r *http.Request) { r.Method = "PATCH" },
		"path":          func(r *http.Request) { retarget(r, "/x"+r.RequestURI) },
		"host":          func(r *http.Request) { r.Host = "x" + r.Host },
		"query":         func(r *http.Request) { r.URL.RawQuery += "&acl" },
		"date":          func(r *http.Request) { r.Header.Set("X-Amz-Date", "20130524T000001Z") },
		"hash":          func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) },
		"new header":    func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") },
		"header twice":  func(r *http.Request) { r.Header.Add("X-Amz-Date", r.Header.Get("X-Amz-Date")) },
		"other secret":  func(r *http.Request) { replace(r, "Credential="+exampleID, "Credential=AKIAOTHER") },
		"region":        func(r *http.Request) { replace(r, "/us-east-1/", "/eu-1/", "/eu-1/", "/us-east-1/") },
		"day":           func(r *http.Request) { replace(r, "/20130524/", "/20130523/") },
		"signature":     func(r *http.Request) { flipSignature(r) },
		"fewer headers": func(r *http.Request) { replace(r, "host;", "") },
	} {
		r := good.Clone(context.Background())
		change(r)
		if _, err := v.Verify(r, exampleTime); err == nil {
			t.Fatalf("%s was changed and taken: %s %s", what, r.Method, r.RequestURI)
		}
	}
}

func replace(r *http.Request, pairs ...string) {
	r.Header.Set("Authorization", strings.NewReplacer(pairs...).Replace(r.Header.Get("Authorization")))
}

func flipSignature(r *http.Request) {
	text := []byte(r.Header.Get("Authorization"))
	last := &text[len(text)-1]
	if *last = *last ^ 1; *last == '`' || *last == 'g' || *last < '0' {
		*last = '2'
	}
	r.Header.Set("Authorization", string(text))
}

// TestAgreesWithTheSDKPresigned: presigned URLs, with hoisted headers and signed ones.
func TestAgreesWithTheSDKPresigned(t *testing.T) {
	s, v := newSource(t), example("eu-1")
	for range rounds {
		r := s.request(t)
		r.Header.Del("X-Amz-Content-Sha256")
		q := r.URL.Query()
		expires := 1 + s.IntN(MaxExpires)
		q.Set("X-Amz-Expires", fmt.Sprint(expires))
		r.URL.RawQuery = q.Encode()
		signed, headers, err := sdkSigner().PresignHTTP(context.Background(), sdkCredentials, r, "UNSIGNED-PAYLOAD",
			"s3", "eu-1", exampleTime)
		if err != nil {
			t.Fatal(err)
		}
		made, err := http.NewRequest(r.Method, signed, nil)
		if err != nil {
			t.Fatal(err)
		}
		made.Header = headers
		got := overTheWire(t, made)
		late := exampleTime.Add(time.Duration(expires) * time.Second)
		res, err := v.Verify(got, late)
		if err != nil {
			t.Fatalf("%s: %s", signed, detailed(err))
		}
		if res.Method != Query || res.Payload != Unsigned {
			t.Fatalf("%+v", res)
		}
		if _, err := v.Verify(got, late.Add(time.Second)); err == nil || !strings.Contains(err.Error(),
			"Request has expired") {
			t.Fatalf("a second late: %v", err)
		}
		for _, change := range []string{"&x=", "&X-Amz-Expires=1", "&X-Amz-Signature=0"} {
			bad := got.Clone(context.Background())
			bad.URL.RawQuery += change
			if _, err := v.Verify(bad, exampleTime); err == nil {
				t.Fatalf("%s was added and taken", change)
			}
		}
	}
}

// TestAgreesWithMinio: minio-go's signer, in headers and presigned, whose clock is the
// machine's.
func TestAgreesWithMinio(t *testing.T) {
	s, v := newSource(t), example("eu-1")
	for range rounds {
		r := s.request(t)
		// It encodes the path itself and gives the query to net/url.
		r.URL.RawQuery = r.URL.Query().Encode()
		r.URL.RawPath = encodeAll(r.URL.Path, '/')
		var signed *http.Request
		if s.IntN(2) == 0 {
			signed = signer.SignV4(*r, exampleID, exampleSecret, "", "eu-1")
		} else {
			r.Header = http.Header{}
			signed = signer.PreSignV4(*r, exampleID, exampleSecret, "", "eu-1", 3600)
		}
		got := overTheWire(t, signed)
		if _, err := v.Verify(got, time.Now()); err != nil {
			t.Fatalf("%s %s: %s", got.Method, got.RequestURI, detailed(err))
		}
	}
}

// TestFormsOfMinio: the signature of a policy.
func TestFormsOfMinio(t *testing.T) {
	f := exampleForm()
	f.Expand("me.jpg")
	policy, _ := f.Get("policy")
	if sig := signer.PostPresignSignatureV4(policy, exampleFormTime, exampleSecret,
		"us-east-1"); sig != exampleFormSignature {
		t.Error(sig)
	}
}

// TestQueryAsAmazonReadsIt: plus is a space, an empty value has its "=", and repeated names
// are sorted by value.
func TestQueryAsAmazonReadsIt(t *testing.T) {
	for raw, want := range map[string]string{
		"":                               "",
		"acl":                            "acl=",
		"acl&&":                          "acl=",
		"prefix=a+b":                     "prefix=a%20b",
		"prefix=a%2bb":                   "prefix=a%2Bb",
		"b=2&a=1&b=1":                    "a=1&b=1&b=2",
		"k=a-b&k=a/b":                    "k=a%2Fb&k=a-b",
		"a=1&%C3%A9=2":                   "%C3%A9=2&a=1",
		"=v":                             "=v",
		"x=1;y=2":                        "x=1%3By%3D2",
		"uploads=&list-type=2":           "list-type=2&uploads=",
		url.Values{"é": {"~ "}}.Encode(): "%C3%A9=~%20",
	} {
		s := new(scratch)
		if err := s.parseQuery(raw); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		if got := string(s.appendQuery(nil)); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
	for _, raw := range []string{"a=%", "a=%2", "%zz", "a=%G0"} {
		if new(scratch).parseQuery(raw) == nil {
			t.Errorf("%q was taken", raw)
		}
	}
}
