package edge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// The published kinds of storage.
const (
	kindBucket    = "dark.storage.v1.PublishedBucket"
	kindKeys      = "dark.storage.v1.PublishedKeys"
	kindAccessKey = "dark.storage.v1.PublishedAccessKey"
	kindStorage   = "dark.storage.v1.PublishedStorage"
	// kindErased: a bucket that was deleted, by its identity.
	kindErased = "dark.storage.v1.Bucket"

	erasedSubject = "bucket:"
)

// storageView is what the S3 endpoint and the store answer from. It is immutable.
type storageView struct {
	s3    *s3.View
	keys  layered[keyVersions]
	named layered[string] // organization, 0x00, name of a record of keys → where they are
	// erased are the spaces of buckets that were deleted, in the order that they came.
	erased []store.ID
	shreds uint64 // rises when a bucket changes
	// lasts is the last day of each access key's signing keys, by the record's name.
	lasts layered[int32]
	first int32 // of those; 0 when there are none
	// recovery is the recipient to which the disk key is sealed too; empty until told.
	recovery string
}

// compileStorage makes the next view. What cannot be compiled is refused and left as it
// was; what is sealed to other edges is not this one's to open.
func (s *s3Server) compileStorage(prev any, changes []kind.Change) (any, []kind.Refusal) {
	last, ok := prev.(*storageView)
	if !ok {
		last = &storageView{s3: s3.NewView()}
	}
	c := storageCompiler{
		keys: last.keys.edit(), named: last.named.edit(), lasts: last.lasts.edit(),
		erased: last.erased, shreds: last.shreds, recovery: last.recovery,
	}
	plain := openAll(s.machine, sealedOf(changes))
	for i, ch := range changes {
		if err := c.take(ch, plain[i]); err != nil {
			c.refuse(ch, err)
		}
	}
	// The endpoint's settings go first: all else is compiled with them once. What failed is
	// in c.refused.
	view, _ := last.s3.With(append(c.settings, c.changes...)...)
	next := &storageView{
		s3: view, keys: c.keys.done(), named: c.named.done(), erased: c.erased, shreds: c.shreds,
		lasts: c.lasts.done(), first: last.first, recovery: c.recovery,
	}
	if c.rolled {
		next.first = 0
		next.lasts.all(func(day int32) {
			if next.first == 0 || day < next.first {
				next.first = day
			}
		})
	}
	return next, c.refused
}

// sealedOf finds what must be opened of each change; nil where there is nothing.
func sealedOf(changes []kind.Change) [][]byte {
	out := make([][]byte, len(changes))
	for i, ch := range changes {
		switch {
		case ch.Value == nil:
		case ch.Kind == kindKeys:
			m := &storagev1.PublishedKeys{}
			if proto.Unmarshal(ch.Value, m) == nil {
				out[i] = m.GetSealed()
			}
		case ch.Kind == kindAccessKey:
			m := &storagev1.PublishedAccessKey{}
			if proto.Unmarshal(ch.Value, m) == nil {
				out[i] = m.GetSealed()
			}
		}
	}
	return out
}

// storageCompiler gathers what changes make of a view.
type storageCompiler struct {
	keys              *editing[keyVersions]
	named             *editing[string]
	lasts             *editing[int32]
	rolled            bool // lasts changed
	erased            []store.ID
	shreds            uint64
	recovery          string
	settings, changes []s3.Change
	refused           []kind.Refusal
}

func (c *storageCompiler) refuse(ch kind.Change, err error) {
	c.refused = append(c.refused, kind.Refusal{
		Kind: ch.Kind, Organization: ch.Organization, Name: ch.Name,
		Revision: ch.Revision, Reason: err.Error(),
	})
}

// then notes a change of the S3 view, and refuses the record when it cannot be compiled.
func (c *storageCompiler) then(ch kind.Change, x s3.Change) {
	c.changes = append(c.changes, watched(x, func(err error) { c.refuse(ch, err) }))
}

// watched tells of a change's error. What changes are made of is the endpoint's own type,
// which has no name here.
func watched[E any](change func(E) error, failed func(error)) func(E) error {
	return func(e E) error {
		err := change(e)
		if err != nil {
			failed(err)
		}
		return err
	}
}

func (c *storageCompiler) take(ch kind.Change, plain opened) error {
	switch ch.Kind {
	case kindStorage:
		m := &storagev1.PublishedStorage{}
		if err := proto.Unmarshal(ch.Value, m); err != nil {
			return fmt.Errorf("the S3 endpoint's record: %w", err)
		}
		c.recovery = m.GetRecoveryRecipient()
		c.settings = append(c.settings, watched(s3.Settings(m), func(err error) { c.refuse(ch, err) }))
		return nil
	case kindBucket:
		return c.bucket(ch)
	case kindAccessKey:
		return c.accessKey(ch, plain)
	case kindKeys:
		return c.keysOf(ch, plain)
	case kindErased:
		return c.erase(ch)
	}
	return nil
}

func (c *storageCompiler) bucket(ch kind.Change) error {
	if ch.Value == nil {
		c.then(ch, s3.DropBucket(strings.TrimPrefix(ch.Name, "buckets/")))
		return nil
	}
	m := &storagev1.PublishedBucket{}
	if err := proto.Unmarshal(ch.Value, m); err != nil {
		return fmt.Errorf("read bucket: %w", err)
	}
	c.shreds++
	c.then(ch, s3.PutBucket(m))
	return nil
}

func (c *storageCompiler) accessKey(ch kind.Change, plain opened) error {
	if ch.Value == nil {
		c.lasts.drop(ch.Name)
		c.rolled = true
		c.then(ch, s3.DropAccessKey(strings.TrimPrefix(ch.Name, "accesskeys/")))
		return nil
	}
	if errors.Is(plain.err, keyring.ErrRecipient) {
		return nil // it is about to be sealed to this edge, or not for it at all
	}
	m, keys := &storagev1.PublishedAccessKey{}, &storagev1.SigningKeys{}
	if err := errors.Join(plain.err, proto.Unmarshal(ch.Value, m), proto.Unmarshal(plain.plain, keys)); err != nil {
		return fmt.Errorf("read access key: %w", err)
	}
	last := int32(0)
	for _, k := range keys.GetKeys() {
		last = max(last, k.GetDay())
	}
	c.lasts.set(ch.Name, last)
	c.rolled = true
	c.then(ch, s3.PutAccessKey(m, keys))
	return nil
}

// keysOf takes the keys of a bucket or of SSE-KMS.
func (c *storageCompiler) keysOf(ch kind.Change, plain opened) error {
	kms := strings.HasPrefix(ch.Name, "encryptionkeys/")
	named := ch.Organization + "\x00" + ch.Name
	if ch.Value == nil {
		if at, ok := c.named.get(named); ok {
			c.keys.drop(at)
			c.named.drop(named)
		}
		if kms {
			c.then(ch, s3.DropEncryptionKey(ch.Organization, ch.Name))
		}
		return nil
	}
	if errors.Is(plain.err, keyring.ErrRecipient) {
		return nil // another cell's
	}
	m := &storagev1.PublishedKeys{}
	if err := errors.Join(plain.err, proto.Unmarshal(ch.Value, m)); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	versions, err := readKeys(plain.plain)
	if err != nil {
		return err
	}
	at := ofARN(m.GetArn())
	if !kms {
		if len(m.GetId()) != len(store.ID{}) {
			return fmt.Errorf("read keys: the identity has %d octets", len(m.GetId()))
		}
		at = ofSpace(store.ID(m.GetId()))
	}
	if was, ok := c.named.get(named); ok && was != at {
		c.keys.drop(was)
	}
	c.keys.set(at, versions)
	c.named.set(named, at)
	if kms {
		c.then(ch, s3.PutEncryptionKey(s3.EncryptionKey{
			Name: ch.Name, Organization: ch.Organization, ARN: m.GetArn(),
			Retired: m.GetRetired(),
		}))
	}
	return nil
}

// erase notes that a bucket was deleted for good. A record of a bucket that merely
// vanishes says nothing of it: the organization may come back to this edge.
func (c *storageCompiler) erase(ch kind.Change) error {
	text, ok := strings.CutPrefix(ch.Name, erasedSubject)
	if ch.Value == nil || !ok {
		return nil
	}
	id, err := hex.DecodeString(text)
	if err != nil || len(id) != len(store.ID{}) {
		return fmt.Errorf("%q names no bucket's identity", ch.Name)
	}
	c.erased = append(c.erased[:len(c.erased):len(c.erased)], store.ID(id))
	return nil
}
