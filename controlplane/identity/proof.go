package identity

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// ProofPrefix begins a bearer token that is a customer's signed S3 request (sigv4.Proof):
// an edge sends it with what that request asked for.
const ProofPrefix = sigv4.Prefix

var accessKeyKind = string((&storagev1.AccessKey{}).ProtoReflect().Descriptor().FullName())

// AccessKeys is how the secrets of S3 access keys are opened, and what is made of requests
// that they signed.
type AccessKeys struct {
	Secret  func(*storagev1.AccessKey) (string, error)
	Regions []string // that requests may be signed for
	// Allow and Asked are the S3 service's own, which edges run. Allow says whether scopes
	// let a key do an action on a bucket; Asked is the configuration that a signed request
	// of an organization's asks for: all of a new bucket's, or the one field that it is about.
	Allow func(scopes []*storagev1.Scope, action, bucket string) bool
	Asked func(organization string, r *sigv4.Signed) (*storagev1.BucketSpec, error)
	// Hosts are those whose names name buckets.
	Hosts sigv4.Hosts
}

// refusedProof makes an error of what sigv4 found wrong.
func refusedProof(err error) error {
	if errors.Is(err, sigv4.ErrUncovered) {
		return errs.New(errs.Denied, "%s; or let this access key leave documents unsigned: spec.unsigned_documents,"+
			" dark accesskeys create NAME --unsigned-documents", err.Error())
	}
	return errs.New(errs.Unauthenticated, "%s", err.Error())
}

// proven returns the caller that a proof stands for. They may do what was signed, in
// their key's own organization, and nothing else.
func (a *Authenticator) proven(p *sigv4.Signed, organization string) (Caller, error) {
	r, err := a.State.At(0)
	if err != nil {
		return Caller{}, err
	}
	defer r.Close()
	key, home, err := a.accessKey(r, p.AccessKeyID)
	if err != nil {
		return Caller{}, err
	}
	secret, err := a.AccessKeys.Secret(key)
	if err != nil {
		return Caller{}, err
	}
	now := a.Clock.Now()
	err = p.Verify(secret, a.AccessKeys.Regions, now)
	if errors.Is(err, sigv4.ErrUncovered) && key.GetSpec().GetUnsignedDocuments() {
		err = nil // the head is the key's; its document is the one that the edge forwarded
	}
	if err != nil {
		return Caller{}, refusedProof(err)
	}
	if t := key.GetSpec().GetExpireTime(); t != nil && !now.Before(t.AsTime()) {
		return Caller{}, errToken
	}
	c := Caller{Who: "accesskey:" + p.AccessKeyID, Organization: home, Permissions: []string{"storage:write"}}
	c.Limit = func(method string, req proto.Message) error { return a.AccessKeys.allows(home, key, p, method, req) }
	if organization != "" && organization != home {
		return Caller{}, errs.New(errs.Denied, "%s may not act in organization %q", c.Who, organization)
	}
	return c, nil
}

// accessKey finds an access key by its ID through the index that its admission keeps.
func (a *Authenticator) accessKey(r admit.Reader, id string) (*storagev1.AccessKey, string, error) {
	if a.AccessKeys.Secret == nil {
		return nil, "", refusedProof(sigv4.ErrProof)
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

// allows says whether a request of the API is what was signed, and what the key's scopes
// let it do.
func (k *AccessKeys) allows(organization string, key *storagev1.AccessKey, p *sigv4.Signed, method string,
	req proto.Message,
) error {
	action, bucket, err := k.asks(organization, p, req)
	if err == nil && !p.Names(bucket, k.Hosts) {
		err = errors.New("it names another bucket; one in the name of the host needs --s3-domain at control nodes, too")
	}
	if err != nil {
		return errs.New(errs.Denied, "the signed request %s %s is not for %s: %v", p.Method, p.Path, path.Base(method),
			err)
	}
	if !k.Allow(key.GetSpec().GetScopes(), action, bucket) {
		return errs.New(errs.Denied, "accesskey:%s lacks %s on %s", p.AccessKeyID, action, bucket)
	}
	return nil
}

// asks is the action and the bucket that a request of the API stands for, if that is what
// was signed: the method, the sub-resource, and each value that would be written.
func (k *AccessKeys) asks(organization string, p *sigv4.Signed, req proto.Message) (action, bucket string, err error) {
	_, _, plain := p.Part()
	switch q := req.(type) {
	case *storagev1.CreateBucketRequest:
		if p.Method != http.MethodPut || !plain {
			return "", "", errors.New("it makes no bucket")
		}
		return sigv4.CreateBucket, bucketOf(q.GetBucket().GetName()), k.newBucket(organization, p, q.GetBucket())
	case *storagev1.DeleteBucketRequest:
		if p.Method != http.MethodDelete || !plain {
			return "", "", errors.New("it deletes no bucket")
		}
		return sigv4.DeleteBucket, bucketOf(q.GetName()), nil
	case *storagev1.UpdateBucketRequest:
		return k.update(organization, p, q)
	}
	return "", "", errors.New("such a request is no S3 request")
}

// newBucket holds a new bucket against what was signed. The cell is not the customer's to
// say in S3: an edge asks for buckets in its own (see Node.submit).
func (k *AccessKeys) newBucket(organization string, p *sigv4.Signed, b *storagev1.Bucket) error {
	want, err := k.Asked(organization, p)
	if err != nil {
		return err
	}
	got, _ := proto.Clone(b.GetSpec()).(*storagev1.BucketSpec)
	if got == nil {
		got = &storagev1.BucketSpec{}
	}
	got.Cell = ""
	if len(b.GetLabels()) > 0 || !proto.Equal(got, want) {
		return errors.New("it asks for another bucket than that")
	}
	return nil
}

// update holds a change of one part of a bucket's configuration against what was signed. The
// part is applied as a whole: with half of it, as the grants of an ACL without whether it is
// empty, the bucket would have what nobody signed.
func (k *AccessKeys) update(organization string, p *sigv4.Signed,
	q *storagev1.UpdateBucketRequest,
) (action, bucket string, err error) {
	_, part, _ := p.Part()
	action, bucket = part.Action(p.Method), bucketOf(q.GetBucket().GetName())
	paths := q.GetUpdateMask().GetPaths()
	switch {
	case p.Method == http.MethodGet || action == "":
		return action, bucket, errors.New("it changes no configuration")
	case !slices.Equal(slices.Sorted(slices.Values(paths)), slices.Sorted(slices.Values(part.Fields))),
		q.GetAllowMissing():
		return action, bucket, fmt.Errorf("it is about %s, all of it and nothing else", strings.Join(part.Fields, ", "))
	}
	want, err := k.Asked(organization, p)
	if err == nil && !sameFields(want, q.GetBucket().GetSpec(), paths) {
		err = fmt.Errorf("it asks for another %s", strings.Join(paths, ", "))
	}
	return action, bucket, err
}

// sameFields compares fields of two specs, as an update mask names them.
func sameFields(a, b *storagev1.BucketSpec, paths []string) bool {
	alone := func(s *storagev1.BucketSpec) proto.Message {
		from, to := s.ProtoReflect(), (&storagev1.BucketSpec{}).ProtoReflect()
		for _, p := range paths {
			name := protoreflect.Name(strings.TrimPrefix(p, "spec."))
			if fd := from.Descriptor().Fields().ByName(name); from.Has(fd) {
				to.Set(fd, from.Get(fd))
			}
		}
		return to.Interface()
	}
	return proto.Equal(alone(a), alone(b))
}

func bucketOf(name string) string { return strings.TrimPrefix(name, "buckets/") }
