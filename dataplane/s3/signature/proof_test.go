package signature

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// proven signs a request with a body, proves it, and sends the proof as a token.
func proven(t *testing.T, body string, headers ...string) (sigv4.Proof, *sigv4.Signed) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPut, "http://s3.example.com/newbucket?policy", strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	names := usual
	if len(headers) > 0 && headers[0] != "X-Amz-Content-Sha256" {
		names = strings.ToLower(headers[0]) + ";" + usual
	}
	sign(r, names, "20130524T000000Z", today)
	v := example()
	res, err := v.Verify(r, exampleTime)
	if err != nil {
		t.Fatal(detailed(err))
	}
	p, err := v.Prove(r, res, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.Token()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sigv4.ReadToken(token)
	if err != nil {
		t.Fatal(err)
	}
	return p, s
}

func TestProofs(t *testing.T) {
	good, s := proven(t, "")
	regions := []string{"us-east-1"}
	if err := s.Verify(exampleSecret, regions, exampleTime); err != nil {
		t.Fatal(err)
	}
	none := sigv4.Hosts{}
	if sub, _, _ := s.Part(); s.Method != http.MethodPut || !s.Names("newbucket", none) || s.Names("new", none) ||
		sub != "policy" || s.AccessKeyID != exampleID {
		t.Errorf("%+v", s)
	}
	replace := func(p *sigv4.Proof, from, to string) {
		p.CanonicalRequest = []byte(strings.Replace(string(p.CanonicalRequest), from, to, 1))
	}
	for what, change := range map[string]func(p *sigv4.Proof){
		"bucket":    func(p *sigv4.Proof) { replace(p, "newbucket", "other") },
		"query":     func(p *sigv4.Proof) { replace(p, "policy=", "acl=") },
		"header":    func(p *sigv4.Proof) { replace(p, "s3.example.com", "s4.example.com") },
		"date":      func(p *sigv4.Proof) { p.Date = "20130524T000001Z" },
		"no date":   func(p *sigv4.Proof) { p.Date = "" },
		"day":       func(p *sigv4.Proof) { p.Credential = strings.Replace(p.Credential, "0524", "0523", 1) },
		"region":    func(p *sigv4.Proof) { p.Credential = strings.Replace(p.Credential, "us-east-1", "eu-1", 1) },
		"service":   func(p *sigv4.Proof) { p.Credential = strings.Replace(p.Credential, "/s3/", "/iam/", 1) },
		"no scope":  func(p *sigv4.Proof) { p.Credential = exampleID },
		"signature": func(p *sigv4.Proof) { p.Signature = strings.Repeat("0", 64) },
		"a body":    func(p *sigv4.Proof) { p.Body = []byte("x") },
		"nothing":   func(p *sigv4.Proof) { *p = sigv4.Proof{} },
	} {
		p := good
		change(&p)
		if s, err := p.Open(); err == nil && s.Verify(exampleSecret, regions, exampleTime) == nil {
			t.Errorf("%s was changed and taken", what)
		}
	}
	if s.Verify("other", regions, exampleTime) == nil {
		t.Error("another secret was taken")
	}
	if s.Verify(exampleSecret, regions, exampleTime.Add(16*time.Minute)) == nil {
		t.Error("an old one was taken")
	}
	if s.Verify(exampleSecret, nil, exampleTime) == nil {
		t.Error("it was taken for no region")
	}
}

// TestAProofCoversItsBody by the hash in the signature, or by a signed digest; with neither
// only a request without a body has a proof.
func TestAProofCoversItsBody(t *testing.T) {
	const body = `{"Version":"2012-10-17"}`
	sum, digest := sha256.Sum256([]byte(body)), md5.Sum([]byte(body))
	for what, headers := range map[string][]string{
		"hash":   {"X-Amz-Content-Sha256", hex.EncodeToString(sum[:])},
		"digest": {"Content-Md5", base64.StdEncoding.EncodeToString(digest[:])},
		"none":   nil,
	} {
		p, s := proven(t, body, headers...)
		if err := s.Verify(exampleSecret, []string{"us-east-1"}, exampleTime); (err == nil) != (headers != nil) {
			t.Errorf("%s: %v", what, err)
		}
		p.Body = []byte(`{"Version":"2012-10-18"}`)
		if s, err := p.Open(); err == nil && s.Verify(exampleSecret, []string{"us-east-1"}, exampleTime) == nil {
			t.Errorf("%s: another body was taken", what)
		}
	}
}

// TestProofOfPresigned: a signature that is right, but of a presigned URL, which was made
// for others to use.
func TestProofOfPresigned(t *testing.T) {
	p := sigv4.Proof{
		Credential: exampleID + "/" + today, Date: "20130524T000000Z",
		CanonicalRequest: []byte(
			"PUT\n/b\nX-Amz-Date=20130524T000000Z&X-Amz-Expires=86400\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"),
	}
	key := sigv4.Derive(exampleSecret, sigv4.Day(exampleTime), "us-east-1")
	scratch := new(scratch)
	p.Signature = string(scratch.sign(key[:], scratch.stringToSign(p.Date, today, p.CanonicalRequest)))
	s, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(exampleSecret, []string{"us-east-1"}, exampleTime); err == nil || !strings.Contains(err.Error(),
		"in its headers") {
		t.Error(err)
	}
}

// TestNoProofOfPresigned: what is asked of the control plane is signed for the moment.
func TestNoProofOfPresigned(t *testing.T) {
	v := example()
	res, err := v.Verify(presigned(goodQuery), exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Prove(presigned(goodQuery), res, nil); err == nil {
		t.Error("a presigned request has a proof")
	}
	if _, err := v.Prove(signed(), Result{}, nil); err == nil {
		t.Error("a request that was not verified has a proof")
	}
}
