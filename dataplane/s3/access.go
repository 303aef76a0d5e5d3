package s3

import (
	"errors"
	"net/netip"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/s3/signature"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// authorize finds the bucket and decides whether the caller may do what it asks for.
// Operations that judge by themselves (open) call demand when they know about what.
func (q *request) authorize() error {
	if q.level != ofService && q.op != &opReserved && q.op != &opUnknown {
		b, ok := q.v.Bucket(q.name)
		switch {
		case ok:
			q.bucket = b
		case !q.op.create:
			return s3xml.New(s3xml.NoSuchBucket, "BucketName", q.name)
		}
		if err := q.expectOwner("X-Amz-Expected-Bucket-Owner", b); err != nil {
			return err
		}
	}
	if q.op.open {
		return nil
	}
	if err := q.peek(); err != nil {
		return err
	}
	if err := q.demand(q.action()); err != nil {
		return err
	}
	q.authenticated()
	if q.op.owner != "" && q.who.organization != q.bucket.Organization {
		return s3xml.New(q.op.owner)
	}
	return nil
}

// action is what the operation needs, in general or for the version that the request names.
func (q *request) action() string {
	if q.op.version != "" && q.query.has("versionId") {
		return q.op.version
	}
	return q.op.action
}

// judge decides again, about an object that was read after the first decision: where ACLs
// or tags have a say, another object may lie at the key by then, with others of both.
func (q *request) judge(f *found) error {
	if !q.bucket.access.NeedsObject() {
		return nil
	}
	q.peeked = f
	err := q.demand(q.action())
	q.peeked = nil
	return err
}

// expectOwner holds a bucket's owner against whom the client thinks it to be: an
// organization, or its canonical user ID.
func (q *request) expectOwner(header string, b *Bucket) error {
	want := q.header(header)
	if want == "" || b == nil || want == b.Organization || want == b.owner.ID {
		return nil
	}
	return s3xml.AccessDenied
}

// demand refuses unless the caller may do the action on what the request is about.
func (q *request) demand(action string) error {
	reason := q.decide(q.bucket, action, q.key, q.object())
	if reason.Allowed() {
		return nil
	}
	return q.denied(reason)
}

// denied is AccessDenied, unless only an ACL could allow the request, there is no object that
// could have one, and the caller may know that from a listing.
func (q *request) denied(reason policy.Reason) error {
	if reason == policy.NotGranted && q.op.version != "" && q.op != &opDeleteObject &&
		q.peeked == nil && q.bucket.access.ACLs() && q.mayList(q.bucket, q.key) {
		if _, err := q.find(); err != nil {
			return err
		}
	}
	return s3xml.AccessDenied
}

// may decides about an action on the request's bucket, or on a key of it.
func (q *request) may(action, key string) bool {
	return q.mayIn(q.bucket, action, key, q.object())
}

// object is what of the row that was peeked at counts for a decision.
func (q *request) object() *policy.Object {
	if q.peeked == nil {
		return nil
	}
	q.about = policy.Object{Owner: q.peeked.object.GetOwner(), Grants: q.peeked.object.GetGrants()}
	return &q.about
}

// mayIn decides about an action in any bucket; nil is the service.
func (q *request) mayIn(b *Bucket, action, key string, o *policy.Object) bool {
	return q.decide(b, action, key, o).Allowed()
}

// mayList says whether the caller may list a key: s3:prefix in a policy is that key, and so
// is the prefix that a key's scopes are held against.
func (q *request) mayList(b *Bucket, key string) bool {
	q.listed = key
	defer func() { q.listed = "" }()
	return q.mayIn(b, policy.ListBucket, "", nil)
}

// decide says why an action is allowed, or why it is not.
func (q *request) decide(b *Bucket, action, key string, o *policy.Object) policy.Reason {
	var scopes *policy.Scopes
	if q.who.key != nil {
		scopes = q.who.key.scopes
	}
	if b != nil && b.access.Policy == nil && scopes == nil && o == nil && q.who.organization == b.Organization {
		return policy.AllowedByScopes // nothing else has a say: the owner's own key
	}
	q.question(b, action, key)
	if b == nil {
		return policy.Authorize(&q.ask, scopes, nil, nil)
	}
	return policy.Authorize(&q.ask, scopes, &b.access, o)
}

// question fills in what policies may ask of a request.
func (q *request) question(b *Bucket, action, key string) {
	a := &q.ask
	*a = policy.Request{
		Action: action, Key: key, Now: q.now, Region: q.v.region, VersionID: q.query.get("versionId"),
		Header: q.r.Header, Query: q.parameter, RequestTags: q.tags,
	}
	if b != nil {
		a.Bucket, a.Owner = b.Name, b.Organization
	} else {
		a.Bucket = q.name
	}
	if q.who.key != nil {
		a.Caller = q.who.key.caller
		a.SignatureVersion = "AWS4-HMAC-SHA256"
	}
	switch q.who.signed.Method {
	case signature.Header:
		a.AuthType = "REST-HEADER"
	case signature.Query:
		a.AuthType, a.SignatureAge = "REST-QUERY-STRING", q.now.Sub(q.who.signed.Time)
	case signature.Form:
		a.AuthType = "POST"
	}
	if at, err := netip.ParseAddrPort(q.r.RemoteAddr); err == nil {
		a.SourceIP = at.Addr().Unmap()
	}
	if q.r.TLS != nil {
		a.TLS = q.r.TLS.Version
	}
	if a.RequestTags == nil && q.header("X-Amz-Tagging") != "" {
		a.RequestTags, _ = s3xml.ParseTagHeader(q.header("X-Amz-Tagging")) // what cannot be read is refused later
	}
	a.OwnUpload = q.ownUpload
	if q.peeked != nil {
		a.ExistingTags = q.peeked.object.GetTags
	}
}

func (q *request) parameter(name string) (string, bool) {
	if name == "prefix" && q.listed != "" {
		return q.listed, true
	}
	return q.query.get(name), q.query.has(name)
}

// peek reads the row that a decision needs: where ACLs count or a policy asks for an
// object's tags, and of an upload who began it. What is not there has neither.
func (q *request) peek() error {
	if q.level != ofObject {
		return nil
	}
	if q.op == &opAbortUpload || q.op == &opListParts {
		return q.peekUpload()
	}
	if !q.bucket.access.NeedsObject() || q.op == &opCreateUpload || q.op == &opUploadPart ||
		q.op == &opUploadPartCopy || q.op == &opCompleteUpload {
		return nil
	}
	v, err := q.version()
	if err != nil {
		return err
	}
	f, err := q.peekAt(q.bucket, q.key, v)
	q.peeked = f
	return err
}

// peekAt reads a row for a decision; nil where there is none that says anything. It notes in
// q.judged which one that was.
func (q *request) peekAt(b *Bucket, key string, v store.Version) (*found, error) {
	q.judged = judged{done: true}
	if err := q.seat(); err != nil {
		return nil, err
	}
	space, err := q.h.config.Store.At(b.Placement)
	if err != nil {
		return nil, err
	}
	row, err := space.Get(q.r.Context(), objectRow(key), v)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	q.judged.row = row.Amended
	if row.Marker {
		return nil, nil
	}
	f, err := open(row)
	return &f, err
}

// peekUpload finds out whether the caller's organization began the upload.
func (q *request) peekUpload() error {
	if q.who.anonymous() || q.who.organization == q.bucket.Organization && q.who.key.scopes == nil {
		return nil
	}
	u, err := q.upload()
	if errors.Is(err, s3xml.NoSuchUpload) {
		return nil
	}
	if err != nil {
		return err
	}
	if k, ok := q.v.keys.get(u.object.GetInitiator()); ok {
		q.ownUpload = k.Organization == q.who.organization
	}
	return nil
}

// mayDelete decides about one deletion, of many or once more, and notes for which row.
func (q *request) mayDelete(d *deletion) error {
	if err := s3xml.CheckKey(d.key); err != nil {
		return err
	}
	action, v := policy.DeleteObject, store.Current
	if d.versionID != "" {
		var err error
		if v, err = parseVersion(d.versionID); err != nil {
			return s3xml.New(s3xml.NoSuchVersion)
		}
		action = policy.DeleteObjectVersion
	}
	q.peeked = nil
	if q.bucket.access.NeedsObject() {
		f, err := q.peekAt(q.bucket, d.key, v)
		if err != nil {
			return err
		}
		q.peeked, d.judged = f, q.judged
	}
	if !q.may(action, d.key) {
		return s3xml.AccessDenied
	}
	return nil
}
