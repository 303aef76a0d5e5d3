package policy

import (
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Bucket is what of a bucket counts for a decision.
type Bucket struct {
	Owner     string // organization
	Policy    *Policy
	Ownership storagev1.BucketSpec_Ownership // unspecified is BucketOwnerEnforced
	Block     *storagev1.PublicAccessBlock   // nil blocks all
	Grants    []*storagev1.Grant             // none is the owner's full control
}

// ACLs says whether ACLs count in the bucket.
func (b *Bucket) ACLs() bool {
	switch b.Ownership {
	case storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_PREFERRED, storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER,
		storagev1.BucketSpec_OWNERSHIP_NONE:
		return true
	}
	return false
}

// NeedsObject says whether Authorize must be given the object that a request is about:
// where not, decisions need no read.
func (b *Bucket) NeedsObject() bool { return b.ACLs() || b.Policy.UsesObjectTags() }

func (b *Bucket) blocks() blockView {
	if b.Block == nil {
		return blockView{ignoreACLs: true, restrict: true}
	}
	return blockView{b.Block.GetIgnorePublicAcls(), b.Block.GetRestrictPublicBuckets()}
}

// blockView is the part of public access block that counts when access is judged;
// the other two settings count when ACLs and policies are written.
type blockView struct{ ignoreACLs, restrict bool }

// Object is what of an object counts for a decision, where ACLs do.
type Object struct {
	Owner  string // organization; empty for the bucket's
	Grants []*storagev1.Grant
}

// Reason says what decided.
type Reason uint8

// The reasons; those before DeniedByPolicy allow.
const (
	AllowedByScopes     Reason = iota // the key's scopes, in its own organization
	AllowedByPolicy                   // the bucket policy, and for another organization's key its scopes
	AllowedByACL                      // an ACL, and for another organization's key its scopes
	AllowedAsInitiator                // who began an upload may look at it and end it
	DeniedByPolicy                    // a statement denies it
	DeniedByScopes                    // the key's scopes do not have it
	DeniedPublic                      // it would be public, which is blocked
	DeniedForeignObject               // another organization owns the object and grants nothing
	NotGranted                        // nothing allows it
)

func (r Reason) String() string {
	return [...]string{
		"the key's scopes allow it", "the bucket policy allows it", "an ACL allows it",
		"the initiator of the upload asks", "the bucket policy denies it", "the key's scopes do not allow it",
		"public access is blocked", "another organization owns the object", "nothing allows it",
	}[r]
}

// Allowed says whether the request may be done. A denial is AccessDenied (403).
func (r Reason) Allowed() bool { return r < DeniedByPolicy }

// Authorize decides, as AWS does ("How Amazon S3 authorizes a request"): an explicit
// denial wins; the owner's keys need their scopes or the bucket policy; another
// organization's need both their scopes and the bucket policy or an ACL; who did not sign
// has the bucket policy and ACLs. B is nil for what is about no bucket, where only scopes
// count; o is nil where there is no object, or Bucket.NeedsObject said no.
func Authorize(q *Request, scopes *Scopes, b *Bucket, o *Object) Reason {
	if b == nil {
		return inOwnOrganization(q, scopes)
	}
	a := authorization{q: q, scopes: scopes, b: b, o: o}
	return a.decide()
}

func inOwnOrganization(q *Request, scopes *Scopes) Reason {
	switch {
	case q.Caller.Anonymous():
		return NotGranted
	case scopes.Allow(q):
		return AllowedByScopes
	}
	return DeniedByScopes
}

type authorization struct {
	q      *Request
	scopes *Scopes
	b      *Bucket
	o      *Object
}

func (a *authorization) decide() Reason {
	said, how := a.b.Policy.evaluate(a.q)
	if said == Deny {
		if a.mayRepairPolicy() {
			return AllowedByScopes
		}
		return DeniedByPolicy
	}
	foreign := a.foreignObject()
	restricted := said == Allow && a.restricted()
	byPolicy := said == Allow && !restricted && !foreign
	owner := a.b.Owner
	if foreign {
		owner = a.o.Owner
	}
	if !a.q.Caller.Anonymous() && a.q.Caller.Organization == owner {
		return a.decideOwner(byPolicy && how == byName)
	}
	r := a.decideStranger(byPolicy)
	switch {
	case r == NotGranted && restricted:
		return DeniedPublic
	case r == NotGranted && foreign:
		return DeniedForeignObject
	}
	return r
}

// mayRepairPolicy: an unlimited key of the owner is what AWS calls the root user, who can
// always read, replace and delete the policy, so that nobody locks everybody out.
func (a *authorization) mayRepairPolicy() bool {
	switch a.q.Action {
	case GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy:
		return a.q.Caller.Organization == a.b.Owner && a.scopes.Unlimited()
	}
	return false
}

// restricted: a public policy counts for the owner's organization only.
func (a *authorization) restricted() bool {
	return a.b.blocks().restrict && a.b.Policy.IsPublic() && a.q.Caller.Organization != a.b.Owner
}

// foreignObject: where ACLs count, a bucket policy's grants do not reach objects that
// others own, and the bucket's owner may do with them only what is done to the bucket:
// delete them.
func (a *authorization) foreignObject() bool {
	if a.o == nil || a.o.Owner == "" || a.o.Owner == a.b.Owner || !a.b.ACLs() {
		return false
	}
	switch a.q.Action {
	case PutObject, DeleteObject, DeleteObjectVersion, AbortMultipartUpload, ListMultipartUploadParts:
		return false
	}
	return actions[a.q.Action] == ofObject
}

// decideOwner: the owner's keys need one of the two.
func (a *authorization) decideOwner(byPolicy bool) Reason {
	switch {
	case a.scopes.Allow(a.q):
		return AllowedByScopes
	case byPolicy:
		return AllowedByPolicy
	}
	return DeniedByScopes
}

// decideStranger: others need a grant, and, where they signed, their scopes.
func (a *authorization) decideStranger(byPolicy bool) Reason {
	r := NotGranted
	switch {
	case byPolicy:
		r = AllowedByPolicy
	case a.byACL():
		r = AllowedByACL
	case a.asInitiator():
		r = AllowedAsInitiator
	default:
		return r
	}
	if !a.q.Caller.Anonymous() && !a.scopes.Allow(a.q) {
		return DeniedByScopes
	}
	return r
}

func (a *authorization) byACL() bool {
	if !a.b.ACLs() {
		return false
	}
	if a.deletesOwn() {
		return true
	}
	n, ok := needs[a.q.Action]
	switch {
	case !ok:
		return false
	case !n.object:
		return granted(a.b.Grants, &a.q.Caller, n.permission, a.b.blocks().ignoreACLs)
	case a.o == nil:
		return false
	}
	return granted(a.o.Grants, &a.q.Caller, n.permission, a.b.blocks().ignoreACLs)
}

// deletesOwn: WRITE on the bucket lets the owner of an object delete it.
func (a *authorization) deletesOwn() bool {
	if a.q.Action != DeleteObject && a.q.Action != DeleteObjectVersion {
		return false
	}
	return a.o != nil && !a.q.Caller.Anonymous() && a.o.Owner == a.q.Caller.Organization &&
		granted(a.b.Grants, &a.q.Caller, storagev1.Grant_PERMISSION_WRITE, a.b.blocks().ignoreACLs)
}

func (a *authorization) asInitiator() bool {
	return a.q.OwnUpload && !a.q.Caller.Anonymous() &&
		(a.q.Action == AbortMultipartUpload || a.q.Action == ListMultipartUploadParts)
}
