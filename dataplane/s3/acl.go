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
	if canned != "" || grants != nil {
		if err := q.demand(policy.PutObjectAcl); err != nil {
			return err
		}
	}
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
	o.Grants, err = q.settleGrants(grants, owner)
	return err
}

// newOwner is whose a new object is, empty for the bucket's owner ("Controlling ownership
// of objects").
func (q *request) newOwner(canned string) string {
	b := q.bucket
	if q.who.anonymous() || q.who.organization == b.Organization {
		return ""
	}
	if b.access.Ownership == storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_PREFERRED && canned == policy.BucketOwnerFullControl {
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
	if len(grants) == 1 && grants[0].GetGrantee() == owner && grants[0].GetPermission() == storagev1.Grant_PERMISSION_FULL_CONTROL {
		return nil, nil
	}
	return grants, nil
}

// aclGiven reads the ACL of PutObjectAcl and PutBucketAcl: a canned one, grants in headers,
// or a document.
func (q *request) aclGiven(owner, bucketOwner string) ([]*storagev1.Grant, error) {
	canned := q.header("X-Amz-Acl")
	grants, err := policy.HeaderGrants(q.r.Header)
	if err != nil {
		return nil, err
	}
	if !q.bucket.access.ACLs() {
		return nil, s3xml.AccessControlListNotSupported
	}
	switch {
	case grants != nil:
	case canned != "":
		grants, err = policy.Canned(canned, owner, bucketOwner)
	default:
		grants, err = q.aclDocument(owner)
	}
	if err != nil {
		return nil, err
	}
	return q.settleGrants(grants, owner)
}

func (q *request) aclDocument(owner string) ([]*storagev1.Grant, error) {
	doc, err := q.document(q.limit(s3xml.MaxDocument), false)
	if err != nil {
		return nil, err
	}
	if len(doc) == 0 {
		return nil, s3xml.Say(s3xml.MissingSecurityHeader, "Your request was missing a required header", "MissingHeaderName", "x-amz-acl")
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
	grants := f.object.GetGrants()
	if !q.bucket.access.ACLs() {
		grants = nil
	}
	return q.xml(s3xml.AppendACL(q.buf[:0], q.ownerOfObject(f.object), grants, nil))
}

func (q *request) putObjectACL() error {
	f, err := q.find()
	if err != nil {
		return err
	}
	grants, err := q.aclGiven(q.ownerOfObject(f.object).ID, q.bucket.owner.ID)
	if err != nil {
		return err
	}
	if err := q.amend(&f, func(o *storagev1.Object) { o.Grants = grants }); err != nil {
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
	grants := q.bucket.access.Grants
	if !q.bucket.access.ACLs() {
		grants = nil
	}
	return q.xml(s3xml.AppendACL(q.buf[:0], *q.bucket.owner, grants, nil))
}

func (q *request) putBucketACL() error {
	if !q.bucket.access.ACLs() && q.header("X-Amz-Acl") == policy.Private {
		return q.empty(http.StatusOK) // it says what is so
	}
	grants, err := q.aclGiven(q.bucket.owner.ID, "")
	if err != nil {
		return err
	}
	return q.configure(http.StatusOK, func(s *storagev1.BucketSpec) error {
		s.Grants = grants
		return nil
	})
}
