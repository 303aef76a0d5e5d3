package s3

import (
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// proof is what shows the control plane that the user asked: the user's own signature, and
// the document. The control plane says whether the signature must cover the document: some
// access keys may leave it unsigned (AccessKeySpec.unsigned_documents).
func (q *request) proof() (string, error) {
	verifier := q.v.verifier(q.h.config.Denied, q.now)
	p, err := verifier.Prove(q.r, q.who.signed, q.doc)
	if err != nil {
		return "", err
	}
	return p.Token()
}

// configure changes the bucket's spec through the control plane and answers when this
// edge has the change. Where somebody was first, the change is made to what they left.
func (q *request) configure(status int, change func(*storagev1.BucketSpec) error) error {
	proof, err := q.proof()
	if err != nil {
		return err
	}
	for tries := 0; ; tries++ {
		err := q.update(proof, change)
		if err == nil {
			return q.empty(status)
		}
		b, ok := q.h.View().Bucket(q.name)
		if !errs.Is(err, errs.Conflict) || tries == 4 || !ok || b.ETag == q.bucket.ETag {
			return controlError(err)
		}
		q.bucket = b
	}
}

func (q *request) update(proof string, change func(*storagev1.BucketSpec) error) error {
	b := q.bucket
	spec := proto.Clone(b.Spec).(*storagev1.BucketSpec)
	if err := change(spec); err != nil {
		return err
	}
	if bad := ValidateBucketSpec(spec, b.Name); len(bad) > 0 {
		return invalidRequest(bad[0].Text)
	}
	if proto.Equal(spec, b.Spec) {
		return nil
	}
	if q.h.config.Control == nil {
		return s3xml.ServiceUnavailable
	}
	return q.h.config.Control.UpdateBucket(q.r.Context(), proof, q.who.organization, &storagev1.Bucket{
		Name: "buckets/" + b.Name, Organization: b.Organization, Etag: b.ETag, Spec: spec,
	})
}

// plainDocument reads a document that needs no digest.
func (q *request) plainDocument(limit int) ([]byte, error) { return q.document(limit, false) }

// configuration reads the document of a part of a bucket's configuration.
func (q *request) configuration() ([]byte, error) {
	doc, err := q.document(q.limit(sigv4.Parts[q.subresource()].MaxBody), false)
	if err == nil && len(doc) == 0 {
		err = s3xml.MissingRequestBodyError
	}
	return doc, err
}
