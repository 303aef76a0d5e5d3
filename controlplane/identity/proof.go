package identity

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// ProofPrefix begins a bearer token that is a customer's signed S3 request: an edge sends
// it with what that request asked for. After it stands, in unpadded URL-safe base 64, the
// JSON that dataplane/s3/signature documents at its Proof.
const ProofPrefix = "sigv4."

const (
	maxProof   = 64 << 10 // octets in base 64; headers of a request are fewer
	proofSkew  = 15 * time.Minute
	dateLayout = "20060102T150405Z"
)

var accessKeyKind = string((&storagev1.AccessKey{}).ProtoReflect().Descriptor().FullName())

// AccessKeys is how the secrets of S3 access keys are opened, and for which regions
// requests may be signed.
type AccessKeys struct {
	Secret  func(*storagev1.AccessKey) (string, error)
	Regions []string
}

// signed is a request as a customer signed it.
type signed struct {
	Credential       string `json:"credential"`
	Date             string `json:"date"`
	CanonicalRequest string `json:"canonical_request"`
	Signature        string `json:"signature"`

	id, day, region           string    // of Credential
	time                      time.Time // of Date
	method, path, query, host string    // of CanonicalRequest
}

var errProof = errs.New(errs.Unauthenticated, "the proof of a signed request is malformed, or is not one of its access key")

// readProof reads a token; what it says is not verified yet.
func readProof(token string) (*signed, error) {
	if len(token) > maxProof {
		return nil, errs.New(errs.Unauthenticated, "the proof of a signed request has more than %d octets", maxProof)
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, ProofPrefix))
	if err != nil {
		return nil, errProof
	}
	p := &signed{}
	if json.Unmarshal(b, p) != nil {
		return nil, errProof
	}
	scope := strings.Split(p.Credential, "/")
	if len(scope) != 5 || scope[3] != "s3" || scope[4] != "aws4_request" {
		return nil, errProof
	}
	p.id, p.day, p.region = scope[0], scope[1], scope[2]
	if p.time, err = time.Parse(dateLayout, p.Date); err != nil || !strings.HasPrefix(p.Date, p.day+"T") {
		return nil, errProof
	}
	// CanonicalRequest: method, path, query, a line for each header, an empty one, the
	// names of signed headers, the hash of the body.
	lines := strings.Split(p.CanonicalRequest, "\n")
	if len(lines) < 6 {
		return nil, errProof
	}
	p.method, p.path, p.query = lines[0], lines[1], lines[2]
	for _, l := range lines[3 : len(lines)-3] {
		if host, ok := strings.CutPrefix(l, "host:"); ok {
			p.host = host
		}
	}
	return p, nil
}

// verify holds the signature against the secret (AWS Signature Version 4).
func (p *signed) verify(secret string, regions []string, now time.Time) error {
	if d := now.Sub(p.time); d > proofSkew || d < -proofSkew {
		return errs.New(errs.Unauthenticated, "the request was signed more than %v from now", proofSkew)
	}
	if strings.Contains(p.query, "X-Amz-Expires=") {
		return errs.New(errs.Unauthenticated, "a presigned request changes no bucket: sign it in its headers")
	}
	if !slices.Contains(regions, p.region) {
		return errProof
	}
	body := sha256.Sum256([]byte(p.CanonicalRequest))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", p.Date, p.day + "/" + p.region + "/s3/aws4_request", hex.EncodeToString(body[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{p.day, p.region, "s3", "aws4_request", toSign} {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(part))
		key = m.Sum(nil)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(p.Signature)) {
		return errProof
	}
	return nil
}

// proven returns the caller that a proof stands for. They may do what was signed, in
// their key's own organization, and nothing else.
func (a *Authenticator) proven(p *signed, organization string) (Caller, error) {
	r, err := a.State.At(0)
	if err != nil {
		return Caller{}, err
	}
	defer r.Close()
	key, home, err := a.accessKey(r, p.id)
	if err != nil {
		return Caller{}, err
	}
	secret, err := a.AccessKeys.Secret(key)
	if err != nil {
		return Caller{}, err
	}
	now := a.Clock.Now()
	if err := p.verify(secret, a.AccessKeys.Regions, now); err != nil {
		return Caller{}, err
	}
	if t := key.GetSpec().GetExpireTime(); t != nil && !now.Before(t.AsTime()) {
		return Caller{}, errToken
	}
	c := Caller{Who: "accesskey:" + p.id, Organization: home, Permissions: []string{"storage:write"}}
	c.Limit = func(method string, req proto.Message) error { return p.allows(key, method, req) }
	if organization != "" && organization != home {
		return Caller{}, errs.New(errs.Denied, "%s may not act in organization %q", c.Who, organization)
	}
	return c, nil
}

// accessKey finds an access key by its ID through the index that its admission keeps.
func (a *Authenticator) accessKey(r admit.Reader, id string) (*storagev1.AccessKey, string, error) {
	if a.AccessKeys.Secret == nil {
		return nil, "", errProof
	}
	v, _, err := a.State.Meta(AccessKeyMeta(id))
	if err != nil {
		return nil, "", err
	}
	org, name, ok := strings.Cut(string(v), "\x00")
	if !ok {
		return nil, "", errToken
	}
	ver, ok, err := r.Get(accessKeyKind, org, name)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", errToken
	}
	m, err := admit.Decode(accessKeyKind, ver.Value)
	if err != nil {
		return nil, "", err
	}
	key := m.(*storagev1.AccessKey)
	if key.GetStatus().GetAccessKeyId() != id {
		return nil, "", errToken
	}
	return key, org, nil
}

// part is one part of a bucket's configuration as S3 has it: the query's subresource, the
// action that a PUT or DELETE of it needs, and the fields of the spec that it is about.
type part struct {
	put, delete string
	fields      []string
}

var parts = map[string]part{
	"acl":               {"s3:PutBucketAcl", "", []string{"spec.grants"}},
	"cors":              {"s3:PutBucketCORS", "s3:PutBucketCORS", []string{"spec.cors_rules"}},
	"encryption":        {"s3:PutEncryptionConfiguration", "s3:PutEncryptionConfiguration", []string{"spec.encryption"}},
	"lifecycle":         {"s3:PutLifecycleConfiguration", "s3:PutLifecycleConfiguration", []string{"spec.lifecycle_rules"}},
	"ownershipControls": {"s3:PutBucketOwnershipControls", "s3:PutBucketOwnershipControls", []string{"spec.ownership"}},
	"policy":            {"s3:PutBucketPolicy", "s3:DeleteBucketPolicy", []string{"spec.policy"}},
	"publicAccessBlock": {"s3:PutBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock", []string{"spec.public_access_block"}},
	"tagging":           {"s3:PutBucketTagging", "s3:PutBucketTagging", []string{"spec.tags"}},
	"versioning":        {"s3:PutBucketVersioning", "", []string{"spec.versioning"}},
}

// allows says whether a request of the API is what was signed, and what the key's scopes
// let it do.
func (p *signed) allows(key *storagev1.AccessKey, method string, req proto.Message) error {
	action, bucket, err := p.asks(req)
	if err == nil && !p.names(bucket) {
		err = errors.New("it names another bucket")
	}
	if err != nil {
		return errs.New(errs.Denied, "the signed request %s %s is not for %s: %v", p.method, p.path, path.Base(method), err)
	}
	if !scopesAllow(key.GetSpec().GetScopes(), action, bucket) {
		return errs.New(errs.Denied, "accesskey:%s lacks %s on %s", p.id, action, bucket)
	}
	return nil
}

// asks is the action and the bucket that a request of the API stands for, if that is what
// was signed.
func (p *signed) asks(req proto.Message) (action, bucket string, err error) {
	sub, query := p.subresource()
	plain := query == "" || query == "x-id"
	switch q := req.(type) {
	case *storagev1.CreateBucketRequest:
		if p.method != "PUT" || !plain {
			err = errors.New("it makes no bucket")
		}
		return "s3:CreateBucket", bucketOf(q.GetBucket().GetName()), err
	case *storagev1.DeleteBucketRequest:
		if p.method != "DELETE" || !plain {
			err = errors.New("it deletes no bucket")
		}
		return "s3:DeleteBucket", bucketOf(q.GetName()), err
	case *storagev1.UpdateBucketRequest:
		action = sub.put
		if p.method == "DELETE" {
			action = sub.delete
		}
		switch {
		case p.method != "PUT" && p.method != "DELETE" || action == "":
			err = errors.New("it changes no configuration")
		case len(q.GetUpdateMask().GetPaths()) == 0 || !subset(q.GetUpdateMask().GetPaths(), sub.fields) || q.GetAllowMissing():
			err = fmt.Errorf("it is about %s alone", strings.Join(sub.fields, ", "))
		}
		return action, bucketOf(q.GetBucket().GetName()), err
	}
	return "", "", errors.New("such a request is no S3 request")
}

func bucketOf(name string) string { return strings.TrimPrefix(name, "buckets/") }

func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// subresource is the part of the configuration that the query names, and that name; or
// any parameter's, so that a query is not taken for none.
func (p *signed) subresource() (part, string) {
	name := ""
	for _, param := range strings.Split(p.query, "&") {
		n, _, _ := strings.Cut(param, "=")
		if x, ok := parts[n]; ok {
			return x, n
		}
		if n != "x-id" || name == "" {
			name = n
		}
	}
	return part{}, name
}

// names says whether the request is for a bucket itself: by its path, or by its host with
// an empty path.
func (p *signed) names(bucket string) bool {
	if bucket == "" || strings.Contains(bucket, "/") {
		return false
	}
	if p.path == "/"+bucket || p.path == "/"+bucket+"/" {
		return true
	}
	return p.path == "/" && strings.HasPrefix(strings.ToLower(p.host), bucket+".")
}

// scopesAllow is what edges decide of a bucket's configuration: a resource with a slash
// is about keys and not about that.
func scopesAllow(scopes []*storagev1.Scope, action, bucket string) bool {
	for _, s := range scopes {
		resource := len(s.GetResources()) == 0 || slices.ContainsFunc(s.GetResources(), func(pattern string) bool {
			pattern = strings.TrimPrefix(pattern, "arn:aws:s3:::")
			ok, err := path.Match(pattern, bucket)
			return !strings.Contains(pattern, "/") && ok && err == nil
		})
		if resource && slices.ContainsFunc(s.GetActions(), func(pattern string) bool {
			ok, err := path.Match(pattern, action)
			return ok && err == nil
		}) {
			return true
		}
	}
	return len(scopes) == 0
}
