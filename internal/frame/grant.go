package frame

import (
	"crypto/ed25519"
	"fmt"

	"google.golang.org/protobuf/proto"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// grantDomain keeps a grant's signature from being one over a frame.
const grantDomain = "dark feed grant v1\x00"

// SealGrant signs which streams an edge gets.
func SealGrant(key ed25519.PrivateKey, g *feedv1.Grant) (*feedv1.Subscription, error) {
	inner, err := proto.MarshalOptions{Deterministic: true}.Marshal(g)
	if err != nil {
		return nil, fmt.Errorf("marshal grant of %s: %w", g.GetNode(), err)
	}
	id := KeyID(key.Public().(ed25519.PublicKey))
	return &feedv1.Subscription{
		Streams: g.GetStreams(), Grant: inner, Signature: ed25519.Sign(key, append([]byte(grantDomain), inner...)),
		KeyId: id[:],
	}, nil
}

// OpenGrant verifies a signed subscription against keys, as Open does a frame.
func OpenGrant(s *feedv1.Subscription, keys Keys) (*feedv1.Grant, error) {
	if len(s.GetKeyId()) != 8 {
		return nil, fmt.Errorf("%w: a key id of %d octets", ErrMalformed, len(s.GetKeyId()))
	}
	key, err := keys.find(s.GetKeyId())
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(key.Public, append([]byte(grantDomain), s.GetGrant()...), s.GetSignature()) {
		return nil, ErrBadSignature
	}
	g := &feedv1.Grant{}
	if err := proto.Unmarshal(s.GetGrant(), g); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return g, keys.covers(key, g.GetSignedAt())
}
