package s3

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// View is what the endpoint answers from: buckets, access keys and SSE-KMS keys as they
// were published. It is immutable; With makes the next one and shares with the last what
// did not change.
type View struct {
	region   string
	aliases  []string
	defaults Defaults
	buckets  tree[*Bucket] // by name
	owned    tree[*Bucket] // by organization, 0x00, name
	keys     tree[*AccessKey]
	kms      tree[*EncryptionKey] // by each of their names
}

// Defaults are what a bucket has that does not say.
type Defaults struct {
	Ownership    storagev1.BucketSpec_Ownership
	PublicAccess bool
}

// DefaultRegion is the region of an installation that was told none.
const DefaultRegion = "us-east-1"

// NewView returns a view of nothing.
func NewView() *View {
	return &View{
		region:   DefaultRegion,
		defaults: Defaults{Ownership: storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED},
	}
}

// EncryptionKey is a key of SSE-KMS, known to the store (Sealing.Key) by its ARN.
type EncryptionKey struct {
	Name         string // of the resource, "encryptionkeys/NAME"
	Organization string
	ARN          string
	Retired      bool // new objects may not use it
}

// names are all that the view finds it by: its ARN, the ARN's last part, and the
// resource's name within its organization.
func (k *EncryptionKey) names() []string {
	return []string{k.ARN, k.ARN[strings.LastIndexByte(k.ARN, '/')+1:], ownedKey(k.Organization, k.Name)}
}

// AccessKey is an access key as it was published.
type AccessKey struct {
	ID           string
	Organization string
	Name         string // of the resource
	Expires      int64  // Unix seconds; 0 for never
	caller       policy.Caller
	scopes       *policy.Scopes
	signing      []signingKey // by day, then region
	use          *lastUse
}

type signingKey struct {
	day    int32
	region string
	key    [32]byte
}

// lastUse is shared by all views' versions of an access key.
type lastUse struct{ hour atomic.Int64 } // Unix seconds, a whole hour

// Change is one step from a view to the next.
type Change func(*editor) error

// editor is a batch of changes on its way to a view.
type editor struct {
	View
	edit *edit
}

// With returns the view after changes, in order. What could not be compiled is left as it
// was, and the errors tell of it; the rest is done.
func (v *View) With(changes ...Change) (*View, error) {
	e := editor{View: *v, edit: &edit{}}
	var failed []error
	for _, change := range changes {
		if err := change(&e); err != nil {
			failed = append(failed, err)
		}
	}
	next := e.View
	return &next, errors.Join(failed...)
}

// PutBucket sets a bucket.
func PutBucket(p *storagev1.PublishedBucket) Change {
	return func(e *editor) error {
		b, err := compileBucket(p, e.defaults)
		if err != nil {
			return fmt.Errorf("compile bucket %s: %w", p.GetBucket(), err)
		}
		e.dropOwned(b.Name)
		if old, ok := e.buckets.get(b.Name); ok && old.ID == b.ID {
			b.counts = old.counts
		}
		e.buckets = e.buckets.put(e.edit, b.Name, b)
		e.owned = e.owned.put(e.edit, ownedKey(b.Organization, b.Name), b)
		return nil
	}
}

// DropBucket ends a bucket.
func DropBucket(name string) Change {
	return func(e *editor) error {
		e.dropOwned(name)
		e.buckets = e.buckets.drop(e.edit, name)
		return nil
	}
}

func (e *editor) dropOwned(name string) {
	if old, ok := e.buckets.get(name); ok {
		e.owned = e.owned.drop(e.edit, ownedKey(old.Organization, name))
	}
}

func ownedKey(organization, name string) string { return organization + "\x00" + name }

// PutAccessKey sets an access key with its signing keys, opened.
func PutAccessKey(p *storagev1.PublishedAccessKey, signing *storagev1.SigningKeys) Change {
	return func(e *editor) error {
		k := &AccessKey{
			ID: p.GetAccessKeyId(), Organization: p.GetOrganization(), Name: p.GetName(), Expires: p.GetExpires(),
			use: &lastUse{},
		}
		k.caller = policy.Caller{
			Organization: k.Organization, Key: strings.TrimPrefix(k.Name, "accesskeys/"), KeyID: k.ID,
			Canonical: policy.CanonicalID(k.Organization),
		}
		if old, ok := e.keys.get(k.ID); ok {
			k.use = old.use
		}
		var err error
		if k.scopes, err = policy.CompileScopes(p.GetScopes()); err != nil {
			return fmt.Errorf("compile access key %s: %w", k.ID, err)
		}
		for _, s := range signing.GetKeys() {
			if len(s.GetKey()) != 32 {
				return fmt.Errorf("compile access key %s: a signing key has %d octets", k.ID, len(s.GetKey()))
			}
			k.signing = append(k.signing, signingKey{s.GetDay(), s.GetRegion(), [32]byte(s.GetKey())})
		}
		slices.SortFunc(k.signing, func(a, b signingKey) int { return compareSigning(a, b.day, b.region) })
		e.keys = e.keys.put(e.edit, k.ID, k)
		return nil
	}
}

// DropAccessKey ends an access key.
func DropAccessKey(id string) Change {
	return func(e *editor) error {
		e.keys = e.keys.drop(e.edit, id)
		return nil
	}
}

// PutEncryptionKey sets a key of SSE-KMS. Its material is the store's; here is its name.
func PutEncryptionKey(k EncryptionKey) Change {
	return func(e *editor) error {
		if k.ARN == "" {
			return fmt.Errorf("compile encryption key %s: it has no ARN", k.Name)
		}
		_ = DropEncryptionKey(k.Organization, k.Name)(e) // never fails
		for _, name := range k.names() {
			e.kms = e.kms.put(e.edit, name, &k)
		}
		return nil
	}
}

// DropEncryptionKey ends a key of SSE-KMS.
func DropEncryptionKey(organization, name string) Change {
	return func(e *editor) error {
		old, ok := e.kms.get(ownedKey(organization, name))
		if !ok {
			return nil
		}
		for _, name := range old.names() {
			e.kms = e.kms.drop(e.edit, name)
		}
		return nil
	}
}

// Settings sets what the installation says of its S3 endpoint as a whole.
func Settings(p *storagev1.PublishedStorage) Change {
	return func(e *editor) error {
		e.region = p.GetRegion()
		if e.region == "" {
			e.region = DefaultRegion
		}
		e.aliases = slices.Clone(p.GetRegionAliases())
		d := Defaults{Ownership: p.GetDefaultOwnership(), PublicAccess: p.GetDefaultPublicAccess()}
		if d.Ownership == storagev1.BucketSpec_OWNERSHIP_UNSPECIFIED {
			d.Ownership = storagev1.BucketSpec_OWNERSHIP_BUCKET_OWNER_ENFORCED
		}
		if d != e.defaults {
			e.defaults = d
			e.recompile()
		}
		return nil
	}
}

// recompile gives all buckets the new defaults; installations change them once.
func (e *editor) recompile() {
	e.buckets.from("", func(name string, b *Bucket) bool {
		next := *b
		next.settle(e.defaults)
		e.buckets = e.buckets.put(e.edit, name, &next)
		e.owned = e.owned.put(e.edit, ownedKey(b.Organization, name), &next)
		return true
	})
}

// Region is the installation's.
func (v *View) Region() string { return v.region }

// regionOK says whether requests may be signed for a region.
func (v *View) regionOK(region string) bool {
	return region == v.region || slices.Contains(v.aliases, region)
}

// Bucket finds a bucket by name.
func (v *View) Bucket(name string) (*Bucket, bool) { return v.buckets.get(name) }

// Buckets calls yield with all buckets, by name, until it says no.
func (v *View) Buckets(yield func(*Bucket) bool) {
	v.buckets.from("", func(_ string, b *Bucket) bool { return yield(b) })
}

// bucketsOf calls yield with an organization's buckets whose names are at or after from.
func (v *View) bucketsOf(organization, from string, yield func(*Bucket) bool) {
	v.owned.from(ownedKey(organization, from), func(key string, b *Bucket) bool {
		return strings.HasPrefix(key, organization+"\x00") && yield(b)
	})
}

// AccessKey finds an access key by its ID.
func (v *View) AccessKey(id string) (*AccessKey, bool) { return v.keys.get(id) }

// encryptionKey finds a key of SSE-KMS by what clients of an organization call it: its
// ARN, its ID (the end of its ARN), or its name with or without "encryptionkeys/" or
// "alias/". Other organizations' keys are not to be had.
func (v *View) encryptionKey(organization, id string) (*EncryptionKey, bool) {
	k, ok := v.kms.get(id)
	if !ok {
		name := strings.TrimPrefix(strings.TrimPrefix(id, "alias/"), "encryptionkeys/")
		k, ok = v.kms.get(ownedKey(organization, "encryptionkeys/"+name))
	}
	return k, ok && k.Organization == organization
}

// signingKey finds kSigning of a day and region.
func (k *AccessKey) signingKey(day int32, region string) (key [32]byte, ok bool) {
	i, ok := slices.BinarySearchFunc(k.signing, signingKey{day: day, region: region}, func(a, b signingKey) int {
		return compareSigning(a, b.day, b.region)
	})
	if ok {
		key = k.signing[i].key
	}
	return key, ok
}

func compareSigning(a signingKey, day int32, region string) int {
	if a.day != day {
		return int(a.day) - int(day)
	}
	return strings.Compare(a.region, region)
}

// used notes that the key was used at now, to the hour.
func (k *AccessKey) used(now time.Time) {
	hour := now.Unix() / 3600 * 3600
	if k.use.hour.Load() != hour {
		k.use.hour.Store(hour)
	}
}

// LastUsed is when the key was last used here, to the hour; zero for not yet.
func (k *AccessKey) LastUsed() time.Time {
	if hour := k.use.hour.Load(); hour > 0 {
		return time.Unix(hour, 0)
	}
	return time.Time{}
}

// AccessKeys calls yield with all access keys until it says no.
func (v *View) AccessKeys(yield func(*AccessKey) bool) {
	v.keys.from("", func(_ string, k *AccessKey) bool { return yield(k) })
}

// placement is where a bucket is kept, as the store wants it.
func placement(p *storagev1.PublishedBucket) store.Placement {
	at := p.GetPlacement()
	return store.Placement{
		Tenant: p.GetOrganization(), Space: store.ID(p.GetId()),
		Cell: at.GetCell(), Group: at.GetGroup(), Generation: at.GetGeneration(),
	}
}
