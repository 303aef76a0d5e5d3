package signature

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzAuthorization: any header is refused or names a credential that can be read again.
func FuzzAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, " +
		"Signature=00")
	f.Add("AWS4-HMAC-SHA256 Credential=A/B/20130524/r/s3/aws4_request,SignedHeaders=host,Signature==")
	f.Add("AWS AKID:sig")
	f.Add("AWS4-HMAC-SHA256 ,,,")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseAuthorization(text)
		if err == nil {
			k := c.credential
			if strings.Join([]string{k.accessKeyID, k.date, k.region, k.service, k.terminal}, "/") != k.accessKeyID+"/"+
				k.scope {
				t.Fatalf("%+v", k)
			}
			if _, err := new(scratch).sortSigned(c.signed); err == nil && strings.ToLower(c.signed) != c.signed {
				t.Fatalf("names %q", c.signed)
			}
		}
		r := signed()
		good := r.Header.Get("Authorization")
		r.Header["Authorization"] = []string{text}
		if _, err := example().Verify(r, exampleTime); err == nil && c.signature != good[len(good)-64:] {
			t.Fatalf("%q was taken for %q", text, good)
		}
	})
}

// FuzzQuery: encoding is stable, agrees with net/url on what it reads, and no query but the
// good one is taken.
func FuzzQuery(f *testing.F) {
	f.Add(goodQuery)
	f.Add("a=b&a=+&%41=%2f&=&&c")
	f.Add("X-Amz-Signature=%")
	f.Add("AWSAccessKeyId=a&Signature=b;c")
	f.Fuzz(func(t *testing.T, raw string) {
		s := new(scratch)
		if s.parseQuery(raw) != nil {
			return
		}
		once := s.appendQuery(nil)
		if s.parseQuery(string(once)) == nil {
			if again := s.appendQuery(nil); !bytes.Equal(once, again) {
				t.Fatalf("%q, then %q", once, again)
			}
		}
		if want, err := url.ParseQuery(raw); err == nil && !want.Has("X-Amz-Signature") {
			got, err := url.ParseQuery(string(once))
			if err != nil || got.Encode() != sortedValues(want).Encode() {
				t.Fatalf("%q: %q, want %q", raw, got.Encode(), want.Encode())
			}
		}
		r := presigned("")
		r.URL.RawQuery = raw
		res, err := example().Verify(r, exampleTime)
		if err == nil && res.Method == Query && !sameQuery(raw) {
			t.Fatalf("%q was taken", raw)
		}
	})
}

// sortedValues are as the canonical query orders them, by their encoding.
func sortedValues(v url.Values) url.Values {
	s := new(scratch)
	if s.parseQuery(v.Encode()) != nil {
		return v
	}
	out, err := url.ParseQuery(string(s.appendQuery(nil)))
	if err != nil {
		return v
	}
	return out
}

func sameQuery(raw string) bool {
	a, b := new(scratch), new(scratch)
	return a.parseQuery(raw) == nil && b.parseQuery(goodQuery) == nil &&
		a.auth[paramSignature] == b.auth[paramSignature] && bytes.Equal(a.appendQuery(nil), b.appendQuery(nil))
}

// FuzzTarget: the path as it is signed decodes to what the request line's does, and a path
// without escapes is signed as it stands, encoded.
func FuzzTarget(f *testing.F) {
	f.Add("/a/b")
	f.Add("/a%2fb//../%C3%A9+?x=/")
	f.Add("http://host/a")
	f.Fuzz(func(t *testing.T, uri string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + uri + " HTTP/1.1\r\nHost: h\r\n\r\n")))
		if err != nil {
			return
		}
		got := appendPath(nil, r.URL.Path)
		if back, err := url.PathUnescape(string(got)); err != nil || back != r.URL.Path {
			t.Fatalf("%q: %q, want %q: %v", uri, back, r.URL.Path, err)
		}
		if path, _, _ := strings.Cut(r.RequestURI, "?"); strings.HasPrefix(path, "/") {
			raw, err := url.PathUnescape(path)
			if err != nil || raw != r.URL.Path {
				t.Fatalf("%q: net/url has %q for %q", uri, r.URL.Path, raw)
			}
		}
	})
}

// FuzzPolicy: what is parsed has bounds in order, and its conditions read back.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte(exampleCondition))
	f.Add([]byte(policyOf(`,["content-length-range",1,"10"]`)))
	f.Add([]byte(`{"expiration":"2013-05-25T00:00:00Z","conditions":[{},[],null,["eq"],{"a":"b","a":"c"}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := ParsePolicy(encodePolicy(string(doc)))
		if err != nil {
			return
		}
		if p.MinLength < 0 || len(p.Conditions) > len(doc) {
			t.Fatalf("%+v", p)
		}
		for _, c := range p.Conditions {
			if c.Field != strings.ToLower(c.Field) || c.String() == "" || !c.holds(c.Value) &&
				c.Field != "content-type" {
				t.Fatalf("%+v", c)
			}
		}
		_ = p.check(exampleForm(), "b", exampleTime)
	})
}

// FuzzRequest: no header value breaks the canonical request into other lines.
func FuzzRequest(f *testing.F) {
	f.Add("x-amz-meta-a", "  a   b ")
	f.Add("host", "x")
	f.Fuzz(func(t *testing.T, name, value string) {
		if !lowerToken(name) || strings.ContainsAny(value, "\r\n") {
			return
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set(name, value)
		folded := string(appendHeader(nil, r, name))
		if strings.Contains(folded, "  ") || strings.HasPrefix(folded, " ") || strings.HasSuffix(folded, " ") {
			t.Fatalf("%q", folded)
		}
	})
}
