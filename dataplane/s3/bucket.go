package s3

import (
	"fmt"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Bucket is a bucket as it was published, compiled. It is immutable but for its counts,
// which all versions of it share.
type Bucket struct {
	Name         string
	ID           store.ID
	Organization string
	ETag         string // of the resource, which a write on top of it names
	Created      time.Time
	Placement    store.Placement
	Spec         *storagev1.BucketSpec
	Quota        *storagev1.Quota
	Encryption   *storagev1.Encryption

	access policy.Bucket
	owner  *s3xml.Owner
	counts *counts
}

// compileBucket makes what requests are answered from.
func compileBucket(p *storagev1.PublishedBucket, d Defaults) (*Bucket, error) {
	if len(p.GetId()) != len(store.ID{}) {
		return nil, fmt.Errorf("its identity has %d octets", len(p.GetId()))
	}
	spec := p.GetSpec()
	if spec == nil {
		spec = &storagev1.BucketSpec{}
	}
	compiled, err := compilePolicy(spec, p.GetBucket())
	if err != nil {
		return nil, err
	}
	owner := ownerOf(p.GetOrganization())
	b := &Bucket{
		Name: p.GetBucket(), ID: store.ID(p.GetId()), Organization: p.GetOrganization(), ETag: p.GetEtag(),
		Created: p.GetCreateTime().AsTime(), Placement: placement(p), Spec: spec,
		Quota: spec.GetQuota(), Encryption: spec.GetEncryption(), owner: &owner, counts: &counts{},
	}
	b.access = policy.Bucket{Owner: b.Organization, Policy: compiled, Grants: spec.GetGrants()}
	b.settle(d)
	return b, nil
}

// settle gives the bucket the installation's defaults where it does not say.
func (b *Bucket) settle(d Defaults) {
	b.access.Ownership = b.Spec.GetOwnership()
	if b.access.Ownership == storagev1.BucketSpec_OWNERSHIP_UNSPECIFIED {
		b.access.Ownership = d.Ownership
	}
	b.access.Block = b.Spec.GetPublicAccessBlock()
	if b.access.Block == nil {
		all := !d.PublicAccess
		b.access.Block = &storagev1.PublicAccessBlock{
			BlockPublicAcls: all, IgnorePublicAcls: all,
			BlockPublicPolicy: all, RestrictPublicBuckets: all,
		}
	}
}

// ownerOf is an organization as answers name it.
func ownerOf(organization string) s3xml.Owner {
	return s3xml.Owner{ID: policy.CanonicalID(organization), DisplayName: organization}
}

// versioned: it has versions, and answers tell their IDs.
func (b *Bucket) versioned() bool {
	return b.Spec.GetVersioning() != storagev1.BucketSpec_VERSIONING_UNSPECIFIED
}

// stacks: each write adds a version.
func (b *Bucket) stacks() bool {
	return b.Spec.GetVersioning() == storagev1.BucketSpec_VERSIONING_ENABLED
}
