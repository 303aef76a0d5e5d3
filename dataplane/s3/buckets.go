package s3

import (
	"net/http"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/errs"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// maxBuckets is the longest page of ListBuckets.
const maxBuckets = 10_000

// listBuckets lists the buckets of the caller's organization.
func (q *request) listBuckets() error {
	limit, err := q.number("max-buckets", maxBuckets, maxBuckets)
	if err != nil {
		return err
	}
	if limit == 0 {
		return s3xml.Argument("Argument max-buckets must be an integer between 1 and 10000", "max-buckets", "0")
	}
	prefix, from := q.query.get("prefix"), q.query.get("prefix")
	if token := q.query.get("continuation-token"); token != "" {
		if from, err = openToken(token); err != nil {
			return err
		}
		from += "\x00"
	}
	answer := s3xml.ListBuckets{Owner: ownerOf(q.who.organization), Prefix: prefix}
	region := ""
	if q.query.has("max-buckets") || q.query.has("continuation-token") || prefix != "" || q.query.has("bucket-region") {
		region = q.v.region
	}
	if want := q.query.get("bucket-region"); want != "" && !q.v.regionOK(want) {
		return q.send(&answer)
	}
	q.v.bucketsOf(q.who.organization, from, func(b *Bucket) bool {
		if !strings.HasPrefix(b.Name, prefix) {
			return false
		}
		if len(answer.Buckets) == limit {
			answer.ContinuationToken = closeToken([]byte(answer.Buckets[limit-1].Name))
			return false
		}
		answer.Buckets = append(answer.Buckets, s3xml.BucketEntry{Name: b.Name, Created: b.Created, Region: region})
		return true
	})
	return q.send(&answer)
}

// headBucket tells that the bucket is there: to who may list it and, since clients ask it
// before all else, to the owner's keys for a part of it.
func (q *request) headBucket() error {
	own := q.who.key != nil && q.who.organization == q.bucket.Organization && q.who.key.scopes.Reach(policy.ListBucket,
		q.name)
	switch reason := q.decide(q.bucket, policy.ListBucket, "", nil); {
	case reason.Allowed(), reason == policy.DeniedByScopes && own:
	default:
		return s3xml.AccessDenied
	}
	q.set("X-Amz-Bucket-Region", q.v.region)
	q.set("X-Amz-Access-Point-Alias", "false")
	q.set(hContentType, typeXML)
	q.head(http.StatusOK)
	return nil
}

func (q *request) getLocation() error {
	region := q.bucket.Spec.GetRegion()
	if region == "" {
		region = q.v.region
	}
	return q.xml(s3xml.AppendLocation(q.buf[:0], region))
}

// createBucket asks the control plane, which knows whether the name is free.
func (q *request) createBucket() error {
	mine := q.bucket != nil && !q.who.anonymous() && q.bucket.Organization == q.who.organization
	if !q.mayIn(nil, policy.CreateBucket, "", nil) {
		return s3xml.AccessDenied
	}
	if err := s3xml.CheckBucketName(q.name); err != nil {
		return err
	}
	spec, err := q.newBucket()
	if err != nil {
		return err
	}
	switch {
	case mine:
		return s3xml.New(s3xml.BucketAlreadyOwnedByYou, "BucketName", q.name)
	case q.bucket != nil:
		return s3xml.New(s3xml.BucketAlreadyExists, "BucketName", q.name)
	}
	proof, err := q.proof()
	if err != nil {
		return err
	}
	if q.h.config.Control == nil {
		return s3xml.ServiceUnavailable
	}
	err = q.h.config.Control.CreateBucket(q.r.Context(), proof, q.who.organization, &storagev1.Bucket{
		Name: "buckets/" + q.name, Organization: q.who.organization, Spec: spec,
	})
	if errs.Is(err, errs.Conflict) {
		return q.nameTaken(err)
	}
	if err != nil {
		return controlError(err)
	}
	q.set("Location", "/"+q.name)
	return q.empty(http.StatusOK)
}

// nameTaken tells whose the name is, as far as this edge knows.
func (q *request) nameTaken(err error) error {
	if b, ok := q.h.View().Bucket(q.name); ok && b.Organization == q.who.organization {
		return s3xml.New(s3xml.BucketAlreadyOwnedByYou, "BucketName", q.name).Because(err)
	}
	return s3xml.New(s3xml.BucketAlreadyExists, "BucketName", q.name).Because(err)
}

// newBucket reads what a new bucket shall be.
func (q *request) newBucket() (*storagev1.BucketSpec, error) {
	switch locked, err := q.boolean("X-Amz-Bucket-Object-Lock-Enabled"); {
	case err != nil:
		return nil, err
	case locked:
		return nil, notImplemented("x-amz-bucket-object-lock-enabled")
	}
	doc, err := q.plainDocument(q.limit(s3xml.MaxDocument))
	if err != nil {
		return nil, err
	}
	spec, err := newBucketSpec(q.who.organization, q.r.Header, doc, q.v.defaults)
	if err == nil && spec.Region != "" && !q.v.regionOK(spec.Region) {
		err = s3xml.New(s3xml.InvalidLocationConstraint, "LocationConstraint", spec.Region)
	}
	return spec, err
}

// newBucketSpec is what the head and the document of CreateBucket ask for.
func newBucketSpec(organization string, h http.Header, doc []byte, d Defaults) (*storagev1.BucketSpec, error) {
	ask, err := s3xml.ParseCreateBucket(doc)
	if err != nil {
		return nil, err
	}
	spec := &storagev1.BucketSpec{Tags: ask.Tags, Region: ask.Region}
	if v := h.Get("X-Amz-Object-Ownership"); v != "" {
		if spec.Ownership, err = s3xml.ParseOwnership(v); err != nil {
			return nil, err
		}
	}
	spec.Grants, err = newBucketACL(organization, h, spec.Ownership, d)
	return spec, err
}

// newBucketACL reads the ACL of a new bucket, which must fit what its ownership and public
// access will be.
func newBucketACL(organization string, h http.Header, ownership storagev1.BucketSpec_Ownership,
	d Defaults,
) ([]*storagev1.Grant, error) {
	canned, owner := h.Get("X-Amz-Acl"), policy.CanonicalID(organization)
	grants, err := policy.HeaderGrants(h)
	if err != nil {
		return nil, err
	}
	if ownership == storagev1.BucketSpec_OWNERSHIP_UNSPECIFIED {
		ownership = d.Ownership
	}
	if ownership == storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED {
		if !policy.FitsEnforced(canned, grants, owner, true) {
			return nil, s3xml.InvalidBucketAclWithObjectOwnership
		}
		return nil, nil
	}
	if grants == nil {
		if grants, err = policy.Canned(canned, owner, ""); err != nil {
			return nil, err
		}
	}
	if !d.PublicAccess && policy.IsPublicACL(grants) {
		return nil, s3xml.AccessDenied
	}
	return plainGrants(grants, owner), nil
}
