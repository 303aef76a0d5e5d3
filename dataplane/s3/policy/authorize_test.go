package policy

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Those who ask: two keys of the owner, one of another organization, and somebody.
var (
	owners   = Caller{Organization: "acme", Key: "admin", KeyID: "AKOWNER"}
	alice    = Caller{Organization: "acme", Key: "alice", KeyID: "AKALICE"}
	bob      = Caller{Organization: "other", Key: "bob", KeyID: "AKBOB"}
	somebody = Caller{}
)

const (
	enforced  = storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED
	preferred = storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_PREFERRED
	writer    = storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER
)

// open blocks nothing; without it all public access is blocked.
var open = &storagev1.PublicAccessBlock{}

func allow(principal, actions, resources string, rest ...string) string {
	return stmt("Allow", principal, actions, resources, rest...)
}

func deny(principal, actions, resources string, rest ...string) string {
	return stmt("Deny", principal, actions, resources, rest...)
}

func stmt(effect, principal, action, resource string, rest ...string) string {
	s := fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%q,"Resource":"arn:aws:s3:::%s"`, effect, principal, action,
		resource)
	for _, r := range rest {
		s += "," + r
	}
	return s + "}"
}

func doc(statements ...string) string {
	s := `{"Version":"2012-10-17","Statement":[`
	for i, x := range statements {
		if i > 0 {
			s += ","
		}
		s += x
	}
	return s + "]}"
}

const (
	anyone   = `"*"`
	isAlice  = `{"AWS":"arn:aws:iam::acme:user/alice"}`
	isAcme   = `{"AWS":"arn:aws:iam::acme:root"}`
	isBob    = `{"AWS":"arn:aws:iam::other:user/bob"}`
	isOther  = `{"AWS":"other"}`
	isOther2 = `{"AWS":["arn:aws:iam::nobody:root","arn:aws:iam::other:root"]}`
)

var isCanonicalOther = fmt.Sprintf(`{"CanonicalUser":%q}`, CanonicalID("other"))

func scopeOf(actions []string, resources ...string) []*storagev1.Scope {
	return []*storagev1.Scope{{Actions: actions, Resources: resources}}
}

var (
	readPhotos   = scopeOf([]string{"read"}, "photos", "photos/*")
	readPhotosIn = scopeOf([]string{"read"}, "photos/in/*")
	nothing      = scopeOf([]string{"s3:GetBucketWebsite"}, "else")
)

func grantTo(org string, p storagev1.Grant_Permission) *storagev1.Grant {
	return grant(CanonicalID(org), p)
}

// canned for owner acme unless told otherwise.
func canned(t *testing.T, name, owner string) []*storagev1.Grant {
	t.Helper()
	g, err := Canned(name, CanonicalID(owner), CanonicalID("acme"))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// row is one decision: who asks for what, what is set up, what is decided and why.
type row struct {
	who    Caller
	action string
	key    string
	scopes []*storagev1.Scope

	policy    string
	block     *storagev1.PublicAccessBlock
	ownership storagev1.BucketSpec_Ownership
	bucketACL string
	grants    []*storagev1.Grant // instead of bucketACL

	object    string // owner of the object; empty: none is given
	objectACL string
	change    func(*Request)

	want Reason
}

const fc = storagev1.Grant_PERMISSION_FULL_CONTROL

// prefixed asks for a listing of a prefix.
func prefixed(prefix string) func(*Request) {
	return func(q *Request) {
		q.Query = func(name string) (string, bool) { return prefix, name == "prefix" }
	}
}

func TestDecisions(t *testing.T) {
	if len(rows) < 80 {
		t.Fatalf("only %d rows", len(rows))
	}
	for i, r := range rows {
		t.Run(fmt.Sprintf("%03d", i), func(t *testing.T) {
			q, scopes, b, o := r.build(t)
			if got := Authorize(q, scopes, b, o); got != r.want {
				t.Errorf("%s of %q by %+v: %v; want %v\npolicy %s", r.action, r.key, r.who, got, r.want, r.policy)
			}
		})
	}
}

func (r *row) build(t *testing.T) (*Request, *Scopes, *Bucket, *Object) {
	t.Helper()
	scopes, err := CompileScopes(r.scopes)
	if err != nil {
		t.Fatal(err)
	}
	b := &Bucket{Owner: "acme", Ownership: r.ownership, Block: r.block, Grants: r.grants}
	if r.bucketACL != "" {
		b.Grants = canned(t, r.bucketACL, "acme")
	}
	if r.policy != "" {
		if b.Policy, err = Compile([]byte(r.policy), "photos"); err != nil {
			t.Fatal(err)
		}
	}
	var o *Object
	if r.object != "" {
		o = &Object{Owner: r.object, Grants: canned(t, r.objectACL, r.object)}
	}
	q := request(r.who, r.action, r.key)
	if r.change != nil {
		r.change(q)
	}
	return q, scopes, b, o
}

func request(who Caller, action, key string) *Request {
	q := &Request{
		Action: action, Bucket: "photos", Key: key, Caller: who, Now: now, SourceIP: netip.MustParseAddr("192.0.2.7"),
		TLS:    tls.VersionTLS13,
		Region: "home", Owner: "acme", Header: http.Header{
			"User-Agent": {"curl/8"},
			"Referer":    {"https://example.com/a"},
		},
	}
	if !who.Anonymous() {
		q.AuthType, q.SignatureVersion = "REST-HEADER", "AWS4-HMAC-SHA256"
	}
	return q
}

// TestWithoutBucket: only scopes count.
func TestWithoutBucket(t *testing.T) {
	for _, c := range []struct {
		who    Caller
		scopes []*storagev1.Scope
		want   Reason
	}{
		{owners, nil, AllowedByScopes},
		{somebody, nil, NotGranted},
		{alice, readPhotos, DeniedByScopes},
		{alice, scopeOf([]string{"read"}), AllowedByScopes},
		{alice, scopeOf([]string{"read"}, "*"), AllowedByScopes},
		{alice, scopeOf([]string{"write"}, "*"), DeniedByScopes},
	} {
		scopes, err := CompileScopes(c.scopes)
		if err != nil {
			t.Fatal(err)
		}
		if got := Authorize(&Request{Action: ListAllMyBuckets, Caller: c.who}, scopes, nil, nil); got != c.want {
			t.Errorf("%+v with %v: %v, want %v", c.who, c.scopes, got, c.want)
		}
	}
}

func TestScopesAreRead(t *testing.T) {
	for _, s := range []*storagev1.Scope{
		{Actions: []string{"s3:Frobnicate"}},
		{Actions: []string{"ec2:*"}},
		{Actions: []string{"Read"}},
		{Actions: []string{""}},
		{Actions: []string{"read"}, Resources: []string{""}},
		{Actions: []string{"read"}, Resources: []string{"/key"}},
	} {
		if _, err := CompileScopes([]*storagev1.Scope{s}); err == nil {
			t.Errorf("%v was taken", s)
		}
	}
	if s, err := CompileScopes([]*storagev1.Scope{{
		Actions:   []string{"s3:get*", "write"},
		Resources: []string{"arn:aws:s3:::b/*"},
	}}); err != nil || s.Unlimited() ||
		!s.Allow(&Request{Action: GetObject, Bucket: "b", Key: "k"}) {
		t.Errorf("%v", err)
	}
}

// TestDecisionsAllocateNothing in the cases that are common.
func TestDecisionsAllocateNothing(t *testing.T) {
	p := doc(deny(anyone, "s3:*", "photos/*", `"Condition":{"Bool":{"aws:SecureTransport":"false"}}`),
		allow(isBob, "s3:Get*", "photos/*",
			`"Condition":{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","2001:db8::/32"]},"DateLessThan":{"aws:CurrentTime":"2030-01-01T00:00:00Z"},"StringLike":{"aws:Referer":"https://example.com/*"}}`))
	for _, r := range []row{
		{who: owners, action: GetObject, key: "a/b/c.jpg"},
		{who: owners, action: GetObject, key: "a/b/c.jpg", policy: p},
		{who: bob, action: GetObject, key: "a/b/c.jpg", policy: p, scopes: readPhotos},
		{
			who: somebody, action: GetObject, key: "k", block: open,
			policy: doc(allow(anyone, "s3:GetObject", "photos/*")),
		},
		{
			who: somebody, action: GetObject, key: "k", block: open, ownership: writer, object: "acme",
			objectACL: PublicRead,
		},
	} {
		q, scopes, b, o := r.build(t)
		if !Authorize(q, scopes, b, o).Allowed() {
			t.Fatalf("%+v is not allowed", r)
		}
		if n := testing.AllocsPerRun(100, func() { Authorize(q, scopes, b, o) }); n > 0 {
			t.Errorf("%v allocations for %s by %q", n, r.action, r.who.Key)
		}
	}
}

func BenchmarkAuthorize(b *testing.B) {
	p, err := Compile([]byte(doc(deny(anyone, "s3:*", "photos/*",
		`"Condition":{"Bool":{"aws:SecureTransport":"false"}}`),
		allow(isBob, "s3:Get*", "photos/*"))), "photos")
	if err != nil {
		b.Fatal(err)
	}
	bucket := &Bucket{Owner: "acme", Policy: p}
	for name, who := range map[string]Caller{"owner": owners, "other": bob} {
		b.Run(name, func(b *testing.B) {
			q := request(who, GetObject, "year=2026/month=11/day=23/photo-000001.jpg")
			b.ReportAllocs()
			for b.Loop() {
				Authorize(q, nil, bucket, nil)
			}
		})
	}
}

func TestCannedACLs(t *testing.T) {
	for name, n := range map[string]int{
		"": 1, Private: 1, PublicRead: 2, PublicReadWrite: 3, AuthenticatedRead: 2,
		AWSExecRead: 2, LogDeliveryWrite: 3, BucketOwnerRead: 2, BucketOwnerFullControl: 2,
	} {
		g, err := Canned(name, CanonicalID("w"), CanonicalID("o"))
		if err != nil || len(g) != n || g[0].GetGrantee() != CanonicalID("w") || g[0].GetPermission() != fc {
			t.Errorf("%q: %v, %v", name, g, err)
		}
	}
	if g, err := Canned(BucketOwnerRead, CanonicalID("w"), ""); err != nil || len(g) != 1 {
		t.Errorf("bucket-owner-read of a bucket: %v, %v", g, err)
	}
	if _, err := Canned("public", "", ""); s3xml.From(err).Code != s3xml.InvalidArgument {
		t.Errorf("an unknown one: %v", err)
	}
	if id := CanonicalID("acme"); len(id) != 64 || id == CanonicalID("acme2") || s3xml.CheckCanonicalID(id) != nil {
		t.Error("canonical IDs")
	}
}

func TestGrantHeaders(t *testing.T) {
	id := CanonicalID("other")
	for _, c := range []struct {
		name, value string
		n           int
		want        s3xml.Code
	}{
		{"X-Amz-Grant-Read", `id="` + id + `"`, 1, ""},
		{"X-Amz-Grant-Read", `id=` + id + `, uri="` + s3xml.AllUsers + `"`, 2, ""},
		{"X-Amz-Grant-Full-Control", `emailAddress="a@b"`, 0, s3xml.UnresolvableGrantByEmailAddress},
		{"X-Amz-Grant-Write", `uri="http://x"`, 0, s3xml.InvalidArgument},
		{"X-Amz-Grant-Write-Acp", `id="x"`, 0, s3xml.InvalidArgument},
		{"X-Amz-Grant-Read-Acp", `everybody`, 0, s3xml.InvalidArgument},
		{"X-Other", `id="x"`, 0, ""},
	} {
		g, err := HeaderGrants(http.Header{c.name: {c.value}})
		if len(g) != c.n || (err == nil) != (c.want == "") || err != nil && s3xml.From(err).Code != c.want {
			t.Errorf("%s: %s: %v, %v", c.name, c.value, g, err)
		}
	}
	if _, err := HeaderGrants(http.Header{
		"X-Amz-Acl":        {"private"},
		"X-Amz-Grant-Read": {"id=" + id},
	}); s3xml.From(err).Code != s3xml.InvalidRequest {
		t.Errorf("both: %v", err)
	}
	full := []*storagev1.Grant{grantTo("acme", fc)}
	for i, c := range []struct{ got, want bool }{
		{FitsEnforced("", nil, CanonicalID("acme"), true), true},
		{FitsEnforced(BucketOwnerFullControl, nil, CanonicalID("acme"), true), true},
		{FitsEnforced(Private, nil, CanonicalID("acme"), false), false},
		{FitsEnforced(Private, nil, CanonicalID("acme"), true), true},
		{FitsEnforced(PublicRead, nil, CanonicalID("acme"), false), false},
		{FitsEnforced("", full, CanonicalID("acme"), true), true},
		{FitsEnforced("", full, CanonicalID("other"), true), false},
		{FitsEnforced("", append(full, full[0]), CanonicalID("acme"), true), false},
	} {
		if c.got != c.want {
			t.Errorf("FitsEnforced %d: %v", i, c.got)
		}
	}
}
