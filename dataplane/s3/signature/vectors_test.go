package signature

import (
	"bufio"
	"errors"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// The credentials of the examples in the Amazon S3 API Reference.
const (
	exampleID     = "AKIAIOSFODNN7EXAMPLE"
	exampleSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	emptySHA256   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

var exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

// example verifies with the examples' key, as an edge would: no secret beyond this line.
func example(regions ...string) *Verifier {
	if regions == nil {
		regions = []string{"us-east-1"}
	}
	return &Verifier{Region: regions[0], Aliases: regions[1:], Keys: func(id string, day int32,
		region string,
	) ([32]byte, KeyState) {
		if id != exampleID {
			return [32]byte{}, KeyUnknown
		}
		return sigv4.Derive(exampleSecret, day, region), KeyFound
	}}
}

// wire reads a request as package net/http does.
func wire(t testing.TB, text string) *http.Request {
	t.Helper()
	text = strings.ReplaceAll(strings.TrimLeft(text, "\n"), "\n", "\r\n")
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text + "\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// authorization is the header of an example's signature over these headers.
func authorization(signed, signature string) string {
	return "Authorization: AWS4-HMAC-SHA256 Credential=" + exampleID + "/20130524/us-east-1/s3/aws4_request," +
		"SignedHeaders=" + signed + ",Signature=" + signature
}

// TestAmazonsExamples: "Examples: Signature Calculations" and the streaming ones of the
// Amazon S3 API Reference.
func TestAmazonsExamples(t *testing.T) {
	for name, text := range map[string]string{
		"GET object": `
GET /test.txt HTTP/1.1
Host: examplebucket.s3.amazonaws.com
Range: bytes=0-9
x-amz-content-sha256: ` + emptySHA256 + `
x-amz-date: 20130524T000000Z
` + authorization("host;range;x-amz-content-sha256;x-amz-date",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
		"PUT object": `
PUT /test$file.text HTTP/1.1
Host: examplebucket.s3.amazonaws.com
Date: Fri, 24 May 2013 00:00:00 GMT
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
x-amz-content-sha256: 44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072
` + authorization("date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
			"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
		"GET bucket lifecycle": `
GET /?lifecycle HTTP/1.1
Host: examplebucket.s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-content-sha256: ` + emptySHA256 + `
` + authorization("host;x-amz-content-sha256;x-amz-date",
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
		"list objects": `
GET /?max-keys=2&prefix=J HTTP/1.1
Host: examplebucket.s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-content-sha256: ` + emptySHA256 + `
` + authorization("host;x-amz-content-sha256;x-amz-date",
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
		"presigned GET": `
GET /test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404 HTTP/1.1
Host: examplebucket.s3.amazonaws.com`,
		"chunked upload": `
PUT /examplebucket/chunkObject.txt HTTP/1.1
Host: s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD
Content-Encoding: aws-chunked
x-amz-decoded-content-length: 66560
Content-Length: 66824
` + authorization("content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
			"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"),
		"chunked upload with a trailer": `
PUT /examplebucket/chunkObject.txt HTTP/1.1
Host: s3.amazonaws.com
x-amz-date: 20130524T000000Z
x-amz-storage-class: REDUCED_REDUNDANCY
x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
Content-Encoding: aws-chunked
x-amz-decoded-content-length: 66560
x-amz-trailer: x-amz-checksum-crc32c
Content-Length: 66824
` + authorization("content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"),
	} {
		t.Run(name, func(t *testing.T) {
			res, err := example().Verify(wire(t, text), exampleTime)
			if err != nil {
				t.Fatal(detailed(err))
			}
			if res.AccessKeyID != exampleID || res.Scope != "20130524/us-east-1/s3/aws4_request" ||
				res.Date != "20130524T000000Z" {
				t.Errorf("%+v", res)
			}
		})
	}
}

// detailed shows what a client would see.
func detailed(err error) string {
	var e *Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	text := e.Error()
	for _, d := range e.Details {
		text += "\n" + d.Name + ": " + d.Value
	}
	return text
}

// The policy of "Example: Browser-Based Upload using HTTP POST", whose lines end in CRLF.
const (
	exampleCondition = `{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}`
	exampleFormSignature = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
)

var exampleFormTime = time.Date(2015, 12, 29, 0, 0, 0, 0, time.UTC)

func exampleForm() Fields {
	return Fields{
		{"key", "user/user1/${filename}"},
		{"acl", "public-read"},
		{"success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
		{"Content-Type", "image/jpeg"},
		{"x-amz-meta-uuid", "14365123651274"},
		{"x-amz-server-side-encryption", "AES256"},
		{"X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
		{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
		{"X-Amz-Date", "20151229T000000Z"},
		{"x-amz-meta-tag", ""},
		{"Policy", encodePolicy(strings.ReplaceAll(exampleCondition, "\n", "\r\n"))},
		{"X-Amz-Signature", exampleFormSignature},
	}
}

func TestAmazonsExampleForm(t *testing.T) {
	f := exampleForm()
	f.Expand(`C:\photos/me.jpg`)
	res, p, err := example().VerifyForm(f, "sigv4examplebucket", exampleFormTime)
	if err != nil {
		t.Fatal(detailed(err))
	}
	if res.Method != Form || res.AccessKeyID != exampleID || p.MinLength != 0 || p.MaxLength != math.MaxInt64 {
		t.Errorf("%+v %+v", res, p)
	}
	if key, _ := f.Get("key"); key != "user/user1/me.jpg" {
		t.Errorf("key %q", key)
	}
}
