package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// s3Request is an S3 request as a client signs it.
type s3Request struct {
	method, path, query, host string
	at                        time.Time
	region, id, secret        string
	body                      string
	unsigned                  bool // the body is not covered
}

// proof is the bearer token that an edge makes of it.
func (r s3Request) proof() string { return token(r.signed()) }

func (r s3Request) signed() sigv4.Proof {
	date := r.at.UTC().Format(sigv4.DateLayout)
	sum := sha256.Sum256([]byte(r.body))
	payload := hex.EncodeToString(sum[:])
	if r.unsigned {
		payload = "UNSIGNED-PAYLOAD"
	}
	canonical := strings.Join([]string{
		r.method, r.path, r.query, "host:" + r.host, "x-amz-date:" + date, "",
		"host;x-amz-date", payload,
	}, "\n")
	scope := date[:8] + "/" + r.region + "/s3/aws4_request"
	sum = sha256.Sum256([]byte(canonical))
	key := sigv4.Derive(r.secret, sigv4.Day(r.at), r.region)
	return sigv4.Proof{
		Credential: r.id + "/" + scope, Date: date, CanonicalRequest: []byte(canonical), Body: []byte(r.body),
		Signature: sigv4.Hex(sigv4.MAC(key[:], fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", date, scope, sum))),
	}
}

func token(p sigv4.Proof) string {
	text, err := p.Token()
	if err != nil {
		panic(err)
	}
	return text
}

func (i *installation) accessKey(org, name, spec string) (id, secret string) {
	i.t.Helper()
	out := i.must(200, i.admin, org, "POST", "/v1/accesskeys", `{"name":"accesskeys/`+name+`","spec":`+spec+`}`)
	st := out["status"].(map[string]any)
	return st["accessKeyId"].(string), st["secretAccessKey"].(string)
}

// submit makes a request as an edge's connection does.
func (i *installation) submit(method, token, org string, req proto.Message) (codes.Code, error) {
	i.t.Helper()
	b, err := proto.Marshal(req)
	if err != nil {
		i.t.Fatal(err)
	}
	_, err = i.srv.Invoke(i.t.Context(), method, token, org, "192.0.2.1", b)
	switch {
	case err == nil:
		return codes.OK, nil
	case errs.Is(err, errs.Denied):
		return codes.PermissionDenied, err
	case errs.Is(err, errs.Unauthenticated):
		return codes.Unauthenticated, err
	}
	return codes.Unknown, err
}

const bucketService = "/dark.storage.v1.BucketService/"

// TestASignedS3RequestIsACredentialForItselfAlone: what an edge may ask for with a
// customer's signed request, and all that it may not.
func TestASignedS3RequestIsACredentialForItselfAlone(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.organization("other", "dns:read")
	i.node("e1")
	id, secret := i.accessKey("acme", "all", `{}`)
	reader, readerSecret := i.accessKey("acme", "reader",
		`{"scopes":[{"actions":["read","write","s3:putbucketpolicy"],"resources":["photos"]}]}`)
	ended, endedSecret := i.accessKey("acme", "ended", `{}`)
	i.must(200, i.admin, "acme", "DELETE", "/v1/accesskeys/ended", "")
	good := s3Request{
		method: "PUT", path: "/photos", host: "s3.dark.test", at: time.Now(), region: "dark", id: id,
		secret: secret,
	}
	with := func(f func(*s3Request)) s3Request { r := good; f(&r); return r }
	key := func(id, secret string, f func(*s3Request)) s3Request {
		r := with(f)
		r.id, r.secret = id, secret
		return r
	}
	create := func(name string) proto.Message {
		return &storagev1.CreateBucketRequest{Bucket: &storagev1.Bucket{Name: "buckets/" + name}}
	}
	update := func(paths ...string) proto.Message {
		return &storagev1.UpdateBucketRequest{
			Bucket: &storagev1.Bucket{Name: "buckets/photos", Spec: &storagev1.BucketSpec{
				Versioning: storagev1.BucketSpec_VERSIONING_ENABLED, Policy: "{}", Tags: map[string]string{"a": "b"},
				EmptyAcl: true,
			}}, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		}
	}
	remove := &storagev1.DeleteBucketRequest{Name: "buckets/photos"}
	sub := func(method, query string) s3Request {
		return with(func(r *s3Request) { r.method, r.query = method, query })
	}
	bodies := map[string]string{
		"tagging=":    "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
		"versioning=": "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
		"policy=":     "{}",
		"acl=":        "<AccessControlPolicy><AccessControlList></AccessControlList></AccessControlPolicy>",
	}
	put := func(query string) s3Request {
		return with(func(r *s3Request) { r.query, r.body = query, bodies[query] })
	}
	changed := func(query, body string) s3Request {
		return with(func(r *s3Request) { r.query, r.body = query, body })
	}
	swapped := func(query, body string) string {
		p := put(query).signed()
		p.Body = []byte(body)
		return token(p)
	}
	uncovered := func(query string) s3Request {
		return with(func(r *s3Request) { r.query, r.body, r.unsigned = query, bodies[query], true })
	}
	other := func(change func(*storagev1.Bucket)) proto.Message {
		b := &storagev1.Bucket{Name: "buckets/photos", Spec: &storagev1.BucketSpec{}}
		change(b)
		return &storagev1.CreateBucketRequest{Bucket: b}
	}
	noPolicy := &storagev1.UpdateBucketRequest{
		Bucket:     &storagev1.Bucket{Name: "buckets/photos"},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"spec.policy"}},
	}
	none := func(*s3Request) {}
	forged := good.proof()
	for n, c := range []struct {
		name   string
		token  string
		org    string
		method string
		req    proto.Message
		want   codes.Code
	}{
		{"another bucket", good.proof(), "acme", "CreateBucket", create("theirs"), codes.PermissionDenied},
		{"its bucket's key", with(func(r *s3Request) {
			r.path = "/photos/x"
		}).proof(), "acme", "CreateBucket", create("photos"), codes.PermissionDenied},
		{"a GET", with(func(r *s3Request) {
			r.method = "GET"
		}).proof(), "acme", "CreateBucket", create("photos"), codes.PermissionDenied},
		{"a part of it", put("acl=").proof(), "acme", "CreateBucket", create("photos"), codes.PermissionDenied},
		{"an unknown query", put("zonk=").proof(), "acme", "CreateBucket", create("photos"), codes.PermissionDenied},
		{"another organization", good.proof(), "other", "CreateBucket", create("photos"), codes.PermissionDenied},
		{"signed long ago", with(func(r *s3Request) {
			r.at = r.at.Add(-16 * time.Minute)
		}).proof(), "acme", "CreateBucket", create("photos"), codes.Unauthenticated},
		{"signed in the future", with(func(r *s3Request) {
			r.at = r.at.Add(16 * time.Minute)
		}).proof(), "acme", "CreateBucket", create("photos"), codes.Unauthenticated},
		{
			"presigned", put("X-Amz-Expires=600").proof(), "acme", "CreateBucket", create("photos"),
			codes.Unauthenticated,
		},
		{"another region", with(func(r *s3Request) {
			r.region = "moon-1"
		}).proof(), "acme", "CreateBucket", create("photos"), codes.Unauthenticated},
		{"a wrong secret", with(func(r *s3Request) {
			r.secret = r.secret[1:] + "x"
		}).proof(), "acme", "CreateBucket", create("photos"), codes.Unauthenticated},
		{"an unknown key", with(func(r *s3Request) {
			r.id = "DKAAAAAAAAAAAAAAAAAA"
		}).proof(), "acme", "CreateBucket", create("photos"), codes.Unauthenticated},
		{
			"an ended key", key(ended, endedSecret, none).proof(), "acme", "CreateBucket", create("photos"),
			codes.Unauthenticated,
		},
		{
			"changed", forged[:len(forged)-9] + "AAAAAAAAA", "acme", "CreateBucket", create("photos"),
			codes.Unauthenticated,
		},
		{"no JSON", "sigv4.AAAA", "acme", "CreateBucket", create("photos"), codes.Unauthenticated},
		{"empty", "sigv4.", "acme", "CreateBucket", create("photos"), codes.Unauthenticated},
		{
			"no credential", token(sigv4.Proof{Credential: "////"}), "acme", "CreateBucket", create("photos"),
			codes.Unauthenticated,
		},
		{
			"scopes", key(reader, readerSecret, none).proof(), "acme", "CreateBucket", create("photos"),
			codes.PermissionDenied,
		},
		{
			"an access key", good.proof(), "acme", "/dark.storage.v1.AccessKeyService/CreateAccessKey",
			&storagev1.CreateAccessKeyRequest{AccessKey: &storagev1.AccessKey{Name: "accesskeys/photos"}},
			codes.PermissionDenied,
		},
		{
			"by the general service", good.proof(), "acme", "/dark.resource.v1.ResourceService/DeleteResource",
			&resourcev1.DeleteResourceRequest{Kind: "Bucket", Name: "photos"}, codes.PermissionDenied,
		},
		{
			"reading", good.proof(), "acme", "GetBucket", &storagev1.GetBucketRequest{Name: "buckets/photos"},
			codes.PermissionDenied,
		},
		{
			"lists of kinds", good.proof(), "acme", "/dark.resource.v1.ResourceService/ListKinds",
			&resourcev1.ListKindsRequest{}, codes.PermissionDenied,
		},

		{"with a public policy", good.proof(), "acme", "CreateBucket", other(func(b *storagev1.Bucket) {
			b.Spec.Policy = `{"Version":"2012-10-17","Statement":[]}`
		}), codes.PermissionDenied},
		{"with grants", good.proof(), "acme", "CreateBucket", other(func(b *storagev1.Bucket) {
			b.Spec.Ownership = storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER
		}), codes.PermissionDenied},
		{"in another region", good.proof(), "acme", "CreateBucket", other(func(b *storagev1.Bucket) {
			b.Spec.Region = "us-east-1"
		}), codes.PermissionDenied},
		{"with labels", good.proof(), "acme", "CreateBucket", other(func(b *storagev1.Bucket) {
			b.Labels = map[string]string{"a": "b"}
		}), codes.PermissionDenied},
		{
			"with a body put in",
			swapped("",
				"<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>"), "acme", "CreateBucket", other(func(b *storagev1.Bucket) {
				b.Spec.Region = "us-east-1"
			}), codes.Unauthenticated,
		},

		{"itself", good.proof(), "acme", "CreateBucket", create("photos"), codes.OK},
		{
			"of an object of that name", with(func(r *s3Request) {
				r.method, r.path, r.host = "DELETE", "/photos", "other.s3.dark.test"
			}).proof(), "acme", "DeleteBucket", &storagev1.DeleteBucketRequest{Name: "buckets/photos"},
			codes.PermissionDenied,
		},
		{"of a bucket with a longer name", with(func(r *s3Request) {
			r.path, r.host = "/", "photos.bucket.s3.dark.test"
		}).proof(), "acme", "CreateBucket", create("photos"), codes.PermissionDenied},
		{"by the name of a host that is none of ours", with(func(r *s3Request) {
			r.path, r.host = "/", "photos.s3.elsewhere.test"
		}).proof(), "acme", "CreateBucket", create("photos"), codes.PermissionDenied},
		{"by host", with(func(r *s3Request) {
			r.path, r.host = "/", "hosted.s3.dark.test:9000"
		}).proof(), "", "CreateBucket", create("hosted"), codes.OK},
		{"with the alias", with(func(r *s3Request) {
			r.path, r.region = "/aliased/", "us-east-1"
		}).proof(), "acme", "CreateBucket", create("aliased"), codes.OK},

		{
			"more than it is about", put("tagging=").proof(), "acme", "UpdateBucket",
			update("spec.tags", "spec.policy"),
			codes.PermissionDenied,
		},
		{
			"another part", put("tagging=").proof(), "acme", "UpdateBucket", update("spec.policy"),
			codes.PermissionDenied,
		},
		{"half of an ACL", put("acl=").proof(), "acme", "UpdateBucket", update("spec.grants"), codes.PermissionDenied},
		{
			"its other half", put("acl=").proof(), "acme", "UpdateBucket", update("spec.empty_acl"),
			codes.PermissionDenied,
		},
		{
			"a half of it twice", put("acl=").proof(), "acme", "UpdateBucket", update("spec.grants", "spec.grants"),
			codes.PermissionDenied,
		},
		{
			"an ACL, and tags", put("acl=").proof(), "acme", "UpdateBucket",
			update("spec.grants", "spec.empty_acl", "spec.tags"), codes.PermissionDenied,
		},
		{
			"an ACL", put("acl=").proof(), "acme", "UpdateBucket", update("spec.empty_acl", "spec.grants"),
			codes.OK,
		},
		{"all of it", put("tagging=").proof(), "acme", "UpdateBucket", update(), codes.PermissionDenied},
		{"labels", put("tagging=").proof(), "acme", "UpdateBucket", update("labels"), codes.PermissionDenied},
		{"no part", good.proof(), "acme", "UpdateBucket", update("spec.tags"), codes.PermissionDenied},
		{
			"versioning is not deleted", sub("DELETE", "versioning=").proof(), "acme", "UpdateBucket",
			update("spec.versioning"), codes.PermissionDenied,
		},
		{"tags", put("tagging=").proof(), "acme", "UpdateBucket", update("spec.tags"), codes.OK},
		{"versioning", put("versioning=").proof(), "acme", "UpdateBucket", update("spec.versioning"), codes.OK},
		{
			"another policy", changed("policy=", `{"Version":"2012-10-17"}`).proof(), "acme", "UpdateBucket",
			update("spec.policy"), codes.PermissionDenied,
		},
		{
			"a policy put in", swapped("policy=", `{"Version":"2012-10-17"}`), "acme", "UpdateBucket",
			update("spec.policy"), codes.Unauthenticated,
		},
		{
			"a policy that nothing covers", uncovered("policy=").proof(), "acme", "UpdateBucket", update("spec.policy"),
			codes.PermissionDenied,
		},
		{
			"other tags", changed("tagging=", "<Tagging><TagSet></TagSet></Tagging>").proof(), "acme", "UpdateBucket",
			update("spec.tags"), codes.PermissionDenied,
		},
		{
			"a policy's end, and a policy", sub("DELETE", "policy=").proof(), "acme", "UpdateBucket",
			update("spec.policy"), codes.PermissionDenied,
		},
		{"a policy's end", sub("DELETE", "policy=").proof(), "acme", "UpdateBucket", noPolicy, codes.OK},
		{"within scopes, whose letters are large or small", key(reader, readerSecret, func(r *s3Request) {
			r.query, r.body = "policy=", "{}"
		}).proof(), "acme", "UpdateBucket", update("spec.policy"), codes.OK},
		{"out of scopes", key(reader, readerSecret, func(r *s3Request) {
			r.query, r.body = "tagging=", bodies["tagging="]
		}).proof(), "acme", "UpdateBucket", update("spec.tags"), codes.PermissionDenied},

		{"delete with a PUT", good.proof(), "acme", "DeleteBucket", remove, codes.PermissionDenied},
		{
			"delete of a policy", sub("DELETE", "policy=").proof(), "acme", "DeleteBucket", remove,
			codes.PermissionDenied,
		},
		{"delete", sub("DELETE", "").proof(), "acme", "DeleteBucket", remove, codes.OK},
	} {
		method := c.method
		if !strings.HasPrefix(method, "/") {
			method = bucketService + method
		}
		if code, err := i.submit(method, c.token, c.org, c.req); code != c.want {
			t.Errorf("%d %s: %v, want %v", n, c.name, err, c.want)
		}
	}
	out := i.must(200, i.admin, "acme", "GET", "/v1/buckets/hosted", "")
	if field(out, "organization") != "acme" {
		t.Errorf("%v", out)
	}
	if s := fmt.Sprint(out); strings.Contains(s, "sealed") || strings.Contains(s, "keys") {
		t.Errorf("a bucket's keys are shown: %v", out)
	}
}

// TestAProofIsNoBearerToken: what an edge may ask for with a signed request, nobody else may
// ask for with it, who saw it on its way.
func TestAProofIsNoBearerToken(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.node("e1")
	id, secret := i.accessKey("acme", "all", `{}`)
	proof := s3Request{
		method: "PUT", path: "/photos", host: "s3.dark.test", at: time.Now(), region: "dark", id: id,
		secret: secret,
	}.proof()
	create := &storagev1.CreateBucketRequest{Bucket: &storagev1.Bucket{Name: "buckets/photos"}}
	for _, mark := range []string{"", "guess"} {
		ctx := metadata.AppendToOutgoingContext(as(t.Context(), proof, "acme"), "dark-submit", mark)
		if err := i.conn.Invoke(ctx, bucketService+"CreateBucket", create,
			&storagev1.Bucket{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("gRPC, marked %q: %v", mark, err)
		}
	}
	if code, out := i.rest(proof, "acme", "POST", "/v1/buckets", `{"name":"buckets/photos"}`); code != 401 {
		t.Errorf("REST: %d %v", code, out)
	}
	if code, err := i.submit(bucketService+"CreateBucket", proof, "acme", create); code != codes.OK {
		t.Errorf("submitted by an edge: %v", err)
	}
}

// TestAKeyMayLeaveDocumentsUnsigned, where its owner said so: the document is then the one
// that the edge forwarded. The rest is held against the signature as ever.
func TestAKeyMayLeaveDocumentsUnsigned(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.node("e1")
	i.must(200, i.admin, "acme", "POST", "/v1/buckets", `{"name":"buckets/photos"}`)
	i.must(200, i.admin, "acme", "POST", "/v1/buckets", `{"name":"buckets/other"}`)
	strict, strictSecret := i.accessKey("acme", "strict", `{}`)
	loose, looseSecret := i.accessKey("acme", "loose", `{"unsignedDocuments":true}`)
	put := s3Request{
		method: "PUT", path: "/photos", query: "policy=", host: "s3.dark.test", at: time.Now(),
		region: "dark", id: loose, secret: looseSecret, body: "{}", unsigned: true,
	}
	with := func(f func(*s3Request)) string { r := put; f(&r); return r.proof() }
	update := func(bucket, policy string) proto.Message {
		return &storagev1.UpdateBucketRequest{
			Bucket:     &storagev1.Bucket{Name: "buckets/" + bucket, Spec: &storagev1.BucketSpec{Policy: policy}},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"spec.policy"}},
		}
	}
	swapped := s3Request{
		method: "PUT", path: "/photos", query: "policy=", host: "s3.dark.test", at: time.Now(),
		region: "dark", id: loose, secret: looseSecret,
	}.signed()
	swapped.Body = []byte("{}")
	for _, c := range []struct {
		name, token string
		req         proto.Message
		want        codes.Code
	}{
		{"of a key that may not", with(func(r *s3Request) {
			r.id, r.secret = strict, strictSecret
		}), update("photos", "{}"), codes.PermissionDenied},
		{"for another bucket", put.proof(), update("other", "{}"), codes.PermissionDenied},
		{
			"for another document than was forwarded", put.proof(), update("photos", `{"Version":"2012-10-17"}`),
			codes.PermissionDenied,
		},
		{"signed long ago", with(func(r *s3Request) {
			r.at = r.at.Add(-16 * time.Minute)
		}), update("photos", "{}"), codes.Unauthenticated},
		{"with a wrong secret", with(func(r *s3Request) {
			r.secret = strictSecret
		}), update("photos", "{}"), codes.Unauthenticated},
		{"with another document than was signed", token(swapped), update("photos", "{}"), codes.Unauthenticated},
		{"itself", put.proof(), update("photos", "{}"), codes.OK},
	} {
		code, err := i.submit(bucketService+"UpdateBucket", c.token, "acme", c.req)
		if code != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.name == "of a key that may not" && (err == nil || !strings.Contains(err.Error(),
			"spec.unsigned_documents") || !strings.Contains(err.Error(), "--unsigned-documents")) {
			t.Errorf("the refusal names no next step: %v", err)
		}
	}
}

// TestSecretsOfStorageAreNeverShown: in no answer but that of the creation.
func TestSecretsOfStorageAreNeverShown(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.node("e1")
	id, secret := i.accessKey("acme", "one", `{}`)
	i.must(200, i.admin, "acme", "POST", "/v1/encryptionkeys", `{"name":"encryptionkeys/one"}`)
	i.must(200, i.admin, "acme", "POST", "/v1/buckets",
		`{"name":"buckets/one","spec":{"encryption":{"encryptionKey":"encryptionkeys/one"}}}`)
	for _, path := range []string{
		"GET /v1/accesskeys/one", "GET /v1/accesskeys", "GET /v1/buckets", "GET /v1/buckets/one",
		"GET /v1/encryptionkeys", "GET /v1/encryptionkeys/one",
		"PATCH /v1/accesskeys/one", "PATCH /v1/buckets/one", "PATCH /v1/encryptionkeys/one",
		"GET /v1/history/AccessKey/one", "GET /v1/audit",
	} {
		method, path, _ := strings.Cut(path, " ")
		body := ""
		if method == "PATCH" {
			body = `{"labels":{"a":"b"}}`
		}
		_, out := i.rest(i.admin, "acme", method, path, body)
		s := fmt.Sprint(out)
		if strings.Contains(s, secret) || strings.Contains(s, "sealed") || strings.Contains(s, "keys:[") {
			t.Errorf("%s %s: %s", method, path, s)
		}
		if strings.Contains(path, "accesskeys") && !strings.Contains(s, id) {
			t.Errorf("%s %s does not show the ID: %s", method, path, s)
		}
	}
}

// TestARollbackDoesNotPretend: what a deletion destroyed does not come back as something
// empty of the same name; the rest does.
func TestARollbackDoesNotPretend(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.node("e1")
	i.must(200, i.admin, "acme", "POST", "/v1/encryptionkeys", `{"name":"encryptionkeys/one"}`)
	kept := i.must(200, i.admin, "acme", "POST", "/v1/buckets", `{"name":"buckets/photos"}`)
	i.must(200, i.admin, "acme", "PATCH", "/v1/buckets/photos", `{"labels":{"a":"b"}}`)
	back := fmt.Sprintf(`{"toRevision":"%v"}`, field(kept, "revision"))
	i.must(200, i.admin, "acme", "POST", "/v1/rollback", back)
	for _, what := range []string{"buckets/photos", "encryptionkeys/one"} {
		i.must(200, i.admin, "acme", "DELETE", "/v1/"+what, "")
		code, out := i.rest(i.admin, "acme", "POST", "/v1/rollback", back)
		if text := fmt.Sprint(out); code != 412 || !strings.Contains(text, what+" cannot come back") {
			t.Errorf("%s: %d %v", what, code, out)
		}
		if code, _ := i.rest(i.admin, "acme", "GET", "/v1/"+what, ""); code != 404 {
			t.Errorf("%s: %d after the refusal", what, code)
		}
		i.must(200, i.admin, "acme", "POST", "/v1/"+strings.Split(what, "/")[0], `{"name":"`+what+`"}`)
	}
}
