package storage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

const (
	idSize  = 16
	keySize = 32
)

// admitBucket judges a bucket. A new one is given its identity, its first key and its
// place; none of them is ever another's.
func (s *Storage) admitBucket(ctx context.Context, a *kind.Admission) error {
	if a.New == nil { // what it held is erased with its keys, at the edge and in the state
		id := a.Old.(*storagev1.Bucket).GetStatus().GetId()
		a.Ops = append(a.Ops, admit.Ended(a.Organization, erased(id, a.Now)))
		return s.empty(ctx, a)
	}
	name := strings.TrimPrefix(a.Name, "buckets/")
	b := a.New.(*storagev1.Bucket)
	old, _ := a.Old.(*storagev1.Bucket)
	if b.Spec == nil {
		b.Spec = &storagev1.BucketSpec{}
	}
	s.checkBucket(a, name, b.Spec)
	if err := s.checkEncryption(ctx, a, b.Spec); err != nil {
		return err
	}
	// Unlike names of the DNS these are one flat list.
	a.Claims = []kind.Claim{{Space: "bucket", Name: name}}
	if old == nil {
		return s.newBucket(ctx, a, name, b)
	}
	s.checkChange(a, old, b)
	if b.Spec.KeyRotation == 0 {
		b.Spec.KeyRotation = old.GetSpec().GetKeyRotation() // a document that does not say rotates nothing
	}
	if s.rotates(a, "spec.keyRotation", old.GetSpec().GetKeyRotation(), b.Spec.KeyRotation, b.GetStatus().GetKeys()) {
		b.Status.Keys = s.nextKey(a, b.Status.Id, b.Status.Keys, sealedBucket)
	}
	return nil
}

// empty refuses to delete a bucket that holds objects, or of which that is not known,
// unless that was asked for by name. S3's DeleteBucket has looked itself, and closed the
// bucket to further ones.
func (s *Storage) empty(ctx context.Context, a *kind.Admission) error {
	if a.Forced || s.o.Objects == nil {
		return nil
	}
	cell := a.Old.(*storagev1.Bucket).GetStatus().GetPlacement().GetCell()
	n, ok := s.o.Objects(ctx, a.Organization, a.Name, cell)
	switch next := fmt.Sprintf("delete it with force %q to lose what it holds (dark buckets delete %s --force %s "+
		"--yes)", a.Name, strings.TrimPrefix(a.Name, "buckets/"), strings.TrimPrefix(a.Name, "buckets/")); {
	case !ok:
		return errs.New(errs.Conflict, "it is not known whether %s is empty: edge %s, which keeps it, does not say; "+
			"try again when it is connected, or %s", a.Name, cell, next)
	case n > 0:
		what, them := fmt.Sprintf("%d objects or versions", n), "them"
		if n == 1 {
			what, them = "1 object or version", "it"
		}
		return errs.New(errs.Conflict, "BucketNotEmpty: %s holds %s; remove %s first, or %s", a.Name, what, them, next)
	}
	return nil
}

func (s *Storage) checkBucket(a *kind.Admission, name string, spec *storagev1.BucketSpec) {
	if r := spec.GetRegion(); r != "" && !slices.Contains(s.Regions(), r) {
		a.Bad("spec.region", "%q is not the region of this installation, which is %q", r, s.o.Region)
	}
	if t := spec.GetShredAfter(); t != nil && (!t.IsValid() || t.AsDuration() < 0) {
		a.Bad("spec.shredAfter", "must not be negative")
	}
	checkSizes(a, spec)
	if s.o.CheckBucket != nil {
		a.Violations = append(a.Violations, s.o.CheckBucket(name, spec)...)
	}
}

// checkEncryption asks that the key of new objects is there and may be used.
func (s *Storage) checkEncryption(ctx context.Context, a *kind.Admission, spec *storagev1.BucketSpec) error {
	name := spec.GetEncryption().GetEncryptionKey()
	if name == "" {
		return nil
	}
	m, rev, err := a.Reader.Get(ctx, encryptionKeyKind, a.Organization, name)
	if err != nil {
		return err
	}
	k, _ := m.(*storagev1.EncryptionKey)
	switch old, _ := a.Old.(*storagev1.Bucket); {
	case k == nil:
		a.Bad("spec.encryption.encryptionKey", "%s does not exist; a key is named encryptionkeys/NAME", name)
		return nil
	case k.GetSpec().GetRetired() && old.GetSpec().GetEncryption().GetEncryptionKey() != name:
		a.Bad("spec.encryption.encryptionKey", "%s is retired", name)
		return nil
	}
	ref := &statev1.Ref{Kind: encryptionKeyKind, Organization: a.Organization, Name: name}
	if rev != 0 { // 0: it is made in the same transaction
		a.Preconditions = append(a.Preconditions, admit.At(ref, rev))
	}
	return nil
}

// checkChange refuses what cannot be taken back or moved.
func (s *Storage) checkChange(a *kind.Admission, old, b *storagev1.Bucket) {
	if was, is := old.GetSpec().GetVersioning(), b.Spec.GetVersioning(); was != is &&
		is == storagev1.BucketSpec_VERSIONING_UNSPECIFIED {
		a.Bad("spec.versioning", "a bucket that was versioned never goes back; it can be suspended")
	}
	if c := b.Spec.GetCell(); c != old.GetSpec().GetCell() && c != "" && c != old.GetStatus().GetPlacement().GetCell() {
		a.Bad("spec.cell", "a bucket stays in its cell, which is %q", old.GetStatus().GetPlacement().GetCell())
	}
	or := func(r string) string {
		if r == "" {
			return s.o.Region
		}
		return r
	}
	if was, is := or(old.GetSpec().GetRegion()), or(b.Spec.GetRegion()); was != is {
		a.Bad("spec.region", "a bucket stays in its region, which is %q", was)
	}
}

func (s *Storage) newBucket(ctx context.Context, a *kind.Admission, name string, b *storagev1.Bucket) error {
	cell, err := s.place(ctx, a, name, b.Spec.GetCell())
	if err != nil || len(a.Violations) > 0 {
		return err
	}
	id := randomID()
	a.Ops = append(a.Ops, admit.Reserve(a.Organization, erased(id, a.Now)))
	b.Status = &storagev1.BucketStatus{
		Id: id, Placement: &storagev1.Placement{Cell: cell, Generation: 1},
		Keys: []*storagev1.SealedKey{s.newKey(sealedBucket(id, 1), 1, a.Now.Unix())},
	}
	return nil
}

func randomID() []byte {
	id := make([]byte, idSize)
	rand.Read(id)
	return id
}

// newKey makes a version of a key and seals it.
func (s *Storage) newKey(name string, version uint32, now int64) *storagev1.SealedKey {
	var key [keySize]byte
	rand.Read(key[:])
	return &storagev1.SealedKey{Version: version, Sealed: s.o.Root.Seal(keyring.Storage, name, key[:]), Created: now}
}

// Names under which keys are sealed.
func sealedBucket(id []byte, version uint32) string {
	return fmt.Sprintf("bucket/%s/%d", hex.EncodeToString(id), version)
}

func sealedEncryptionKey(id []byte, version uint32) string {
	return fmt.Sprintf("encryptionkey/%s/%d", hex.EncodeToString(id), version)
}

// admitEncryptionKey judges a key of SSE-KMS; raising the rotation makes a new version.
func (s *Storage) admitEncryptionKey(ctx context.Context, a *kind.Admission) error {
	if a.New == nil {
		return s.unused(ctx, a)
	}
	k := a.New.(*storagev1.EncryptionKey)
	if k.Spec == nil {
		k.Spec = &storagev1.EncryptionKeySpec{}
	}
	old, _ := a.Old.(*storagev1.EncryptionKey)
	if old == nil {
		if len(a.Violations) > 0 {
			return nil
		}
		id := randomID()
		k.Status = &storagev1.EncryptionKeyStatus{
			Id: id, Arn: "arn:aws:kms:" + s.o.Region + ":" + a.Organization + ":key/" + strings.TrimPrefix(a.Name,
				"encryptionkeys/"),
			Keys: []*storagev1.SealedKey{s.newKey(sealedEncryptionKey(id, 1), 1, a.Now.Unix())},
		}
		return nil
	}
	if s.rotates(a, "spec.rotation", old.GetSpec().GetRotation(), k.Spec.GetRotation(), k.GetStatus().GetKeys()) {
		k.Status.Keys = s.nextKey(a, k.Status.Id, k.Status.Keys, sealedEncryptionKey)
	}
	return nil
}

// rotates says whether a change asks for a new version of a key, and refuses what cannot
// be.
func (s *Storage) rotates(a *kind.Admission, field string, was, is uint32, keys []*storagev1.SealedKey) bool {
	switch {
	case is < was:
		a.Bad(field, "it is %d and only rises", was)
	case is > was && len(keys) >= maxVersions:
		a.Bad(field, "a key has at most %d versions; make another", maxVersions)
	case is > was && len(keys) > 0:
		return true
	}
	return false
}

// nextKey adds a version to a key. The older ones stay: what they wrapped is opened with
// them until it was wrapped again.
func (s *Storage) nextKey(a *kind.Admission, id []byte, keys []*storagev1.SealedKey,
	name func([]byte, uint32) string,
) []*storagev1.SealedKey {
	version := keys[len(keys)-1].GetVersion() + 1
	return append(keys, s.newKey(name(id, version), version, a.Now.Unix()))
}

// maxVersions of one key: what edges are told of it stays small.
const maxVersions = 200

// unused refuses to end a key that a bucket of the organization encrypts new objects
// with. What it encrypted is gone with it.
func (s *Storage) unused(ctx context.Context, a *kind.Admission) error {
	by := ""
	err := a.Reader.List(ctx, bucketKind, a.Organization, "buckets/", func(stored string, m proto.Message) bool {
		if m.(*storagev1.Bucket).GetSpec().GetEncryption().GetEncryptionKey() == a.Name {
			by = stored
		}
		return by == ""
	})
	if err == nil && by != "" {
		return errs.New(errs.Conflict, "%s encrypts new objects with %s; change that first", by, a.Name)
	}
	return err
}
