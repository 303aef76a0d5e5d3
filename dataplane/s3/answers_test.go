package s3

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// TestRequestsThatSayTooLittleOrTooMuch: what names an operation in part or twice, or asks for
// a guarantee that is not given, is refused, and changes nothing.
func TestRequestsThatSayTooLittleOrTooMuch(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	s.raw(t, "PUT", "/box/k", []byte("kept"))
	for _, c := range []struct {
		method, target, header string
		status                 int
		code                   string
	}{
		{"PUT", "/box/k?partNumber=2", "", 400, "InvalidArgument"},
		{"DELETE", "/box/k?partNumber=2", "", 400, "InvalidArgument"},
		{"POST", "/box/k?uploads&partNumber=2", "", 400, "InvalidArgument"},
		{"PUT", "/box/k?uploadId=x", "", 400, "InvalidArgument"},
		{"PUT", "/box/k?uploadId=x&partNumber=1&partNumber=2", "", 400, "InvalidArgument"},
		{"PUT", "/box/k?uploadId=x&uploadId=y&partNumber=1", "", 400, "InvalidArgument"},
		{"PUT", "/box/k?versionId=null", "", 400, "InvalidArgument"},
		{"DELETE", "/box/k?versionId=null&versionId=null", "", 400, "InvalidArgument"},
		{"DELETE", "/box?versionId=null", "", 400, "InvalidArgument"},
		{"PUT", "/box/k?acl&tagging", "", 400, "InvalidArgument"},
		{"GET", "/box/k?tagging&uploadId=x", "", 400, "InvalidArgument"},
		{"PUT", "/box/k?Tagging", "", 400, "InvalidArgument"},
		{"DELETE", "/box?Policy", "", 400, "InvalidArgument"},
		{"PUT", "/box/k?append", "", 501, "NotImplemented"},
		{"PUT", "/box/k?position=4", "", 501, "NotImplemented"},
		{"POST", "/box/k?append&position=4", "", 400, "InvalidArgument"},
		{"GET", "/box?list-type=3", "", 400, "InvalidArgument"},
		{"GET", "/?max-buckets=0", "", 400, "InvalidArgument"},
		{"GET", "/box/k?partNumber=1", "", 206, ""},
		{"GET", "/box?list-type=2&fetch-owner=True", "", 200, ""},

		{"PUT", "/locked", "X-Amz-Bucket-Object-Lock-Enabled: True", 501, "NotImplemented"},
		{"PUT", "/locked", "X-Amz-Bucket-Object-Lock-Enabled: yes", 400, "InvalidArgument"},
		{"PUT", "/unlocked", "X-Amz-Bucket-Object-Lock-Enabled: FALSE", 200, ""},
		{"PUT", "/box/k", "If-Unmodified-Since: Mon, 02 Jan 2006 15:04:05 GMT", 501, "NotImplemented"},
		{"PUT", "/box/k", "X-Amz-If-Match-Size: 9", 501, "NotImplemented"},
		{"DELETE", "/box/k", `If-None-Match: "x"`, 501, "NotImplemented"},
		{"POST", "/box/k?uploads", "If-None-Match: *", 501, "NotImplemented"},
		{"PUT", "/box/k?tagging", `If-Match: "x"`, 501, "NotImplemented"},
		{"PUT", "/box?versioning", "X-Amz-Mfa: 1 2", 501, "NotImplemented"},
		{"GET", "/box/k", "X-Amz-Server-Side-Encryption: AES256", 400, "InvalidArgument"},
		{"HEAD", "/box/k", "X-Amz-Server-Side-Encryption: aws:kms", 400, ""},
		{"GET", "/box/k?attributes", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id: x", 400, "InvalidArgument"},
		{"PUT", "/box/k", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled: perhaps", 400, "InvalidArgument"},
		{"PUT", "/box?acl", "X-Amz-Acl: private", 400, "AccessControlListNotSupported"},
	} {
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		if a := s.raw(t, c.method, c.target, nil, headers...); a.status != c.status || a.code() != c.code {
			t.Errorf("%s %s %s: %d %s, want %d %s\n%s", c.method, c.target, c.header, a.status, a.code(), c.status,
				c.code, a.body)
		}
	}
	if a := s.raw(t, "GET", "/box/k", nil); a.body != "kept" {
		t.Errorf("what was refused changed the object: %+v", a)
	}
	if a := s.raw(t, "GET", "/locked", nil); a.status != 404 {
		t.Errorf("a bucket without the lock that it was to have: %+v", a)
	}
}

// TestMetadataIsText: it goes in as ASCII, RFC 2047, UTF-8 or Latin-1, and comes out as ASCII or
// RFC 2047.
func TestMetadataIsText(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	for _, c := range []struct{ sent, returned string }{
		{"ÄMÄZÕÑ S3", "=?UTF-8?b?w4RNw4Raw5XDkSBTMw==?="},
		{"AMAZONS3", "AMAZONS3"},
		{"caf\xe9", "=?UTF-8?b?Y2Fmw6k=?="},
		{"=?UTF-8?Q?caf=C3=A9?=", "=?UTF-8?b?Y2Fmw6k=?="},
		{"=?UTF-8?Q?cafe?=", "cafe"},
		{"=?UTF-8?Q?caf=E9?=", "=?UTF-8?Q?caf=E9?="},
		{"=?x-none?Q?cafe?=", "=?x-none?Q?cafe?="},
		{"=?UTF-8?Q?a=0D=0AX-Evil:_b?=", "=?UTF-8?b?YQ0KWC1FdmlsOiBi?="},
	} {
		if a := s.raw(t, "PUT", "/box/k", nil, "X-Amz-Meta-M: "+c.sent); a.status != 200 {
			t.Errorf("%q: %+v", c.sent, a)
		}
		if got := s.raw(t, "HEAD", "/box/k", nil).header.Get("X-Amz-Meta-M"); got != c.returned {
			t.Errorf("%q came back as %q, want %q", c.sent, got, c.returned)
		}
	}
}

// TestWhatIsSentComesBack: lists of encodings as they were sent, bucket keys, URLs.
func TestWhatIsSentComesBack(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	s.bucket(t, "kms", &storagev1.BucketSpec{Encryption: &storagev1.Encryption{
		EncryptionKey:    "encryptionkeys/main",
		BucketKeyEnabled: true,
	}})
	for sent, kept := range map[string]string{
		"gzip, br": "gzip, br", "gzip,br": "gzip,br", "aws-chunked, gzip": "gzip",
		"gzip, aws-chunked": "gzip", "aws-chunked": "",
	} {
		s.raw(t, "PUT", "/box/k", nil, "Content-Encoding: "+sent)
		if got := s.raw(t, "HEAD", "/box/k", nil).header.Get("Content-Encoding"); got != kept {
			t.Errorf("Content-Encoding %q came back as %q", sent, got)
		}
	}
	const bucketKey = "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"
	for _, c := range []struct{ target, header, want string }{
		{"/kms/k", "", "true"},
		{"/kms/k", "X-Amz-Server-Side-Encryption: aws:kms", "true"},
		{"/kms/k", bucketKey + ": false", ""},
		{"/box/k", "X-Amz-Server-Side-Encryption: AES256", ""},
	} {
		headers := []string{c.header}
		if c.header == "" {
			headers = nil
		}
		a, b := s.raw(t, "PUT", c.target, nil, headers...), s.raw(t, "HEAD", c.target, nil)
		if a.header.Get(bucketKey) != c.want || b.header.Get(bucketKey) != c.want {
			t.Errorf("%s %s: %+v, then %+v; want %q", c.target, c.header, a, b, c.want)
		}
	}
	kms := s.raw(t, "PUT", "/box/k", nil, "X-Amz-Server-Side-Encryption: aws:kms",
		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id: "+testARN, bucketKey+": True")
	if kms.header.Get(bucketKey) != "true" {
		t.Errorf("%+v", kms)
	}
	doc := `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`
	s.raw(t, "PUT", "/box?encryption", []byte(doc))
	if a := s.raw(t, "GET", "/box?encryption", nil); !strings.Contains(a.body,
		"<BucketKeyEnabled>true</BucketKeyEnabled>") {
		t.Errorf("%+v", a)
	}
}

// TestKeysThatXMLCannotCarry are listed with encoding-type=url, refused otherwise, and deleted
// in bulk.
func TestKeysThatXMLCannotCarry(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	for _, key := range []string{"a%01b/x", "a%EF%BF%BF", "%00"} {
		s.raw(t, "PUT", "/box/"+key, nil)
		s.raw(t, "POST", "/box/"+key+"?uploads", nil)
	}
	for _, target := range []string{
		"/box?list-type=2", "/box?delimiter=/", "/box?versions", "/box?uploads",
		"/box?uploads&delimiter=/", "/box?prefix=a%01",
	} {
		a := s.raw(t, "GET", target, nil)
		if a.status != 400 || !strings.Contains(a.body, "encoding-type=url") {
			t.Errorf("%s: %+v", target, a)
		}
		wellFormed(t, a.body)
		if a := s.raw(t, "GET", target+"&encoding-type=url", nil); a.status != 200 {
			t.Errorf("%s with encoding-type: %+v", target, a)
		} else {
			wellFormed(t, a.body)
		}
	}
	wellFormed(t, s.raw(t, "GET", "/box/none%01", nil).body)
	doc := "<Delete><Object><Key>a&#1;b/x</Key></Object><Object><Key>a\uFFFF</Key></Object><Object><Key>&#0;</Key></Object></Delete>"
	a := s.raw(t, "POST", "/box?delete", []byte(doc), "Content-MD5: "+md5Of(doc))
	if a.status != 200 || strings.Count(a.body, "<Deleted>") != 3 {
		t.Errorf("%+v", a)
	}
	wellFormed(t, a.body)
	if a := s.raw(t, "GET", "/box", nil); a.status != 200 || strings.Contains(a.body, "<Key>") {
		t.Errorf("%+v", a)
	}
}

func wellFormed(t *testing.T, doc string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%v in %q", err, doc)
			return
		}
	}
}

// TestMissingKeysAreToldToWhoMayListThem, by an ACL, or by a policy with a condition on the
// prefix; others learn nothing.
func TestMissingKeysAreToldToWhoMayListThem(t *testing.T) {
	s := newServer(t)
	other, id := s.client("AKOTHER"), policy.CanonicalID("other")
	open := func(name string, spec *storagev1.BucketSpec) {
		spec.PublicAccessBlock = &storagev1.PublicAccessBlock{}
		s.bucket(t, name, spec)
	}
	grant := []*storagev1.Grant{{Grantee: id, Permission: storagev1.Grant_PERMISSION_READ}}
	open("listed", &storagev1.BucketSpec{Ownership: storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER, Grants: grant})
	open("unlisted", &storagev1.BucketSpec{Ownership: storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER})
	open("policy", &storagev1.BucketSpec{Policy: `{"Statement":[
		{"Effect":"Allow","Principal":{"AWS":"other"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::policy/*"},
		{"Effect":"Allow","Principal":{"AWS":"other"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::policy","Condition":{"StringLike":{"s3:prefix":"in/*"}}}]}`})
	put(t, s.client("AKACME"), "listed", "there", []byte("x"))
	for _, c := range []struct{ bucket, key, code string }{
		{"listed", "none", "NoSuchKey"},
		{"listed", "there", "AccessDenied"},
		{"unlisted", "none", "AccessDenied"},
		{"policy", "in/none", "NoSuchKey"},
		{"policy", "out/none", "AccessDenied"},
	} {
		_, err := other.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &c.bucket, Key: &c.key})
		wantCode(t, err, c.code)
		_, err = other.GetObjectTagging(t.Context(), &awss3.GetObjectTaggingInput{Bucket: &c.bucket, Key: &c.key})
		if c.bucket == "listed" {
			wantCode(t, err, c.code)
		} else {
			wantCode(t, err, "AccessDenied")
		}
		_, err = other.CopyObject(t.Context(), &awss3.CopyObjectInput{
			Bucket: aws.String("none"), Key: &c.key,
			CopySource: aws.String(c.bucket + "/" + c.key),
		})
		wantCode(t, err, "NoSuchBucket")
	}
}

// TestCannedACLsThatChangeNothing may be sent by who may write.
func TestCannedACLsThatChangeNothing(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", &storagev1.BucketSpec{
		Ownership: storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER, PublicAccessBlock: &storagev1.PublicAccessBlock{},
		Grants: []*storagev1.Grant{{
			Grantee:    policy.CanonicalID("other"),
			Permission: storagev1.Grant_PERMISSION_WRITE,
		}},
	})
	s.swap(t, s.accessKey("AKSCOPED", "acme", &storagev1.Scope{
		Actions:   []string{"write"},
		Resources: []string{"box/*"},
	}))
	for _, who := range []string{"AKOTHER", "AKSCOPED"} {
		for acl, code := range map[types.ObjectCannedACL]string{
			"private": "", "bucket-owner-full-control": "", "public-read": "AccessDenied",
			"authenticated-read": "AccessDenied",
		} {
			_, err := s.client(who).PutObject(t.Context(), &awss3.PutObjectInput{
				Bucket: aws.String("box"),
				Key:    aws.String(who + string(acl)), ACL: acl, Body: bytes.NewReader([]byte("x")),
			})
			wantCode(t, err, code)
		}
	}
}

// TestAnEmptiedACLIsEmpty, of a bucket and of an object, and is not the default.
func TestAnEmptiedACLIsEmpty(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", &storagev1.BucketSpec{Ownership: storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER})
	s.raw(t, "PUT", "/box/k", nil)
	doc := fmt.Sprintf("<AccessControlPolicy><Owner><ID>%s</ID></Owner><AccessControlList/></AccessControlPolicy>",
		policy.CanonicalID("acme"))
	for _, target := range []string{"/box?acl", "/box/k?acl"} {
		if a := s.raw(t, "GET", target, nil); !strings.Contains(a.body, "FULL_CONTROL") {
			t.Errorf("%s at first: %+v", target, a)
		}
		if a := s.raw(t, "PUT", target, []byte(doc)); a.status != 200 {
			t.Errorf("%s: %+v", target, a)
		}
		if a := s.raw(t, "GET", target, nil); strings.Contains(a.body, "<Grant>") {
			t.Errorf("%s emptied: %+v", target, a)
		}
		s.raw(t, "PUT", target, nil, "X-Amz-Acl: private")
		if a := s.raw(t, "GET", target, nil); !strings.Contains(a.body, "FULL_CONTROL") {
			t.Errorf("%s set again: %+v", target, a)
		}
	}
}

// TestOwnershipThatWasDeletedIsNotFound, and means what it means at AWS: the writer owns.
func TestOwnershipThatWasDeletedIsNotFound(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	if a := s.raw(t, "GET", "/box?ownershipControls", nil); !strings.Contains(a.body, "BucketOwnerEnforced") {
		t.Errorf("%+v", a)
	}
	s.raw(t, "DELETE", "/box?ownershipControls", nil)
	if a := s.raw(t, "GET", "/box?ownershipControls", nil); a.status != 404 ||
		a.code() != "OwnershipControlsNotFoundError" {
		t.Errorf("%+v", a)
	}
	if a := s.raw(t, "PUT", "/box/k", nil, "X-Amz-Acl: private"); a.status != 200 {
		t.Errorf("%+v", a)
	}
}

// TestAKeyForAPrefix reads, lists and looks for what is missing under it, and nothing beside.
func TestAKeyForAPrefix(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	s.bucket(t, "else", nil)
	s.raw(t, "PUT", "/box/rc/a", []byte("x"))
	s.swap(t, s.accessKey("AKPREFIX", "acme", &storagev1.Scope{
		Actions:   []string{"read"},
		Resources: []string{"box/rc/*"},
	}))
	c, box := s.client("AKPREFIX"), aws.String("box")
	list := func(prefix string) error {
		_, err := c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{
			Bucket: box, Prefix: &prefix,
			Delimiter: aws.String("/"),
		})
		return err
	}
	wantCode(t, list("rc/"), "")
	wantCode(t, list("rc/a"), "")
	wantCode(t, list(""), "AccessDenied")
	wantCode(t, list("rc"), "AccessDenied")
	_, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: box, Key: aws.String("rc/none")})
	wantCode(t, err, "NoSuchKey")
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: box, Key: aws.String("none")})
	wantCode(t, err, "AccessDenied")
	ok(c.HeadBucket(t.Context(), &awss3.HeadBucketInput{Bucket: box}))(t)
	ok(c.GetBucketLocation(t.Context(), &awss3.GetBucketLocationInput{Bucket: box}))(t)
	_, err = c.GetBucketLocation(t.Context(), &awss3.GetBucketLocationInput{Bucket: aws.String("else")})
	wantCode(t, err, "AccessDenied")
	if _, err = c.HeadBucket(t.Context(), &awss3.HeadBucketInput{Bucket: aws.String("else")}); err == nil {
		t.Error("a bucket beside it was told of")
	}
	_, err = c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: box, Key: aws.String("rc/b"),
		Body: bytes.NewReader(nil),
	})
	wantCode(t, err, "AccessDenied")
}

// TestWritesIntoADeletedBucketFindNone: the request was let in before the bucket went.
func TestWritesIntoADeletedBucketFindNone(t *testing.T) {
	begun := &asked{first: make(chan struct{})}
	s := newServer(t, func(c *Config) { begun.Store, c.Store = c.Store, begun })
	s.bucket(t, "box", nil)
	body, w := io.Pipe()
	r := ok(http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/box/k", body))(t)
	r.ContentLength = 4
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	s.sign(t, r, nil)
	answers := make(chan answer, 1)
	go func() { answers <- s.do(t, r) }()
	ok(io.WriteString(w, "te"))(t)
	<-begun.first
	if a := s.raw(t, "DELETE", "/box", nil); a.status != 204 {
		t.Fatalf("%+v", a)
	}
	ok(io.WriteString(w, "st"))(t)
	if a := <-answers; a.status != 404 || a.code() != "NoSuchBucket" {
		t.Errorf("%+v", a)
	}
}

// asked is a store that tells when it is asked for the first time.
type asked struct {
	Store
	once  sync.Once
	first chan struct{}
}

func (a *asked) At(p store.Placement) (*store.Space, error) {
	a.once.Do(func() { close(a.first) })
	return a.Store.At(p)
}

// TestURLsOfKeysWithBlanks, in the answers of forms and completed uploads.
func TestURLsOfKeysWithBlanks(t *testing.T) {
	q := &request{h: &Handler{}, r: &http.Request{Host: "h"}, name: "box", key: "a b+c/ü"}
	u, err := url.Parse(q.location())
	if err != nil || q.location() != "http://h/box/a%20b%2Bc/%C3%BC" || u.Path != "/box/"+q.key {
		t.Errorf("%s, %v", q.location(), err)
	}
}

// TestWhatIsReservedDoesNothing: no method does anything else for a sub-resource that is not
// built. Reads that AWS answers of a bucket that never had them have routes of their own.
func TestWhatIsReservedDoesNothing(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", nil)
	s.raw(t, "PUT", "/box/k", []byte("kept"))
	for sub := range reserved {
		for _, target := range []string{"/box", "/box/k"} {
			for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
				l := ofBucket
				if target != "/box" {
					l = ofObject
				}
				if _, routed := routes[route{l, method, sub}]; routed {
					continue
				}
				if a := s.raw(t, method, target+"?"+sub, []byte("x")); a.status != 501 {
					t.Errorf("%s %s?%s: %d %s, want 501", method, target, sub, a.status, a.body)
				}
			}
		}
	}
	if a := s.raw(t, "GET", "/box/k", nil); a.body != "kept" {
		t.Errorf("the object is %q", a.body)
	}
}

// TestHeadersThatAReaderAsksFor: without a signature there are none, and the error has none of
// the object's; an empty type is no reason to guess one of the content.
func TestHeadersThatAReaderAsksFor(t *testing.T) {
	s := newServer(t)
	s.bucket(t, "box", &storagev1.BucketSpec{
		PublicAccessBlock: &storagev1.PublicAccessBlock{None: true},
		Policy: `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"}]}`,
	})
	s.raw(t, "PUT", "/box/k", []byte("<html>"), "Content-Encoding: br", "Content-Disposition: attachment")
	r := ok(http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/box/k?response-cache-control=no-store",
		nil))(t)
	wantBare(t, s.do(t, r), 400)
	for query, want := range map[string]string{
		"": defaultType, "?response-content-type=": defaultType, "?response-content-type=text%2Fcsv": "text/csv",
	} {
		if a := s.raw(t, "GET", "/box/k"+query, nil); a.status != 200 || a.header.Get("Content-Type") != want {
			t.Errorf("%q: %d, %q", query, a.status, a.header.Get("Content-Type"))
		}
	}
}
