package storage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// sealing is a record whose secret part is sealed, before it is: what went into it tells
// whether that must be done again.
type sealing struct {
	kind, stream, name string
	inputs             []byte
	group              *keyring.Group
	// secret makes what is sealed; it is called only where that is needed.
	secret func() (proto.Message, error)
	// record makes the published message around what was sealed.
	record func(sealed, inputs []byte) proto.Message
	// have reads inputs and what was sealed from a published record.
	have func(value []byte) (inputs, sealed []byte, err error)
}

// value is what is to be published, given what is: with the sealed part of that where its
// inputs are the same.
func (s sealing) value(published []byte) ([]byte, error) {
	var old []byte
	if published != nil {
		inputs, sealed, err := s.have(published)
		if err != nil {
			return nil, fmt.Errorf("read published %s: %w", s.name, err)
		}
		if bytes.Equal(inputs, s.inputs) {
			old = sealed
		}
	}
	if old == nil {
		m, err := s.secret()
		if err != nil {
			return nil, err
		}
		plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			return nil, err
		}
		if old, err = s.group.Seal(plain); err != nil {
			return nil, fmt.Errorf("seal %s: %w", s.name, err)
		}
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(s.record(old, s.inputs))
}

// emit publishes the record unless it is there. What cannot be sealed holds nothing else
// up: passes try it again, and tell.
func (s sealing) emit(r kind.Reader, emit func(kind.Record) error) error {
	published, err := r.Published(s.stream, s.kind, s.name)
	if err != nil {
		return err
	}
	value, err := s.value(published)
	if err != nil || published != nil && bytes.Equal(value, published) {
		return nil //nolint:nilerr // see above
	}
	return emit(s.published(value))
}

func (s sealing) published(value []byte) kind.Record {
	return kind.Record{Kind: s.kind, Stream: s.stream, Name: s.name, Lane: kind.LaneData, Value: value}
}

// inputs is a hash of what goes into a sealed message.
type inputs struct{ hash.Hash }

func newInputs(format string, g *keyring.Group) inputs {
	i := inputs{sha256.New()}
	to := g.Hash()
	i.add([]byte(format))
	i.add(to[:])
	return i
}

func (i inputs) add(b []byte) {
	i.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
	i.Write(b)
}

func (i inputs) number(n int64) { i.add(binary.BigEndian.AppendUint64(nil, uint64(n))) }

// sealBucket is the record of a bucket's keys.
func (s *Storage) sealBucket(ctx context.Context, r kind.Reader, organization, name string,
	b *storagev1.Bucket,
) (sealing, error) {
	g, err := s.cell(ctx, r, b.GetStatus().GetPlacement().GetCell())
	if err != nil {
		return sealing{}, err
	}
	return s.sealKeys(organization, name, g, b.GetStatus().GetId(), b.GetStatus().GetKeys(), sealedBucket,
		&storagev1.PublishedKeys{}), nil
}

// sealEncryptionKey is the record of a key of SSE-KMS.
func (s *Storage) sealEncryptionKey(ctx context.Context, r kind.Reader, organization, name string,
	k *storagev1.EncryptionKey,
) (sealing, error) {
	g, err := s.organization(ctx, r, organization)
	if err != nil {
		return sealing{}, err
	}
	rest := &storagev1.PublishedKeys{Arn: k.GetStatus().GetArn(), Retired: k.GetSpec().GetRetired()}
	return s.sealKeys(organization, name, g, k.GetStatus().GetId(), k.GetStatus().GetKeys(), sealedEncryptionKey, rest),
		nil
}

func (s *Storage) sealKeys(organization, name string, g *keyring.Group, id []byte, keys []*storagev1.SealedKey,
	sealedName func([]byte, uint32) string, rest *storagev1.PublishedKeys,
) sealing {
	in := newInputs("dark keys v1", g)
	in.add(id)
	for _, k := range keys {
		in.number(int64(k.GetVersion()))
		in.add(k.GetSealed())
	}
	return sealing{
		kind: publishedKeys, stream: stream(organization), name: name, inputs: in.Sum(nil), group: g,
		secret: func() (proto.Message, error) { return s.open(id, keys, sealedName) },
		record: func(sealed, inputs []byte) proto.Message {
			m := proto.Clone(rest).(*storagev1.PublishedKeys)
			m.Id, m.Sealed, m.Inputs = id, sealed, inputs
			return m
		},
		have: func(value []byte) (inputs, sealed []byte, err error) {
			m := &storagev1.PublishedKeys{}
			err = proto.Unmarshal(value, m)
			return m.Inputs, m.Sealed, err
		},
	}
}

// open opens the versions of a key.
func (s *Storage) open(id []byte, keys []*storagev1.SealedKey,
	sealedName func([]byte, uint32) string,
) (*storagev1.Keys, error) {
	out := &storagev1.Keys{}
	for _, k := range keys {
		key, err := s.o.Root.Open(keyring.Storage, sealedName(id, k.GetVersion()), k.GetSealed())
		if err != nil {
			return nil, err
		}
		out.Keys = append(out.Keys, &storagev1.Key{Version: k.GetVersion(), Key: key})
	}
	return out, nil
}

// sealAccessKey is the record of an access key, with its signing keys around a time.
func (s *Storage) sealAccessKey(ctx context.Context, r kind.Reader, organization, name string, k *storagev1.AccessKey,
	now time.Time,
) (sealing, error) {
	g, err := s.organization(ctx, r, organization)
	if err != nil {
		return sealing{}, err
	}
	id := k.GetStatus().GetAccessKeyId()
	rest := &storagev1.PublishedAccessKey{
		AccessKeyId: id, Organization: organization, Scopes: k.GetSpec().GetScopes(),
		Name: name,
	}
	if t := k.GetSpec().GetExpireTime(); t != nil {
		rest.Expires = t.AsTime().Unix()
	}
	return sealing{
		kind: publishedAccessKey, stream: stream(organization), name: "accesskeys/" + id, group: g,
		inputs: s.accessKeyInputs(g, id, k.GetStatus().GetSealedSecret(), now),
		secret: func() (proto.Message, error) {
			secret, err := s.Secret(k)
			return derive(secret, today(id, now), s.Regions()), err
		},
		record: func(sealed, inputs []byte) proto.Message {
			m := proto.Clone(rest).(*storagev1.PublishedAccessKey)
			m.Sealed, m.Inputs = sealed, inputs
			return m
		},
		have: func(value []byte) (inputs, sealed []byte, err error) {
			m := &storagev1.PublishedAccessKey{}
			err = proto.Unmarshal(value, m)
			return m.Inputs, m.Sealed, err
		},
	}, nil
}

func (s *Storage) accessKeyInputs(g *keyring.Group, id string, secret []byte, now time.Time) []byte {
	in := newInputs("dark signing keys v1", g)
	in.add([]byte(id))
	in.add(secret)
	in.number(today(id, now))
	for _, r := range s.Regions() {
		in.add([]byte(r))
	}
	return in.Sum(nil)
}
