package cors

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

var rules = []*storagev1.CorsRule{
	{
		Id: "app", AllowedOrigins: []string{"https://app.example", "https://*.dev.example"},
		AllowedMethods: []string{"GET", "PUT"}, AllowedHeaders: []string{"Content-*", "x-amz-date", "Authorization"},
		ExposeHeaders: []string{"ETag", "x-amz-version-id"}, MaxAgeSeconds: 600,
	},
	{Id: "all", AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET", "HEAD"}},
	{
		Id: "http", AllowedOrigins: []string{"http://*"}, AllowedMethods: []string{"DELETE"},
		AllowedHeaders: []string{"*"},
	},
}

func preflight(origin, method, headers string) http.Header {
	h := http.Header{}
	for k, v := range map[string]string{
		"Origin": origin, "Access-Control-Request-Method": method,
		"Access-Control-Request-Headers": headers,
	} {
		if v != "" {
			h.Set(k, v)
		}
	}
	return h
}

// TestPreflight: which answer a browser gets; allow is Access-Control-Allow-Origin.
func TestPreflight(t *testing.T) {
	for _, c := range []struct {
		origin, method, headers string
		allow                   string // empty: refused
		credentials             bool
	}{
		{"https://app.example", "PUT", "content-type, X-Amz-Date", "https://app.example", true},
		{"https://app.example", "PUT", "x-else", "", false},
		{"https://app.example", "PUT", "content-type,x-else", "", false},
		{"https://a.dev.example", "GET", "", "https://a.dev.example", true},
		{"https://dev.example", "GET", "", "*", false},
		{"https://app.example.evil", "PUT", "", "", false},
		{"https://evil", "GET", "", "*", false},
		{"https://evil", "GET", "authorization", "", false},
		{"https://evil", "HEAD", "", "*", false},
		{"https://evil", "POST", "", "", false},
		{"http://x", "DELETE", "anything, at-all", "http://x", true},
		{"https://x", "DELETE", "", "", false},
		{"HTTPS://APP.EXAMPLE", "PUT", "", "", false},
		{"null", "GET", "", "*", false},
	} {
		q, err := ReadPreflight(preflight(c.origin, c.method, c.headers))
		if err != nil {
			t.Fatal(err)
		}
		out := http.Header{}
		err = Preflight(out, rules, q, true)
		if c.allow == "" {
			e := s3xml.From(err)
			if err == nil || e.HTTPStatus() != 403 || e.Code != s3xml.AccessForbidden || len(out) > 0 {
				t.Errorf("%+v: %v, %v", c, err, out)
			}
			continue
		}
		if err != nil || out.Get("Access-Control-Allow-Origin") != c.allow ||
			(out.Get("Access-Control-Allow-Credentials") == "true") != c.credentials || out.Get("Vary") != Vary {
			t.Errorf("%+v: %v, %v", c, err, out)
		}
		if got := out.Get("Access-Control-Allow-Headers"); strings.ReplaceAll(got, " ",
			"") != strings.ToLower(strings.ReplaceAll(c.headers, " ", "")) {
			t.Errorf("%+v: headers %q", c, got)
		}
	}
}

// TestAnswerIsWhole: each header of a rule that has all.
func TestAnswerIsWhole(t *testing.T) {
	out := http.Header{}
	Headers(out, rules, "https://app.example", "PUT")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods":  "GET, PUT",
		"Access-Control-Expose-Headers": "ETag, x-amz-version-id", "Access-Control-Max-Age": "600", "Vary": Vary,
	} {
		if out.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, out.Get(name), want)
		}
	}
	if len(out) != 6 {
		t.Errorf("%v", out)
	}
}

// TestOtherAnswers: without a rule that fits nothing but Vary, without rules nothing.
func TestOtherAnswers(t *testing.T) {
	for _, c := range []struct {
		rules          []*storagev1.CorsRule
		origin, method string
		headers        int
	}{
		{nil, "https://x", "GET", 0},
		{rules, "", "GET", 1},
		{rules, "https://x", "POST", 1},
		{rules, "https://x", "GET", 3},
	} {
		out := http.Header{}
		Headers(out, c.rules, c.origin, c.method)
		if len(out) != c.headers || c.headers > 0 && out.Get("Vary") != Vary {
			t.Errorf("%q %s: %v", c.origin, c.method, out)
		}
	}
}

func TestPreflightsAreRefused(t *testing.T) {
	for _, c := range []struct {
		h    http.Header
		text string
	}{
		{preflight("", "GET", ""), "Insufficient information. Origin request header needed."},
		{preflight("https://x", "", ""), "Invalid Access-Control-Request-Method: null"},
		{preflight("https://x", "PATCH", ""), "Invalid Access-Control-Request-Method: PATCH"},
		{preflight("https://x", "get", ""), "Invalid Access-Control-Request-Method: get"},
		{
			preflight("https://x", "GET", strings.Repeat("x,", 1000)),
			"Too many headers in Access-Control-Request-Headers.",
		},
	} {
		if _, err := ReadPreflight(c.h); err == nil || s3xml.From(err).HTTPStatus() != 400 ||
			s3xml.From(err).Text() != c.text {
			t.Errorf("%v: %v", c.h, err)
		}
	}
	e := s3xml.From(Preflight(http.Header{}, nil, Request{Origin: "x", Method: "GET"}, false))
	if e.Text() != "CORSResponse: CORS is not enabled for this bucket." ||
		string(s3xml.AppendError(nil, e)) != `<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessForbidden</Code><Message>CORSResponse: CORS is not enabled for this bucket.</Message><Method>GET</Method><ResourceType>BUCKET</ResourceType><RequestId></RequestId><HostId></HostId></Error>` {
		t.Errorf("%s", s3xml.AppendError(nil, e))
	}
	if e := s3xml.From(NoBucket("PUT", true)); e.Text() != "CORSResponse: Bucket not found" ||
		e.Details[1].Value != "OBJECT" {
		t.Errorf("%v", e)
	}
}

// FuzzPreflight: what is allowed was asked for, and nothing splits a header.
func FuzzPreflight(f *testing.F) {
	f.Add("https://app.example", "PUT", "content-type,x-amz-date")
	f.Add("http://x", "DELETE", ",, a ,b\r\nSet-Cookie: x")
	f.Add("*", "GET", "*")
	f.Fuzz(func(t *testing.T, origin, method, headers string) {
		q, err := ReadPreflight(preflight(origin, method, headers))
		if err != nil {
			return
		}
		out := http.Header{}
		if Preflight(out, rules, q, true) != nil {
			return
		}
		if o := out.Get("Access-Control-Allow-Origin"); o != origin && o != "*" {
			t.Fatalf("%q allows %q", origin, o)
		}
		if o := out.Get("Access-Control-Allow-Origin"); o == "*" && out.Get("Access-Control-Allow-Credentials") != "" {
			t.Fatal("credentials for everybody")
		}
	})
}
