package frame

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"time"
)

// Skew is how far the clocks of two control nodes may differ: a frame may claim to be
// signed that long before its key became active (keys.md: edges compare clocks, over
// five minutes a node refuses to sign).
const Skew = 5 * time.Minute

// KeyID is the first 8 octets of the SHA-256 of a public key.
func KeyID(pub ed25519.PublicKey) [8]byte {
	sum := sha256.Sum256(pub)
	return [8]byte(sum[:8])
}

// Key is one publishing key.
type Key struct {
	Public ed25519.PublicKey
	// Active is from when it signs; zero: always.
	Active time.Time
	// Retired is when it stops to be believed; zero: in use.
	Retired time.Time
}

// Keys is the immutable set of keys by which frames are verified. The zero value has none.
type Keys struct {
	byID map[[8]byte]Key
	now  time.Time
}

// NewKeys returns a set of keys.
func NewKeys(keys ...Key) Keys {
	k := Keys{}
	for _, key := range keys {
		k = k.With(key)
	}
	return k
}

// With returns the set with key added, or replaced if it has one with the same id.
func (k Keys) With(key Key) Keys {
	byID := maps.Clone(k.byID)
	if byID == nil {
		byID = map[[8]byte]Key{}
	}
	byID[KeyID(key.Public)] = key
	return Keys{byID: byID, now: k.now}
}

// At returns the same set as of now: keys retired by then are refused whatever time a
// frame claims to be signed at, as a thief of an old key would write an old time.
func (k Keys) At(now time.Time) Keys { return Keys{byID: k.byID, now: now} }

// Get returns the key of an id.
func (k Keys) Get(id [8]byte) (Key, bool) {
	key, ok := k.byID[id]
	return key, ok
}

// Len is the number of keys, retired ones included.
func (k Keys) Len() int { return len(k.byID) }

func (k Keys) find(id []byte) (Key, error) {
	key, ok := k.byID[[8]byte(id)]
	if !ok || len(key.Public) != ed25519.PublicKeySize {
		return Key{}, fmt.Errorf("%w: %x", ErrUnknownKey, id)
	}
	if !key.Retired.IsZero() && !k.now.Before(key.Retired) {
		return Key{}, fmt.Errorf("%w: %x since %s", ErrRetiredKey, id, key.Retired.UTC().Format(time.RFC3339))
	}
	return key, nil
}

// covers says whether key was one to sign with at the time that a frame claims.
func (k Keys) covers(key Key, signedAt int64) error {
	at := time.Unix(0, signedAt)
	if !key.Retired.IsZero() && !at.Before(key.Retired) {
		return fmt.Errorf("%w: signed at %s", ErrRetiredKey, at.UTC().Format(time.RFC3339))
	}
	if !key.Active.IsZero() && at.Before(key.Active.Add(-Skew)) {
		return fmt.Errorf("%w: not active yet at %s", ErrUnknownKey, at.UTC().Format(time.RFC3339))
	}
	return nil
}
