package s3

import (
	"net/http"

	"github.com/dark-ecosystem/dark/dataplane/s3/lifecycle"
	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func (q *request) getVersioning() error {
	return q.xml(s3xml.AppendVersioning(q.buf[:0], q.bucket.Spec.GetVersioning()))
}

func (q *request) putVersioning() error {
	doc, err := q.configuration()
	if err != nil {
		return err
	}
	v, err := s3xml.ParseVersioning(doc)
	if err != nil {
		return err
	}
	return q.configure(http.StatusOK, func(s *storagev1.BucketSpec) error {
		s.Versioning = v
		return nil
	})
}

func (q *request) getPolicy() error {
	if q.bucket.Spec.GetPolicy() == "" {
		return s3xml.New(s3xml.NoSuchBucketPolicy, "BucketName", q.name)
	}
	return q.body(http.StatusOK, "application/json", append(q.buf[:0], q.bucket.Spec.GetPolicy()...))
}

var maxPolicy = sigv4.Parts["policy"].MaxBody

func (q *request) putPolicy() error {
	doc, err := q.document(q.limit(maxPolicy+1), false)
	if err != nil {
		return err
	}
	switch {
	case len(doc) == 0:
		return s3xml.MissingRequestBodyError
	case len(doc) > maxPolicy:
		return s3xml.Say(s3xml.MalformedPolicy,
			"Normalized policy document exceeds the maximum allowed size of 20480 bytes.")
	}
	p, err := policy.Compile(doc, q.name)
	if err != nil {
		return err
	}
	if q.bucket.access.Block.GetBlockPublicPolicy() && p.IsPublic() {
		return s3xml.AccessDenied
	}
	return q.setPolicy(string(doc))
}

func (q *request) deletePolicy() error { return q.setPolicy("") }

func (q *request) setPolicy(text string) error {
	return q.configure(http.StatusNoContent, func(s *storagev1.BucketSpec) error {
		s.Policy = text
		return nil
	})
}

func (q *request) getPolicyStatus() error {
	p := q.bucket.access.Policy
	if p == nil {
		return s3xml.New(s3xml.NoSuchBucketPolicy, "BucketName", q.name)
	}
	return q.xml(s3xml.AppendPolicyStatus(q.buf[:0], p.IsPublic()))
}

// getPublicAccess: a bucket that says nothing has the installation's default; of one whose
// block was deleted AWS says that it has none.
func (q *request) getPublicAccess() error {
	b := q.bucket.Spec.GetPublicAccessBlock()
	if b.GetNone() || b == nil && q.v.defaults.PublicAccess {
		return s3xml.New(s3xml.NoSuchPublicAccessBlockConfiguration, "BucketName", q.name)
	}
	return q.xml(s3xml.AppendPublicAccessBlock(q.buf[:0], q.bucket.access.Block))
}

func (q *request) putPublicAccess() error {
	doc, err := q.configuration()
	if err != nil {
		return err
	}
	b, err := s3xml.ParsePublicAccessBlock(doc)
	if err != nil {
		return err
	}
	return q.setPublicAccess(http.StatusOK, b)
}

func (q *request) deletePublicAccess() error {
	return q.setPublicAccess(http.StatusNoContent, &storagev1.PublicAccessBlock{None: true})
}

func (q *request) setPublicAccess(status int, b *storagev1.PublicAccessBlock) error {
	return q.configure(status, func(s *storagev1.BucketSpec) error {
		s.PublicAccessBlock = b
		return nil
	})
}

func (q *request) getOwnership() error {
	if q.bucket.access.Ownership == storagev1.BucketSpec_OWNERSHIP_NONE {
		return s3xml.New(s3xml.OwnershipControlsNotFoundError, "BucketName", q.name)
	}
	return q.xml(s3xml.AppendOwnership(q.buf[:0], q.bucket.access.Ownership))
}

func (q *request) putOwnership() error {
	doc, err := q.configuration()
	if err != nil {
		return err
	}
	o, err := s3xml.ParseOwnershipControls(doc)
	if err != nil {
		return err
	}
	return q.configure(http.StatusOK, func(s *storagev1.BucketSpec) error {
		if o == storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED && len(s.GetGrants()) > 0 {
			return s3xml.InvalidBucketAclWithObjectOwnership
		}
		s.Ownership = o
		return nil
	})
}

func (q *request) deleteOwnership() error {
	return q.configure(http.StatusNoContent, func(s *storagev1.BucketSpec) error {
		s.Ownership = storagev1.BucketSpec_OWNERSHIP_NONE
		return nil
	})
}

func (q *request) getCORS() error {
	if len(q.bucket.Spec.GetCorsRules()) == 0 {
		return s3xml.New(s3xml.NoSuchCORSConfiguration, "BucketName", q.name)
	}
	return q.xml(s3xml.AppendCORS(q.buf[:0], q.bucket.Spec.GetCorsRules()))
}

func (q *request) putCORS() error {
	doc, err := q.configuration()
	if err != nil {
		return err
	}
	if err := q.work(doc); err != nil {
		return err
	}
	rules, err := s3xml.ParseCORS(doc)
	q.rest()
	if err != nil {
		return err
	}
	return q.setCORS(http.StatusOK, rules)
}

func (q *request) deleteCORS() error { return q.setCORS(http.StatusNoContent, nil) }

func (q *request) setCORS(status int, rules []*storagev1.CorsRule) error {
	return q.configure(status, func(s *storagev1.BucketSpec) error {
		s.CorsRules = rules
		return nil
	})
}

func (q *request) getLifecycle() error {
	if len(q.bucket.Spec.GetLifecycleRules()) == 0 {
		return s3xml.New(s3xml.NoSuchLifecycleConfiguration, "BucketName", q.name)
	}
	q.set("X-Amz-Transition-Default-Minimum-Object-Size", "all_storage_classes_128K")
	return q.xml(s3xml.AppendLifecycle(q.buf[:0], q.bucket.Spec.GetLifecycleRules()))
}

func (q *request) putLifecycle() error {
	doc, err := q.configuration()
	if err != nil {
		return err
	}
	if err := q.work(doc); err != nil {
		return err
	}
	rules, err := lifecycleRules(doc)
	q.rest()
	if err != nil {
		return err
	}
	return q.setLifecycle(http.StatusOK, rules)
}

// lifecycleRules reads a document of PutBucketLifecycleConfiguration. A rule without an ID is given one
// that follows from the document, so that the control plane reads the same in the proof.
func lifecycleRules(doc []byte) ([]*storagev1.LifecycleRule, error) {
	rules, err := s3xml.ParseLifecycle(doc)
	if err != nil {
		return nil, err
	}
	return rules, lifecycle.Validate(rules)
}

func (q *request) deleteLifecycle() error { return q.setLifecycle(http.StatusNoContent, nil) }

func (q *request) setLifecycle(status int, rules []*storagev1.LifecycleRule) error {
	return q.configure(status, func(s *storagev1.BucketSpec) error {
		s.LifecycleRules = rules
		return nil
	})
}

// getEncryption always has an answer: all buckets encrypt, with SSE-S3 where they do not
// say, as at AWS since 2023.
func (q *request) getEncryption() error {
	e := q.bucket.Encryption
	arn := e.GetEncryptionKey()
	if k, ok := q.v.encryptionKey(q.bucket.Organization, arn); ok {
		arn = k.ARN
	}
	return q.xml(s3xml.AppendEncryption(q.buf[:0], arn, e.GetBucketKeyEnabled()))
}

func (q *request) putEncryption() error {
	doc, err := q.configuration()
	if err != nil {
		return err
	}
	ask, err := s3xml.ParseEncryption(doc)
	if err != nil {
		return err
	}
	e := &storagev1.Encryption{BucketKeyEnabled: ask.BucketKey}
	if ask.KMS {
		k, ok := q.v.encryptionKey(q.bucket.Organization, ask.KMSKey)
		if !ok {
			return s3xml.Argument("The KMS key that is named is not one of the organization's", "KMSMasterKeyID",
				ask.KMSKey)
		}
		e.EncryptionKey = k.Name
	}
	return q.setEncryption(http.StatusOK, e)
}

func (q *request) deleteEncryption() error { return q.setEncryption(http.StatusNoContent, nil) }

func (q *request) setEncryption(status int, e *storagev1.Encryption) error {
	return q.configure(status, func(s *storagev1.BucketSpec) error {
		s.Encryption = e
		return nil
	})
}

func (q *request) getBucketTagging() error {
	if len(q.bucket.Spec.GetTags()) == 0 {
		return s3xml.New(s3xml.NoSuchTagSet, "BucketName", q.name)
	}
	return q.xml(s3xml.AppendTagging(q.buf[:0], q.bucket.Spec.GetTags()))
}

func (q *request) putBucketTagging() error {
	doc, err := q.configuration()
	if err != nil {
		return err
	}
	tags, err := s3xml.ParseTagging(doc, s3xml.MaxBucketTags)
	if err != nil {
		return err
	}
	return q.setBucketTags(tags)
}

func (q *request) deleteBucketTagging() error { return q.setBucketTags(nil) }

func (q *request) setBucketTags(tags map[string]string) error {
	return q.configure(http.StatusNoContent, func(s *storagev1.BucketSpec) error {
		s.Tags = tags
		return nil
	})
}
