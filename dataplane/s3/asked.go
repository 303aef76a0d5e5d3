package s3

import (
	"errors"
	"net/http"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// The control plane takes from an edge only what a customer signed. It reads that here, by
// the same functions that the operations use, and compares.

// ScopesAllow says whether the scopes of an access key let it do an action on a bucket.
func ScopesAllow(scopes []*storagev1.Scope, action, bucket string) bool {
	compiled, err := policy.CompileScopes(scopes)
	return err == nil && compiled.Allow(&policy.Request{Action: action, Bucket: bucket})
}

// Asked is the configuration that a signed request of an organization asks for: all of a
// new bucket's spec, or the field that the request's sub-resource is about. key finds the
// name of a key of SSE-KMS.
func Asked(organization string, r *sigv4.Signed, d Defaults,
	key func(id string) string,
) (*storagev1.BucketSpec, error) {
	sub, _, plain := r.Part()
	if plain {
		return newBucketSpec(organization, r.Header, r.Body, d)
	}
	spec := &storagev1.BucketSpec{}
	if r.Method == http.MethodDelete {
		deleted(sub, spec)
		return spec, nil
	}
	return spec, read(sub, spec, organization, r, key)
}

// deleted is what DELETE leaves of a part: nothing, or that there is none.
func deleted(sub string, spec *storagev1.BucketSpec) {
	switch sub {
	case "ownershipControls":
		spec.Ownership = storagev1.BucketSpec_OWNERSHIP_NONE
	case "publicAccessBlock":
		spec.PublicAccessBlock = &storagev1.PublicAccessBlock{None: true}
	}
}

// read takes what PUT says of a part from its head and its document.
func read(sub string, spec *storagev1.BucketSpec, organization string, r *sigv4.Signed,
	key func(id string) string,
) (err error) {
	switch sub {
	case "acl":
		owner := policy.CanonicalID(organization)
		grants, err := grantsGiven(r.Header, owner, "", func() ([]byte, error) { return r.Body, nil })
		spec.Grants, spec.EmptyAcl = plainGrants(grants, owner), len(grants) == 0
		return err
	case "cors":
		spec.CorsRules, err = s3xml.ParseCORS(r.Body)
	case "encryption":
		ask, err := s3xml.ParseEncryption(r.Body)
		if err != nil {
			return err
		}
		spec.Encryption = &storagev1.Encryption{BucketKeyEnabled: ask.BucketKey}
		if ask.KMS {
			spec.Encryption.EncryptionKey = key(ask.KMSKey)
		}
	case "lifecycle":
		spec.LifecycleRules, err = lifecycleRules(r.Body)
	case "ownershipControls":
		spec.Ownership, err = s3xml.ParseOwnershipControls(r.Body)
	case "policy":
		spec.Policy = string(r.Body)
	case "publicAccessBlock":
		spec.PublicAccessBlock, err = s3xml.ParsePublicAccessBlock(r.Body)
	case "tagging":
		spec.Tags, err = s3xml.ParseTagging(r.Body, s3xml.MaxBucketTags)
	case "versioning":
		spec.Versioning, err = s3xml.ParseVersioning(r.Body)
	default:
		err = errors.New("it is about no part of a bucket's configuration")
	}
	return err
}
