package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/controlplane/api"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/storage"
	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// bucketSettings are those of storage on the control side; all control nodes must have
// the same.
type bucketSettings struct {
	region, ownership string
	aliases, domains  []string
	publicAccess      bool
}

func (b *bucketSettings) declare(s *settings) {
	s.text(&b.region, "region", storage.DefaultRegion, "`NAME` of the region that S3 clients sign for")
	s.list(&b.aliases, "region-aliases", []string{"us-east-1"}, "further `NAMES` of that region")
	s.text(&b.ownership, "bucket-ownership", "",
		"object ownership of buckets that do not say: BucketOwnerEnforced (when empty), BucketOwnerPreferred or "+
			"ObjectWriter")
	s.bool(&b.publicAccess, "bucket-public-access",
		"block no public access of buckets that do not say, as old clients expect")
}

// declareDomains is of a control node alone; an edge has the flag for itself, and darkd dev
// for both.
func (b *bucketSettings) declareDomains(s *settings) {
	s.list(&b.domains, "s3-domain", nil, "`DOMAIN` whose subdomains are buckets, as edges have it, one or more")
}

// check says what is wrong with the settings.
func (b *bucketSettings) check() error {
	if _, ok := ownerships[b.ownership]; !ok {
		return usageError{fmt.Errorf("bucket-ownership %q: BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter "+
			"is expected", b.ownership)}
	}
	for _, r := range append([]string{b.region}, b.aliases...) {
		if strings.ContainsAny(r, "/ \t\n") || len(r) > 63 {
			return usageError{fmt.Errorf("region %q: up to 63 characters without slashes and blanks are expected", r)}
		}
	}
	return nil
}

var ownerships = map[string]storagev1.BucketSpec_Ownership{
	"":                     storagev1.BucketSpec_OWNERSHIP_UNSPECIFIED,
	"BucketOwnerEnforced":  storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED,
	"BucketOwnerPreferred": storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_PREFERRED,
	"ObjectWriter":         storagev1.BucketSpec_OWNERSHIP_OBJECT_WRITER,
}

// options are what the kinds are made with.
func (b *bucketSettings) options() storage.Options {
	return storage.Options{
		Region: b.region, Aliases: b.aliases, Domains: b.domains, Ownership: ownerships[b.ownership],
		PublicAccess: b.publicAccess,
		CheckBucket: func(name string, spec *storagev1.BucketSpec) []kind.Violation {
			return s3.ValidateBucketSpec(spec, name)
		},
		Allow: s3.ScopesAllow,
		Asked: func(organization string, r *sigv4.Signed) (*storagev1.BucketSpec, error) {
			return s3.Asked(organization, r, s3.Defaults{Ownership: b.defaultOwnership(), PublicAccess: b.publicAccess},
				encryptionKeyNamed)
		},
	}
}

// defaultOwnership is what edges take for buckets that do not say.
func (b *bucketSettings) defaultOwnership() storagev1.BucketSpec_Ownership {
	if o := ownerships[b.ownership]; o != storagev1.BucketSpec_OWNERSHIP_UNSPECIFIED {
		return o
	}
	return storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED
}

// encryptionKeyNamed is the resource that a KMS key ID of S3 means: an ARN that ends in its
// name, an alias, or the name.
func encryptionKeyNamed(id string) string {
	id = strings.TrimPrefix(strings.TrimPrefix(id, "alias/"), "encryptionkeys/")
	return "encryptionkeys/" + id[strings.LastIndexByte(id, '/')+1:]
}

// storageMethods are those of BucketService beside the standard ones.
func storageMethods(n *controlplane.Node, st *storage.Storage) []api.Extra {
	return []api.Extra{{
		Service: "dark.storage.v1.BucketService", Name: "GetStorageStats", Kind: st.Bucket(), Verb: identity.Read,
		Unary: func(ctx context.Context, req proto.Message) (proto.Message, error) {
			who, _ := identity.From(ctx)
			edges, err := n.StorageStats(ctx, who.Organization, req.(*storagev1.GetStorageStatsRequest).GetBucket(),
				who.Installation)
			return &storagev1.GetStorageStatsResponse{Edges: edges}, err
		},
	}}
}
