package s3

import (
	"net/http"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// aclNew reads the ACL that the headers of a new object give, and whose it will be.
func (q *request) aclNew(o *storagev1.Object) error {
	canned := q.header("X-Amz-Acl")
	grants, err := policy.HeaderGrants(q.r.Header)
	if err != nil {
		return err
	}
	b := q.bucket
	if !b.access.ACLs() {
		if !policy.FitsEnforced(canned, grants, b.owner.ID, q.who.organization == b.Organization) {
			return s3xml.AccessControlListNotSupported
		}
		return nil
	}
	given := canned != "" || grants != nil
	o.Owner = q.newOwner(canned)
	owner := b.owner.ID
	if o.Owner != "" {
		owner = q.who.key.caller.Canonical
	}
	if grants == nil {
		if grants, err = policy.Canned(canned, owner, b.owner.ID); err != nil {
			return err
		}
	}
	if o.Grants, err = q.settleGrants(grants, owner); err != nil {
		return err
	}
	// An ACL that gives nobody more than the writer and the bucket's owner needs no permission
	// of its own: rclone, for one, sends "private" with each write.
	if given && o.Grants != nil && canned != policy.BucketOwnerFullControl {
		return q.demand(policy.PutObjectAcl)
	}
	return nil
}

// newOwner is whose a new object is, empty for the bucket's owner ("Controlling ownership
// of objects").
func (q *request) newOwner(canned string) string {
	b := q.bucket
	if q.who.anonymous() || q.who.organization == b.Organization {
		return ""
	}
	if b.access.Ownership == storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_PREFERRED &&
		canned == policy.BucketOwnerFullControl {
		return ""
	}
	return q.who.organization
}

// settleGrants refuses public grants where they are blocked, and keeps nothing of an ACL
// that says what no ACL says.
func (q *request) settleGrants(grants []*storagev1.Grant, owner string) ([]*storagev1.Grant, error) {
	if q.bucket.access.Block.GetBlockPublicAcls() && policy.IsPublicACL(grants) {
		return nil, s3xml.AccessDenied
	}
	return plainGrants(grants, owner), nil
}

// plainGrants keeps nothing of an ACL that says what no ACL says.
func plainGrants(grants []*storagev1.Grant, owner string) []*storagev1.Grant {
	if len(grants) == 1 && grants[0].GetGrantee() == owner &&
		grants[0].GetPermission() == storagev1.Grant_PERMISSION_FULL_CONTROL {
		return nil
	}
	return grants
}

// aclGiven reads the ACL of PutObjectAcl and PutBucketAcl: a canned one, grants in headers,
// or a document, which may be empty.
func (q *request) aclGiven(owner, bucketOwner string) (all []*storagev1.Grant, empty bool, err error) {
	if _, err := policy.HeaderGrants(q.r.Header); err != nil {
		return nil, false, err
	}
	if !q.bucket.access.ACLs() {
		return nil, false, s3xml.AccessControlListNotSupported
	}
	grants, err := grantsGiven(q.r.Header, owner, bucketOwner, func() ([]byte, error) {
		return q.document(q.limit(s3xml.MaxDocument), false)
	})
	if err != nil {
		return nil, false, err
	}
	all, err = q.settleGrants(grants, owner)
	return all, len(grants) == 0, err
}

// grantsGiven are those of an ACL in headers, or in a document that is read only then.
func grantsGiven(h http.Header, owner, bucketOwner string, read func() ([]byte, error)) ([]*storagev1.Grant, error) {
	grants, err := policy.HeaderGrants(h)
	if err != nil || grants != nil {
		return grants, err
	}
	if canned := h.Get("X-Amz-Acl"); canned != "" {
		return policy.Canned(canned, owner, bucketOwner)
	}
	doc, err := read()
	if err != nil {
		return nil, err
	}
	if len(doc) == 0 {
		return nil, s3xml.Say(s3xml.MissingSecurityHeader, "Your request was missing a required header",
			"MissingHeaderName", "x-amz-acl")
	}
	acl, err := s3xml.ParseACL(doc)
	if err != nil {
		return nil, err
	}
	if acl.Owner != "" && acl.Owner != owner {
		return nil, s3xml.AccessDenied // an owner is not changed by an ACL
	}
	return acl.Grants, nil
}

// ownerOfObject is whose an object is.
func (q *request) ownerOfObject(o *storagev1.Object) s3xml.Owner {
	if o.GetOwner() == "" || !q.bucket.access.ACLs() {
		return *q.bucket.owner
	}
	return ownerOf(o.GetOwner())
}

func (q *request) getObjectACL() error {
	f, err := q.find()
	if err != nil {
		return err
	}
	q.versionHeader(&f)
	return q.acl(q.ownerOfObject(f.object), f.object.GetGrants(), f.object.GetEmptyAcl())
}

func (q *request) putObjectACL() error {
	f, err := q.find()
	if err != nil {
		return err
	}
	grants, empty, err := q.aclGiven(q.ownerOfObject(f.object).ID, q.bucket.owner.ID)
	if err != nil {
		return err
	}
	if err := q.amend(&f, func(o *storagev1.Object) { o.Grants, o.EmptyAcl = grants, empty }); err != nil {
		return err
	}
	q.versionHeader(&f)
	return q.empty(http.StatusOK)
}

// versionHeader tells the version of a row, where there are versions.
func (q *request) versionHeader(f *found) {
	if q.bucket.versioned() {
		q.set(hVersionID, idOf(&f.Row))
	}
}

func (q *request) getBucketACL() error {
	return q.acl(*q.bucket.owner, q.bucket.access.Grants, q.bucket.Spec.GetEmptyAcl())
}

// acl answers with an ACL. No grants are the owner's full control, unless the ACL is empty;
// so they are where ACLs are off.
func (q *request) acl(owner s3xml.Owner, grants []*storagev1.Grant, empty bool) error {
	if on := q.bucket.access.ACLs(); !on || len(grants) == 0 && !empty {
		grants = []*storagev1.Grant{{Grantee: owner.ID, Permission: storagev1.Grant_PERMISSION_FULL_CONTROL}}
	}
	return q.xml(s3xml.AppendACL(q.buf[:0], owner, grants, nil))
}

func (q *request) putBucketACL() error {
	grants, empty, err := q.aclGiven(q.bucket.owner.ID, "")
	if err != nil {
		return err
	}
	return q.configure(http.StatusOK, func(s *storagev1.BucketSpec) error {
		s.Grants, s.EmptyAcl = grants, empty
		return nil
	})
}
