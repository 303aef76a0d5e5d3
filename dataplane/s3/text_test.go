package s3

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestTextThatIsNotUTF8IsRefusedBeforeTheBody: headers, form fields, tags and documents in
// Latin-1 cost their sender a 400, and no body of a gigabyte is waited for.
func TestTextThatIsNotUTF8IsRefusedBeforeTheBody(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	for _, h := range []string{
		"Content-Disposition: attachment; filename=caf\xe9", "Cache-Control: caf\xe9", "Content-Language: \xe9",
		"Content-Type: text/\xe9",
		"Content-Encoding: \xe9", "Expires: \xe9", "X-Amz-Website-Redirect-Location: /caf\xe9",
	} {
		name, _, _ := strings.Cut(h, ":")
		for _, c := range []struct{ method, target string }{{"PUT", "/box/k"}, {"POST", "/box/k?uploads"}} {
			if a := s.raw(t, c.method, c.target, nil, h); a.status != 400 || a.code() != "InvalidArgument" ||
				!strings.Contains(a.body, strings.ToLower(name)) {
				t.Errorf("%s %s with %s: %+v", c.method, c.target, h, a)
			}
		}
		if a := s.beginPut(t, "/box/k", 1<<30, h); a != 400 {
			t.Errorf("%s: %d before its body", h, a)
		}
	}
	for _, c := range []struct{ target, doc string }{
		{"/box?policy", `{"Version":"2012-10-17","Id":"caf` + "\xe9" +
			`","Statement":[{"Effect":"Allow","Principal":{"AWS":"acme"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"}]}`},
		{"/box?tagging", "<Tagging><TagSet><Tag><Key>caf\xe9</Key><Value>x</Value></Tag></TagSet></Tagging>"},
		{
			"/other",
			"<CreateBucketConfiguration><LocationConstraint>caf\xe9</LocationConstraint></CreateBucketConfiguration>",
		},
		{
			"/box?cors",
			"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>http://caf\xe9</AllowedOrigin></CORSRule></CORSConfiguration>",
		},
	} {
		if a := s.raw(t, "PUT", c.target, []byte(c.doc)); a.status != 400 {
			t.Errorf("%s: %+v", c.target, a)
		}
	}
	if a := s.raw(t, "PUT", "/box/k", nil, "X-Amz-Tagging: a="+url.QueryEscape("caf\xe9")); a.status != 400 {
		t.Errorf("a tag: %+v", a)
	}
	if a := s.raw(t, "PUT", "/box/k", nil, "Content-Disposition: attachment; filename=café"); a.status != 200 {
		t.Errorf("UTF-8: %+v", a)
	}
	if got := s.raw(t, "GET", "/box/k", nil).header.Get("Content-Disposition"); got != "attachment; filename=café" {
		t.Errorf("UTF-8 came back as %q", got)
	}
}

// beginPut sends the head of a signed PUT and none of its body, and returns the status.
func (s *testServer) beginPut(t *testing.T, target string, size int64, headers ...string) int {
	t.Helper()
	r := ok(http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+target, nil))(t)
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	s.sign(t, r, nil)
	c, in := s.dialRaw(t)
	head := fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", target, r.Host, size)
	for name, values := range r.Header {
		head += name + ": " + values[0] + "\r\n"
	}
	if _, err := c.Write([]byte(head + "\r\n")); err != nil {
		t.Fatal(err)
	}
	resp := ok(http.ReadResponse(bufio.NewReader(in), nil))(t)
	resp.Body.Close()
	return resp.StatusCode
}
