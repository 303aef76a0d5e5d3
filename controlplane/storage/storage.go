// Package storage is the control side of buckets: the kinds Bucket, AccessKey and
// EncryptionKey, how they are admitted, and what edges are told of them. Secrets (the
// keys of buckets, the secrets of access keys) are in the state, sealed under the root
// key; edges get them, or what is derived from them, in messages encrypted with age to
// their machine keys and to the recovery key, and never a secret access key itself.
//
//	change of a resource → Publish → records, sealed where what was sealed does not fit
//	change of edges, a new day → Pass → what must be sealed again → Records → records
//
// What was sealed is published with a hash of what went into it (its inputs), so that
// nothing is sealed twice: not by a second pass, and not by another leader.
//
// Storage belongs to the leader's controllers: Pass and Records may be called from
// different goroutines, the kinds' functions from any.
package storage

import (
	"context"
	"encoding/hex"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/sigv4"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Defaults of Options.
const (
	DefaultRegion = "dark"
	defaultAlias  = "us-east-1"
)

// Options of the kinds. Root, Recovery, Meta, Keeps and Objects come from the control node.
type Options struct {
	Root *keyring.Root
	// Recovery is the recipient of the installation's recovery key.
	Recovery string
	// Meta reads keys of the state's own; by it an access key's last use is shown. nil: it
	// is not.
	Meta func(key string) (value []byte, revision uint64, err error)
	// Keeps says whether an edge has a store, as far as is known: one of which nothing was
	// heard may have one. nil: all have.
	Keeps func(edge string) bool
	// Objects is how many objects a bucket holds in its cell, counted after the call; ok is
	// false where the cell does not say. nil: buckets are deleted without asking.
	Objects func(ctx context.Context, organization, bucket, cell string) (count uint64, ok bool)
	// Region of the installation, DefaultRegion when empty, and its further names: when
	// nil us-east-1, which clients take that were told none. All control nodes must have
	// the same.
	Region  string
	Aliases []string
	// Domains are the base domains whose subdomains are buckets, as the edges have them.
	Domains []string
	// Ownership of buckets that do not say; unspecified means BucketOwnerEnforced.
	Ownership storagev1.BucketSpec_Ownership
	// PublicAccess: buckets that do not say block no public access, as old clients expect.
	PublicAccess bool
	// CheckName says what is wrong with a bucket's name, and CheckBucket with what is asked
	// of it; both are the S3 service's own, which runs at edges. nil asks nothing more.
	CheckName   func(name string) error
	CheckBucket func(name string, spec *storagev1.BucketSpec) []kind.Violation
	// Allow and Asked judge requests that access keys signed (identity.AccessKeys).
	Allow func(scopes []*storagev1.Scope, action, bucket string) bool
	Asked func(organization string, r *sigv4.Signed) (*storagev1.BucketSpec, error)
}

// Storage makes the kinds, and keeps what is sealed for edges as it should be.
type Storage struct {
	o Options
	// The kinds are made once: they are compared by identity.
	bucket, accessKey, encryptionKey *kind.Kind

	mu struct {
		sync.Mutex
		edges   *edges           // of the revision that was read last
		memo    map[where]memo   // what edges have, by record
		pending map[where]sealed // sealed again and not known to be published
	}
}

// PublishedBucket is the kind of the records of buckets; an edge that compiles it has a
// store.
const PublishedBucket = "dark.storage.v1.PublishedBucket"

var (
	bucketKind        = nameOf(&storagev1.Bucket{})
	accessKeyKind     = nameOf(&storagev1.AccessKey{})
	encryptionKeyKind = nameOf(&storagev1.EncryptionKey{})
	nodeKind          = nameOf(&clusterv1.Node{})
	organizationKind  = nameOf(&identityv1.Organization{})

	// The kinds of published records, beside PublishedBucket.
	publishedKeys      = nameOf(&storagev1.PublishedKeys{})
	publishedAccessKey = nameOf(&storagev1.PublishedAccessKey{})
	publishedStorage   = nameOf(&storagev1.PublishedStorage{})
)

func nameOf(m proto.Message) string { return string(m.ProtoReflect().Descriptor().FullName()) }

// New returns the family of kinds.
func New(o Options) *Storage {
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	if o.Aliases == nil {
		o.Aliases = []string{defaultAlias}
	}
	s := &Storage{o: o}
	s.Reset()
	s.bucket = &kind.Kind{
		Message: &storagev1.Bucket{}, Plural: "buckets", Pattern: "buckets/{bucket}", Service: "storage",
		Lane:          kind.LaneData,
		ConfirmDelete: true, Gone: "its objects and their keys were destroyed", SecretFields: []string{"status.keys"},
		NameRule: s.bucketIDs, Admit: s.admitBucket, Publish: s.publishBucket,
		MaxRecord: maxBucket,
		Columns: []kind.Column{
			{Title: "CELL", Path: "status.placement.cell"},
			{Title: "VERSIONING", Path: "spec.versioning"},
			{Title: "QUOTA", Path: "spec.quota.bytes"},
		},
	}
	// Of the deny lane, as API keys are: what was revoked is not rolled back into life.
	s.accessKey = &kind.Kind{
		Message: &storagev1.AccessKey{}, Plural: "accesskeys", Pattern: "accesskeys/{accesskey}", Service: "storage",
		Lane:         kind.LaneDeny,
		SecretFields: []string{"status.sealed_secret", "status.secret_access_key"}, Admit: s.admitAccessKey,
		Deny: s.denyAccessKey, Publish: s.publishAccessKey, Show: s.showAccessKey,
		MaxRecord: kind.MaxRecord,
		Columns: []kind.Column{
			{Title: "ID", Path: "status.accessKeyId"},
			{Title: "DESCRIPTION", Path: "spec.description"},
			{Title: "EXPIRES", Path: "spec.expireTime"},
			{Title: "LAST USED", Path: "status.lastUsedTime"},
		},
	}
	s.encryptionKey = &kind.Kind{
		Message: &storagev1.EncryptionKey{}, Plural: "encryptionkeys", Pattern: "encryptionkeys/{encryptionkey}",
		Service: "storage", Lane: kind.LaneData,
		ConfirmDelete: true, Gone: "the key was destroyed, and another would not open what it encrypted",
		SecretFields: []string{"status.keys"}, Admit: s.admitEncryptionKey, Publish: s.publishEncryptionKey,
		MaxRecord: kind.MaxRecord,
		Columns: []kind.Column{
			{Title: "ARN", Path: "status.arn"},
			{Title: "RETIRED", Path: "spec.retired"},
			{Title: "ROTATION", Path: "spec.rotation"},
		},
	}
	return s
}

// Bucket is the kind of buckets.
func (s *Storage) Bucket() *kind.Kind { return s.bucket }

// AccessKey is the kind of access keys.
func (s *Storage) AccessKey() *kind.Kind { return s.accessKey }

// EncryptionKey is the kind of the keys of SSE-KMS.
func (s *Storage) EncryptionKey() *kind.Kind { return s.encryptionKey }

// Signed are the functions of Options that judge signed requests.
func (s *Storage) Signed() (allow func([]*storagev1.Scope, string, string) bool,
	asked func(string, *sigv4.Signed) (*storagev1.BucketSpec, error),
) {
	return s.o.Allow, s.o.Asked
}

// Region is the installation's.
func (s *Storage) Region() string { return s.o.Region }

// Hosts are those whose names name buckets.
func (s *Storage) Hosts() sigv4.Hosts { return sigv4.NewHosts(s.o.Domains...) }

// Regions are all names that requests may be signed for, the installation's own first.
func (s *Storage) Regions() []string { return append([]string{s.o.Region}, s.o.Aliases...) }

func stream(organization string) string { return "org/" + organization }

// roleStream carries what concerns every edge.
const roleStream = "role/" + ca.Edge

// BucketSubject is the name of the record that says that a bucket, by its identity, was
// deleted: an edge erases what it keeps of it. A bucket's own record that merely vanishes
// may come back, as when the organization is placed elsewhere for a while.
func BucketSubject(id []byte) string { return "bucket:" + hex.EncodeToString(id) }

// AccessKeySubject is the entry of the deny set that ends an access key.
func AccessKeySubject(id string) string { return "accesskey:" + id }
