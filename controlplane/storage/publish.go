package storage

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/kind"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// publishBucket tells edges of a bucket and of its keys in one publication, so that who
// made it can use it where the change is in view. That one ended is told by its identity,
// too, which is what edges erase by.
func (s *Storage) publishBucket(ctx context.Context, p kind.Publication, emit func(kind.Record) error) error {
	old, _ := p.Old.(*storagev1.Bucket)
	now, _ := p.New.(*storagev1.Bucket)
	if old != nil && !bytes.Equal(old.GetStatus().GetId(), now.GetStatus().GetId()) {
		if err := emit(erased(old.GetStatus().GetId(), p.Now)); err != nil {
			return err
		}
	}
	if now == nil {
		return ended(p, emit, PublishedBucket, publishedKeys)
	}
	keys, err := s.sealBucket(ctx, p.After, p.Organization, p.Stored, now)
	if err != nil {
		return err
	}
	if err := keys.emit(p.After, emit); err != nil {
		return err
	}
	value, err := s.bucketRecord(ctx, p, now)
	if err != nil {
		return err
	}
	return emit(kind.Record{
		Kind: PublishedBucket, Stream: stream(p.Organization), Name: p.Stored, Lane: kind.LaneData,
		Value: value,
	})
}

// denyAccessKey revokes an access key that ended, or whose identity another took.
func (s *Storage) denyAccessKey(_ context.Context, p kind.Publication, emit func(kind.Record) error) error {
	old, _ := p.Old.(*storagev1.AccessKey)
	now, _ := p.New.(*storagev1.AccessKey)
	if old == nil || old.GetStatus().GetAccessKeyId() == now.GetStatus().GetAccessKeyId() {
		return nil
	}
	r := keyRevocation(old, p.Now)
	if r.Expires <= p.Now.Unix() {
		return nil // it ended by itself before
	}
	return emit(r)
}

func (s *Storage) bucketRecord(ctx context.Context, p kind.Publication, b *storagev1.Bucket) ([]byte, error) {
	_, revision, err := p.After.Get(ctx, bucketKind, p.Organization, p.Stored)
	if err != nil {
		return nil, err
	}
	m := &storagev1.PublishedBucket{
		Bucket: strings.TrimPrefix(p.Stored, "buckets/"), Id: b.GetStatus().GetId(), Organization: p.Organization,
		Spec: b.GetSpec(), Placement: b.GetStatus().GetPlacement(), Etag: admit.ETag(revision),
	}
	if keys := b.GetStatus().GetKeys(); len(keys) > 0 {
		m.CreateTime = timestamppb.New(time.Unix(keys[0].GetCreated(), 0)) // its first key is as old as it is
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}

// ended withdraws the records that have the resource's own name.
func ended(p kind.Publication, emit func(kind.Record) error, kinds ...string) error {
	for _, k := range kinds {
		if err := emit(kind.Record{
			Kind: k, Stream: stream(p.Organization), Name: p.Stored,
			Lane: kind.LaneData,
		}); err != nil {
			return err
		}
	}
	return nil
}

// erased says that a bucket ended. Every edge is told, as one that does not carry the
// organization any more may still keep the bucket's objects; the record is no credential's
// and of the data lane.
func erased(id []byte, now time.Time) kind.Record {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(
		&identityv1.PublishedRevocation{Subject: BucketSubject(id), RevokedAt: now.Unix()})
	if err != nil {
		panic(err) // a message of ours with plain fields always marshals
	}
	return kind.Record{
		Kind: bucketKind, Stream: roleStream, Name: BucketSubject(id), Lane: kind.LaneData, Value: value,
		Expires: now.Add(erasureLife).Unix(),
	}
}

// erasureLife is how long edges are told that a bucket ended: one that was away for longer
// has no certificate any more, and joins with an empty disk.
const erasureLife = ca.NodeLife

func keyRevocation(k *storagev1.AccessKey, now time.Time) kind.Record {
	return identity.Revocation(accessKeyKind, AccessKeySubject(k.GetStatus().GetAccessKeyId()), now, accessKeyLife,
		k.GetSpec().GetExpireTime())
}

// accessKeyLife is how long an edge that is told nothing more could accept what an access
// key signed: the signing keys that it has are of daysAhead days beyond the present one,
// the last of which is accepted daysBefore days, for presigned URLs.
const accessKeyLife = (daysAhead + 1 + daysBefore) * day

// publishEncryptionKey tells edges of a key of SSE-KMS.
func (s *Storage) publishEncryptionKey(ctx context.Context, p kind.Publication, emit func(kind.Record) error) error {
	now, _ := p.New.(*storagev1.EncryptionKey)
	if now == nil {
		return ended(p, emit, publishedKeys)
	}
	keys, err := s.sealEncryptionKey(ctx, p.After, p.Organization, p.Stored, now)
	if err != nil {
		return err
	}
	return keys.emit(p.After, emit)
}

// publishAccessKey tells edges of an access key; of one that ended it is the deny set
// that refuses it, at once and for as long as anything signed with it may live.
func (s *Storage) publishAccessKey(ctx context.Context, p kind.Publication, emit func(kind.Record) error) error {
	old, _ := p.Old.(*storagev1.AccessKey)
	now, _ := p.New.(*storagev1.AccessKey)
	if id := old.GetStatus().GetAccessKeyId(); old != nil && id != now.GetStatus().GetAccessKeyId() {
		err := emit(kind.Record{
			Kind: publishedAccessKey, Stream: stream(p.Organization), Name: "accesskeys/" + id,
			Lane: kind.LaneData,
		})
		if err != nil {
			return err
		}
	}
	if now == nil {
		return nil
	}
	key, err := s.sealAccessKey(ctx, p.After, p.Organization, p.Stored, now, p.Now)
	if err != nil {
		return err
	}
	return key.emit(p.After, emit)
}

// endpoint is the record of the S3 endpoint as a whole.
func (s *Storage) endpoint() (kind.Record, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(&storagev1.PublishedStorage{
		Region: s.o.Region, RegionAliases: s.o.Aliases, DefaultOwnership: s.o.Ownership,
		DefaultPublicAccess: s.o.PublicAccess,
		RecoveryRecipient:   s.o.Recovery,
	})
	if err != nil {
		return kind.Record{}, fmt.Errorf("the record of the S3 endpoint: %w", err)
	}
	return kind.Record{Kind: publishedStorage, Stream: roleStream, Name: "storage", Lane: kind.LaneData, Value: value},
		nil
}
