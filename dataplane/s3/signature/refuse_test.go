package signature

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/sigv4"
)

func encodePolicy(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// sign signs a request's headers as a client would, with the code under test; that this
// agrees with others is TestAgreesWithTheSDK's.
func sign(r *http.Request, names, date, scope string) {
	r.Header.Set("X-Amz-Date", date)
	if r.Header.Get("X-Amz-Content-Sha256") == "" {
		r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	}
	part := strings.Split(scope, "/")
	day, _ := time.Parse(isoDay, part[0])
	c := claim{signed: names, hash: r.Header.Get("X-Amz-Content-Sha256")}
	s := new(scratch)
	if err := s.parseQuery(r.URL.RawQuery); err != nil {
		panic(err)
	}
	canonical, err := s.canonicalRequest(&c, r)
	if err != nil {
		panic(err)
	}
	key := sigv4.Derive(exampleSecret, sigv4.Day(day), part[1])
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+exampleID+"/"+scope+", SignedHeaders="+names+
		", Signature="+string(s.sign(key[:], s.stringToSign(date, scope, canonical))))
}

const (
	usual = "host;x-amz-content-sha256;x-amz-date"
	today = "20130524/us-east-1/s3/aws4_request"
)

func signed() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://s3.example.com/bucket/key?versionId=1", nil)
	sign(r, usual, "20130524T000000Z", today)
	return r
}

func refused(t *testing.T, v *Verifier, r *http.Request, now time.Time, code string, texts ...string) {
	t.Helper()
	res, err := v.Verify(r, now)
	var e *Error
	if !errors.As(err, &e) || string(e.Code) != code {
		t.Errorf("want %s, got %v", code, err)
		return
	}
	if res.AccessKeyID != "" || !e.Code.Known() {
		t.Errorf("%+v %v", res, e.Code)
	}
	for _, text := range texts {
		if !strings.Contains(detailed(err), text) {
			t.Errorf("%q is not in %s", text, detailed(err))
		}
	}
}

// TestRefusesHeaders: each case breaks one thing of a good request.
func TestRefusesHeaders(t *testing.T) {
	if _, err := example().Verify(signed(), exampleTime); err != nil {
		t.Fatal(detailed(err))
	}
	with := func(name, value string) *http.Request {
		r := signed()
		r.Header.Set(name, value)
		return r
	}
	auth := func(old, new string) *http.Request {
		r := signed()
		replace(r, old, new)
		return r
	}
	without := func(name string) *http.Request {
		r := signed()
		r.Header.Del(name)
		return r
	}
	both := signed()
	both.URL.RawQuery = "X-Amz-Signature=00"
	hidden := signed()
	hidden.URL.RawQuery = "X%2DAmz-Algorithm=AWS4-HMAC-SHA256"
	twice := signed()
	twice.Header.Add("Authorization", twice.Header.Get("Authorization"))
	for name, c := range map[string]struct {
		r    *http.Request
		code string
		text string
	}{
		"SigV2": {
			with("Authorization", "AWS AKID:c2ln"), "InvalidRequest",
			"aws s3 presign --region us-east-1;",
		},
		"SigV4A": {
			auth("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), "NotImplemented",
			"AWS4-HMAC-SHA256",
		},
		"Basic": {
			with("Authorization", "Basic eDp5"), "InvalidArgument",
			"Unsupported Authorization Type",
		},
		"empty":        {with("Authorization", ""), "InvalidArgument", ""},
		"no parts":     {with("Authorization", "AWS4-HMAC-SHA256"), "AuthorizationHeaderMalformed", ""},
		"no signature": {auth("Signature=", "X="), "AuthorizationHeaderMalformed", ""},
		"part twice": {
			auth("SignedHeaders=", "SignedHeaders=a, SignedHeaders="),
			"AuthorizationHeaderMalformed", "SignedHeaders",
		},
		"no credential":     {auth("Credential=", "Cred="), "AuthorizationHeaderMalformed", ""},
		"short credential":  {auth("/s3/aws4_request", ""), "AuthorizationHeaderMalformed", "aws4_request"},
		"no access key":     {auth(exampleID, ""), "AuthorizationHeaderMalformed", "YOUR-AKID"},
		"names in capitals": {auth("host;", "Host;"), "AuthorizationHeaderMalformed", ""},
		"name twice":        {auth("host;", "host;host;"), "AuthorizationHeaderMalformed", "twice"},
		"wrong region": {
			auth("/us-east-1/", "/mars-1/"), "AuthorizationHeaderMalformed",
			"the region 'mars-1' is wrong; expecting 'us-east-1'",
		},
		"wrong service": {auth("/s3/", "/ec2/"), "AuthorizationHeaderMalformed", `incorrect service "ec2"`},
		"wrong terminal": {
			auth("aws4_request", "aws5_request"), "AuthorizationHeaderMalformed",
			"incorrect terminal",
		},
		"another day": {
			auth("/20130524/", "/20130523/"), "AuthorizationHeaderMalformed",
			"Invalid credential date",
		},
		"no day":      {auth("/20130524/", "/2013052x/"), "AuthorizationHeaderMalformed", ""},
		"unknown key": {auth(exampleID, "AKIAOTHER"), "InvalidAccessKeyId", "AWSAccessKeyId: AKIAOTHER"},
		"no date":     {without("X-Amz-Date"), "AccessDenied", "valid Date or x-amz-date"},
		"bad date":    {with("X-Amz-Date", "20130524T999999Z"), "AccessDenied", "valid Date"},
		"no hash":     {without("X-Amz-Content-Sha256"), "InvalidRequest", "x-amz-content-sha256"},
		"bad hash": {
			with("X-Amz-Content-Sha256", strings.Repeat("g", 64)), "InvalidArgument",
			"valid sha256 value",
		},
		"ECDSA chunks": {
			with("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"),
			"NotImplemented", "",
		},
		"session token":     {with("X-Amz-Security-Token", "abc"), "InvalidToken", ""},
		"header not signed": {with("X-Amz-Acl", "public-read"), "AccessDenied", "HeadersNotSigned: x-amz-acl"},
		"host not signed":   {auth("host;", ""), "AccessDenied", "HeadersNotSigned: host"},
		"signature of another": {
			auth("Signature=", "Signature=0"), "SignatureDoesNotMatch",
			"CanonicalRequest: GET\n/bucket/key\nversionId=1\nhost:s3.example.com\n",
		},
		"header and query":     {both, "InvalidArgument", "Only one auth mechanism allowed"},
		"header, hidden query": {hidden, "InvalidArgument", "Only one auth mechanism allowed"},
		"two Authorizations":   {twice, "InvalidArgument", ""},
		"path beyond reason":   {longPath(), "InvalidURI", ""},
		"query beyond reason":  {longQuery(), "InvalidURI", ""},
		"signature in capitals": {
			capitals(), "SignatureDoesNotMatch",
			"StringToSign: AWS4-HMAC-SHA256\n20130524T000000Z\n" + today,
		},
	} {
		t.Run(name, func(t *testing.T) { refused(t, example(), c.r, exampleTime, c.code, c.text) })
	}
}

// TestLargeRefusal: an answer does not grow with the request.
func TestLargeRefusal(t *testing.T) {
	r := signed()
	r.Header.Set("X-Amz-Meta-Large", strings.Repeat("a", 900<<10))
	replace(r, "x-amz-date", "x-amz-date;x-amz-meta-large")
	_, err := example().Verify(r, exampleTime)
	if n := len(detailed(err)); err == nil || n > 5*maxShown {
		t.Errorf("%d octets of %v", n, err)
	}
}

func longPath() *http.Request {
	r := signed()
	r.URL.Path = "/" + strings.Repeat("a", MaxPath)
	return r
}

func longQuery() *http.Request {
	r := signed()
	r.URL.RawQuery = strings.Repeat("a=&", maxParams+1)
	return r
}

func capitals() *http.Request {
	r := signed()
	head, sig, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	r.Header.Set("Authorization", head+"Signature="+strings.ToUpper(sig))
	return r
}

// TestTime: a quarter of an hour either way, and not a second more.
func TestTime(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://s3.example.com/", nil)
	at := time.Date(2013, 5, 24, 12, 0, 0, 0, time.UTC)
	sign(r, usual, "20130524T120000Z", today)
	for _, skew := range []time.Duration{-MaxSkew, 0, MaxSkew} {
		if _, err := example().Verify(r, at.Add(skew)); err != nil {
			t.Errorf("%v: %v", skew, err)
		}
	}
	refused(t, example(), r, at.Add(MaxSkew+time.Second), "RequestTimeTooSkewed", "MaxAllowedSkewMilliseconds: 900000",
		"RequestTime: 20130524T120000Z")
	refused(t, example(), r, at.Add(-MaxSkew-time.Second), "RequestTimeTooSkewed")
}

// TestDateInsteadOfAmzDate: the Date header is enough.
func TestDateInsteadOfAmzDate(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "http://s3.example.com/", nil)
	sign(r, "date;host;x-amz-content-sha256", "20130524T000000Z", today)
	r.Header.Del("X-Amz-Date")
	r.Header.Set("Date", "Fri, 24 May 2013 00:00:00 GMT")
	key := sigv4.Derive(exampleSecret, sigv4.Day(exampleTime), "us-east-1")
	s := new(scratch)
	_ = s.parseQuery("")
	canonical, err := s.canonicalRequest(&claim{signed: "date;host;x-amz-content-sha256", hash: "UNSIGNED-PAYLOAD"}, r)
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	r.Header.Set("Authorization", head+"Signature="+string(s.sign(key[:], s.stringToSign("20130524T000000Z", today,
		canonical))))
	if res, err := example().Verify(r, exampleTime); err != nil || res.Date != "20130524T000000Z" {
		t.Error(detailed(err))
	}
}

// TestKeyIsNotHereYet: an access key that is good but whose day did not come by the feed.
func TestKeyIsNotHereYet(t *testing.T) {
	v := example()
	v.Keys = func(string, int32, string) ([32]byte, KeyState) { return [32]byte{}, KeyAbsent }
	refused(t, v, signed(), exampleTime, "ServiceUnavailable")
}

// TestAnonymous: nothing signed is nobody; what only looks like it is refused.
func TestAnonymous(t *testing.T) {
	get := func(query string) *http.Request {
		return httptest.NewRequest(http.MethodGet, "http://s3.example.com/b/k"+query, nil)
	}
	for _, q := range []string{"", "?X-Amz-Expires=3", "?x-id=GetObject", "?X-Amz-Meta-A=b"} {
		if res, err := example().Verify(get(q), exampleTime); err != nil || res.Method != Anonymous ||
			res.AccessKeyID != "" {
			t.Errorf("%s: %+v %v", q, res, err)
		}
	}
	r := get("")
	r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
	if res, err := example().Verify(r, exampleTime); err != nil || res.Payload != UnsignedTrailer {
		t.Errorf("%+v %v", res, err)
	}
	r.Header.Set("X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
	refused(t, example(), r, exampleTime, "InvalidRequest")
	for query, code := range map[string]string{
		"?AWSAccessKeyId=AKID&Signature=x&Expires=1": "InvalidRequest",
		"?Signature=x":        "InvalidRequest",
		"?X-Amz-Signature=x":  "AuthorizationQueryParametersError",
		"?X-Amz-Credential=x": "AuthorizationQueryParametersError",
	} {
		refused(t, example(), get(query), exampleTime, code)
	}
}

const goodQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
	"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
	"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"

func presigned(query string) *http.Request {
	return httptest.NewRequest(http.MethodGet, "http://examplebucket.s3.amazonaws.com/test.txt?"+query, nil)
}

// TestRefusesQueries: each case breaks one thing of Amazon's example.
func TestRefusesQueries(t *testing.T) {
	for _, c := range []struct{ old, new, code, text string }{
		{"X-Amz-Expires=86400", "X-Amz-Expires=86401", "SignatureDoesNotMatch", "X-Amz-Expires=86401"},
		{"X-Amz-Expires=86400", "X-Amz-Expires=0", "AuthorizationQueryParametersError", ""},
		{"X-Amz-Expires=86400", "X-Amz-Expires=-1", "AuthorizationQueryParametersError", ""},
		{"X-Amz-Expires=86400", "X-Amz-Expires=604801", "AuthorizationQueryParametersError", "604800"},
		{"X-Amz-Expires=86400", "X-Amz-Expires=99999999999999999999999", "AuthorizationQueryParametersError", "604800"},
		{"X-Amz-Expires=86400", "X-Amz-Expires=x", "AuthorizationQueryParametersError", "number"},
		{"X-Amz-Expires=86400", "X-Amz-Expires=86400&X-Amz-Expires=86400", "AuthorizationQueryParametersError", ""},
		{"&X-Amz-Expires=86400", "", "AuthorizationQueryParametersError", "requires the X-Amz-Algorithm"},
		{"&X-Amz-SignedHeaders=host", "", "AuthorizationQueryParametersError", ""},
		{"SignedHeaders=host", "SignedHeaders=host%3Bhost", "AuthorizationQueryParametersError", ""},
		{"SignedHeaders=host", "SignedHeaders=range", "AccessDenied", "HeadersNotSigned: host"},
		{"Date=20130524T000000Z", "Date=2013-05-24", "AuthorizationQueryParametersError", "ISO8601"},
		{
			"Date=20130524T000000Z", "Date=20130525T000000Z", "AuthorizationQueryParametersError",
			"Invalid credential date",
		},
		{"AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "NotImplemented", ""},
		{"AWS4-HMAC-SHA256", "MD5", "AuthorizationQueryParametersError", "only supports"},
		{"us-east-1", "mars-1", "AuthorizationQueryParametersError", "Region: us-east-1"},
		{"%2Fs3%2F", "%2Fs4%2F", "AuthorizationQueryParametersError", "incorrect service"},
		{"AKIAIOSFODNN7EXAMPLE", "AKIAOTHER", "InvalidAccessKeyId", ""},
		{"f604d404", "f604d405", "SignatureDoesNotMatch", "SignatureProvided: aeeed9"},
		{"X-Amz-Algorithm", "response-expires=x&X-Amz-Algorithm", "SignatureDoesNotMatch", ""},
		{"X-Amz-Algorithm", "X-Amz-Security-Token=t&X-Amz-Algorithm", "InvalidToken", ""},
		{"X-Amz-Algorithm", "X-Amz-Content-Sha256=t&X-Amz-Algorithm", "InvalidArgument", ""},
	} {
		query := strings.Replace(goodQuery, c.old, c.new, 1)
		if query == goodQuery {
			t.Fatalf("%s changes nothing", c.old)
		}
		t.Run(c.new, func(t *testing.T) { refused(t, example(), presigned(query), exampleTime, c.code, c.text) })
	}
	r := presigned(goodQuery)
	r.Header.Set("X-Amz-Acl", "public-read")
	refused(t, example(), r, exampleTime, "AccessDenied", "HeadersNotSigned: x-amz-acl")
	r = presigned("X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&" + goodQuery)
	r.Header.Set("X-Amz-Content-Sha256", emptySHA256)
	refused(t, example(), r, exampleTime, "AuthorizationQueryParametersError", "differs")
	refused(t, example(), presigned(goodQuery), exampleTime.Add(25*time.Hour), "AccessDenied", "Request has expired")
	refused(t, example(), presigned(goodQuery), exampleTime.Add(-16*time.Minute), "AccessDenied", "not yet valid")
}

// TestHeadersThatNetHTTPMoves: Host, Content-Length and Transfer-Encoding are fields of the
// request, and can be signed all the same.
func TestHeadersThatNetHTTPMoves(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "http://s3.example.com:9000/b/k", strings.NewReader("hello"))
	names := "content-length;host;transfer-encoding;x-amz-content-sha256;x-amz-date"
	sign(r, names, "20130524T000000Z", today)
	if _, err := example().Verify(r, exampleTime); err != nil {
		t.Fatal(err)
	}
	r.ContentLength = 6
	refused(t, example(), r, exampleTime, "SignatureDoesNotMatch", "content-length:6\nhost:s3.example.com:9000")
	r.ContentLength, r.TransferEncoding = 5, []string{"chunked"}
	refused(t, example(), r, exampleTime, "SignatureDoesNotMatch", "transfer-encoding:chunked")
}

// TestNamesOutOfOrder: SignedHeaders that a client did not sort are sorted for it.
func TestNamesOutOfOrder(t *testing.T) {
	r := signed()
	replace(r, usual, "x-amz-date;x-amz-content-sha256;host", ", ", ",")
	if _, err := example().Verify(r, exampleTime); err != nil {
		t.Error(detailed(err))
	}
}

// TestTargets: the path comes from the request line, in each form that it may have.
func TestTargets(t *testing.T) {
	for uri, want := range map[string]string{
		"/a//b/../c?x":         "/a//b/../c",
		"/a%2Fb%20c":           "/a/b%20c",
		"/a+b":                 "/a%2Bb",
		"/%c3%a9/é":            "/%C3%A9/%C3%A9",
		"http://h:1/k?x":       "/k",
		"http://h":             "/",
		"http://h?list-type=2": "/",
		"//a/b":                "//a/b",
		"A:/b":                 "/b",
		"*":                    "%2A",
	} {
		r := wire(t, "GET "+uri+" HTTP/1.1\nHost: h")
		canonical, err := new(scratch).canonicalRequest(&claim{}, r)
		if got := strings.Split(string(canonical), "\n")[1]; err != nil || got != want {
			t.Errorf("%s: %s, want %s (%v)", uri, got, want, err)
		}
	}
}
