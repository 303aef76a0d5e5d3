// Package frame is the signed unit of the feed: how a frame is sealed by the publisher,
// opened by whoever receives it from whatever hand, and judged against the position
// that a receiver has (design: feed.md). Signatures are Ed25519 (RFC 8032). It also
// has the wire's length prefix. Everything here is pure; Keys is an immutable value.
package frame

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// MaxFrame is the most octets of a marshalled SignedFrame.
const MaxFrame = 1 << 20

// domain keeps a frame's signature from being one over anything else.
const domain = "dark feed frame v1\x00"

// What Open refuses. Each is counted apart, see Reason.
var (
	ErrMalformed    = errors.New("frame is malformed")
	ErrBadSignature = errors.New("frame's signature does not verify")
	ErrUnknownKey   = errors.New("frame is signed by an unknown key")
	ErrRetiredKey   = errors.New("frame is signed by a retired key")
)

// Seal signs f and returns the marshalled SignedFrame, which is stored and forwarded as
// these bytes, and its SHA-256, which the stream's next frame names.
func Seal(key ed25519.PrivateKey, f *feedv1.Frame) (data []byte, hash [32]byte, err error) {
	inner, err := proto.MarshalOptions{Deterministic: true}.Marshal(f)
	if err != nil {
		return nil, hash, fmt.Errorf("marshal frame of %s: %w", f.GetStream(), err)
	}
	id := KeyID(key.Public().(ed25519.PublicKey))
	data = make([]byte, 0, len(inner)+ed25519.SignatureSize+32)
	data = protowire.AppendTag(data, 1, protowire.BytesType)
	data = protowire.AppendBytes(data, inner)
	data = protowire.AppendTag(data, 2, protowire.BytesType)
	data = protowire.AppendBytes(data, ed25519.Sign(key, signed(inner)))
	data = protowire.AppendTag(data, 3, protowire.BytesType)
	data = protowire.AppendBytes(data, id[:])
	if len(data) > MaxFrame {
		return nil, hash, fmt.Errorf("frame of %s at revision %d has %d octets, at most %d are allowed", f.GetStream(),
			f.GetRevision(), len(data), MaxFrame)
	}
	return data, sha256.Sum256(data), nil
}

// Open verifies a marshalled SignedFrame against keys and returns the frame and the hash
// of data. The frame keeps no reference to data.
func Open(data []byte, keys Keys) (f *feedv1.Frame, hash [32]byte, err error) {
	if len(data) > MaxFrame {
		return nil, hash, fmt.Errorf("%w: %d octets", ErrMalformed, len(data))
	}
	s, err := split(data)
	if err != nil {
		return nil, hash, err
	}
	key, err := keys.find(s.keyID)
	if err != nil {
		return nil, hash, err
	}
	// The signature comes before any look at the content.
	if !ed25519.Verify(key.Public, signed(s.frame), s.signature) {
		return nil, hash, ErrBadSignature
	}
	f = &feedv1.Frame{}
	if err := proto.Unmarshal(s.frame, f); err != nil {
		return nil, hash, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := keys.covers(key, f.GetSignedAt()); err != nil {
		return nil, hash, err
	}
	return f, sha256.Sum256(data), nil
}

// HasDeny reports whether a marshalled SignedFrame has an item of the deny lane, without
// verifying or building it; false for what cannot be read.
func HasDeny(data []byte) bool {
	s, err := split(data)
	if err != nil {
		return false
	}
	deny := false
	each(s.frame, func(n protowire.Number, item []byte) {
		if n != 9 || deny {
			return
		}
		deny = lane(item) == laneDeny
	})
	return deny
}

const laneDeny = 2

// lane returns field 3 of an Item.
func lane(item []byte) uint64 {
	for len(item) > 0 {
		n, t, l := protowire.ConsumeTag(item)
		if l < 0 {
			return 0
		}
		item = item[l:]
		if n == 3 && t == protowire.VarintType {
			v, _ := protowire.ConsumeVarint(item)
			return v
		}
		if l = protowire.ConsumeFieldValue(n, t, item); l < 0 {
			return 0
		}
		item = item[l:]
	}
	return 0
}

// each calls f for every length-delimited field of a message, until it is malformed.
func each(b []byte, f func(protowire.Number, []byte)) bool {
	for len(b) > 0 {
		n, t, l := protowire.ConsumeTag(b)
		if l < 0 {
			return false
		}
		b = b[l:]
		if t == protowire.BytesType {
			v, l := protowire.ConsumeBytes(b)
			if l < 0 {
				return false
			}
			f(n, v)
			b = b[l:]
			continue
		}
		if l = protowire.ConsumeFieldValue(n, t, b); l < 0 {
			return false
		}
		b = b[l:]
	}
	return true
}

type sealed struct{ frame, signature, keyID []byte }

// split takes a SignedFrame apart without copying.
func split(data []byte) (s sealed, err error) {
	whole := each(data, func(n protowire.Number, v []byte) {
		switch n {
		case 1:
			s.frame = v
		case 2:
			s.signature = v
		case 3:
			s.keyID = v
		}
	})
	if !whole || s.frame == nil || len(s.signature) != ed25519.SignatureSize || len(s.keyID) != 8 {
		return sealed{}, fmt.Errorf("%w: %d octets are no signed frame", ErrMalformed, len(data))
	}
	return s, nil
}

// signed is what the signature is over.
func signed(frame []byte) []byte {
	b := make([]byte, 0, len(domain)+len(frame))
	return append(append(b, domain...), frame...)
}
