package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// WrappedSize is the size of a wrapped key: format | nonce (12) | ciphertext (32) | tag (16).
const WrappedSize = 1 + 12 + KeySize + 16

// ValueOverhead is what sealing adds to a value: format | nonce (12) | tag (16).
const ValueOverhead = 1 + 12 + 16

// Bind is associated data: a label and parts, each with its length before it, so that no
// two lists of parts give the same octets.
func Bind(label string, parts ...[]byte) []byte {
	n := 4 + len(label)
	for _, p := range parts {
		n += 4 + len(p)
	}
	ad := make([]byte, 0, n)
	ad = binary.BigEndian.AppendUint32(ad, uint32(len(label)))
	ad = append(ad, label...)
	for _, p := range parts {
		ad = binary.BigEndian.AppendUint32(ad, uint32(len(p)))
		ad = append(ad, p...)
	}
	return ad
}

// Number is a part of Bind.
func Number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// Hold names what a wrapped data key is for; it opens in no other place.
type Hold struct {
	Tenant string
	Space  [16]byte
	Extent [16]byte
	Slot   uint32
	Name   string // of the key that wraps the epoch key
	Epoch  uint32
}

// Bind is the hold's associated data.
func (h Hold) Bind() []byte {
	return Bind("dark store hold", []byte(h.Tenant), h.Space[:], h.Extent[:],
		Number(uint64(h.Slot)), []byte(h.Name), Number(uint64(h.Epoch)))
}

// Wrapper wraps keys under a key, whose schedule it keeps. Random nonces bound a
// wrapping key to 2^32 uses (NIST SP 800-38D 8.3); epoch keys live a day.
type Wrapper struct{ aead cipher.AEAD }

// NewWrapper wraps under key.
func NewWrapper(key *Key) *Wrapper { return &Wrapper{randomGCM(key)} }

// Wrap appends the wrapped key to dst; ad says what it is for.
func (w *Wrapper) Wrap(dst []byte, key *Key, ad []byte) []byte {
	return w.aead.Seal(append(dst, format), nil, key[:], ad)
}

// Unwrap opens a wrapped key; the error is ErrOpen.
func (w *Wrapper) Unwrap(wrapped, ad []byte) (key Key, err error) {
	if len(wrapped) != WrappedSize || wrapped[0] != format {
		return key, fmt.Errorf("a wrapped key of %d octets: %w", len(wrapped), ErrOpen)
	}
	if _, err = w.aead.Open(key[:0], nil, wrapped[1:], ad); err != nil {
		return Key{}, fmt.Errorf("wrapped key: %w", ErrOpen)
	}
	return key, nil
}

// Values seals rows' values under a key that HKDF-SHA256 (RFC 5869) derives from a
// space's key, so that values and wrapped keys never share one. It is bounded as Wrapper:
// 2^32 values of one version of the space's key.
type Values struct{ aead cipher.AEAD }

// NewValues derives the key of a space's values.
func NewValues(key *Key, space [16]byte) *Values {
	derived, err := hkdf.Key(sha256.New, key[:], space[:], "dark store values 1", KeySize)
	if err != nil {
		panic(err) // only for a length past HKDF's
	}
	return &Values{randomGCM((*Key)(derived))}
}

// Seal appends the sealed value to dst; ad names the row.
func (v *Values) Seal(dst, value, ad []byte) []byte {
	return v.aead.Seal(append(dst, format), nil, value, ad)
}

// Open appends the value to dst; the error is ErrOpen.
func (v *Values) Open(dst, sealed, ad []byte) ([]byte, error) {
	if len(sealed) < ValueOverhead || sealed[0] != format {
		return dst, fmt.Errorf("a sealed value of %d octets: %w", len(sealed), ErrOpen)
	}
	value, err := v.aead.Open(dst, nil, sealed[1:], ad)
	if err != nil {
		return dst, fmt.Errorf("sealed value: %w", ErrOpen)
	}
	return value, nil
}

func randomGCM(key *Key) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for a wrong key size
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for a wrong block size
	}
	return aead
}
