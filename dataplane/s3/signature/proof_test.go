package signature

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestProofs(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "http://s3.example.com/newbucket", nil)
	sign(r, usual, "20130524T000000Z", today)
	v := example()
	res, err := v.Verify(r, exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	good, err := v.Prove(r, res)
	if err != nil {
		t.Fatal(err)
	}
	regions := []string{"us-east-1"}
	if err := VerifyProof([]byte(exampleSecret), good, regions, exampleTime); err != nil {
		t.Fatal(detailed(err))
	}
	for what, change := range map[string]func(p *Proof){
		"bucket":    func(p *Proof) { p.CanonicalRequest = strings.Replace(p.CanonicalRequest, "newbucket", "other", 1) },
		"date":      func(p *Proof) { p.Date = "20130524T000001Z" },
		"no date":   func(p *Proof) { p.Date = "" },
		"day":       func(p *Proof) { p.Credential = strings.Replace(p.Credential, "0524", "0523", 1) },
		"region":    func(p *Proof) { p.Credential = strings.Replace(p.Credential, "us-east-1", "eu-1", 1) },
		"service":   func(p *Proof) { p.Credential = strings.Replace(p.Credential, "/s3/", "/iam/", 1) },
		"no scope":  func(p *Proof) { p.Credential = exampleID },
		"signature": func(p *Proof) { p.Signature = strings.Repeat("0", 64) },
		"presigned": func(p *Proof) {
			p.CanonicalRequest = strings.Replace(p.CanonicalRequest, "\n\n", "\nX-Amz-Expires=1\n", 1)
		},
		"nothing": func(p *Proof) { *p = Proof{} },
	} {
		p := good
		change(&p)
		if VerifyProof([]byte(exampleSecret), p, regions, exampleTime) == nil {
			t.Errorf("%s was changed and taken", what)
		}
	}
	if VerifyProof([]byte("other"), good, regions, exampleTime) == nil {
		t.Error("another secret was taken")
	}
	if VerifyProof([]byte(exampleSecret), good, regions, exampleTime.Add(16*time.Minute)) == nil {
		t.Error("an old one was taken")
	}
	if VerifyProof([]byte(exampleSecret), good, nil, exampleTime) == nil {
		t.Error("it was taken for no region")
	}
}

// TestProofFormat: the control plane reads it with code of its own; this is what it gets for
// exampleSecret at 2013-05-24T00:00:00Z.
func TestProofFormat(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "http://s3.example.com/newbucket", nil)
	sign(r, usual, "20130524T000000Z", today)
	v := example()
	res, err := v.Verify(r, exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	p, err := v.Prove(r, res)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Marshal()
	const want = `{"credential":"AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request","date":"20130524T000000Z",` +
		`"canonical_request":"PUT\n/newbucket\n\nhost:s3.example.com\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20130524T000000Z\n\n` +
		`host;x-amz-content-sha256;x-amz-date\nUNSIGNED-PAYLOAD","signature":"b0d15ac7e6fe9eb13f2d224802fffdf0ba32ccbd5d345e621c686fb406fc833d"}`
	if err != nil || string(got) != want {
		t.Errorf("%s (%v)", got, err)
	}
}

// TestProofOfPresigned: a signature that is right, but of a presigned URL, which was made
// for others to use.
func TestProofOfPresigned(t *testing.T) {
	p := Proof{
		Credential: exampleID + "/" + today, Date: "20130524T000000Z",
		CanonicalRequest: "PUT\n/b\nX-Amz-Date=20130524T000000Z&X-Amz-Expires=86400\nhost:h\n\nhost\nUNSIGNED-PAYLOAD",
	}
	key := Derive(exampleSecret, Day(exampleTime), "us-east-1")
	s := new(scratch)
	p.Signature = string(s.sign(key[:], s.stringToSign(p.Date, today, []byte(p.CanonicalRequest))))
	err := VerifyProof([]byte(exampleSecret), p, []string{"us-east-1"}, exampleTime)
	if err == nil || !strings.Contains(err.Error(), "signed in its headers") {
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
	if _, err := v.Prove(presigned(goodQuery), res); err == nil {
		t.Error("a presigned request has a proof")
	}
	if _, err := v.Prove(signed(), Result{}); err == nil {
		t.Error("a request that was not verified has a proof")
	}
}

func TestParseProof(t *testing.T) {
	for _, text := range []string{"", "[]", `{"credential":1}`, strings.Repeat(" ", maxProof+1)} {
		if _, err := ParseProof([]byte(text)); err == nil {
			t.Errorf("%.20q was parsed", text)
		}
	}
}
