package storage

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Octets of the parts of a bucket as it is stored and published. What AWS takes fits: a
// CORS document of 64 KB and a policy of 20 KB (Amazon S3 User Guide, "Elements of a CORS
// configuration", "Policies and permissions"), 50 tags, 100 grants, and 1,000 lifecycle
// rules of 112 octets each. Together with the 8 KiB that all else may have they fit into
// one published record.
const (
	maxPolicy    = 20 << 10
	maxGrants    = 28 << 10
	maxCORS      = 64 << 10
	maxLifecycle = 112 << 10
	maxTags      = 24 << 10
	maxBucket    = maxPolicy + maxGrants + maxCORS + maxLifecycle + maxTags + 8<<10
)

// maxScopes are octets of an access key's scopes: beside them its record has the keys that
// are sealed for the edges.
const maxScopes = 64 << 10

// A bucket that was admitted fits: this does not compile otherwise.
const _ = uint(kind.MaxRecord - maxBucket)

// checkSizes refuses a bucket that could not be published.
func checkSizes(a *kind.Admission, spec *storagev1.BucketSpec) {
	tags := 0
	for k, v := range spec.GetTags() {
		tags += len(k) + len(v) + 8
	}
	for _, part := range []struct {
		field      string
		have, most int
	}{
		{"spec.policy", len(spec.GetPolicy()), maxPolicy},
		{"spec.grants", octets(spec.GetGrants()), maxGrants},
		{"spec.corsRules", octets(spec.GetCorsRules()), maxCORS},
		{"spec.lifecycleRules", octets(spec.GetLifecycleRules()), maxLifecycle},
		{"spec.tags", tags, maxTags},
	} {
		if part.have > part.most {
			a.Bad(part.field, "has %d octets, at most %d are allowed; take some out", part.have, part.most)
		}
	}
}

// octets is what a list takes as it is stored.
func octets[M proto.Message](list []M) int {
	n := 0
	for _, m := range list {
		n += 1 + protowire.SizeBytes(proto.Size(m))
	}
	return n
}
