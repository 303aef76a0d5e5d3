// Package seal encrypts what the store keeps: bodies in chunks, the keys of bodies, and
// the small values of rows.
//
// A body's extent has a random data key of its own. Its octets are cut in chunks of
// [ChunkSize], each sealed with AES-256-GCM (NIST SP 800-38D):
//
//	nonce  4 zero octets | chunk number (8, big endian)
//	AD     format (1) | extent id (16) | chunk number (8, big endian) | last (1)
//	sealed ciphertext | tag (16)
//
// A nonce is the chunk's number because no key seals two extents and a [Sealer] gives
// each number once. The last flag makes a cut tail fail to open, the number a swapped
// chunk, the id an exchanged extent. An empty extent is one empty last chunk.
//
// Data keys are wrapped, and values sealed, with AES-256-GCM under a random nonce that
// stands before the ciphertext; see [Wrapper] and [Values].
//
// Sealer and Opener belong to one goroutine each; the others may be shared.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
)

// Sizes in octets.
const (
	ChunkSize = 64 << 10 // in the clear
	Overhead  = 16       // the tag of a chunk
	KeySize   = 32
)

// format is the first octet of each chunk's associated data.
const format = 1

// ErrOpen is sealed data, or a wrapped key, that was changed, stands in another's place,
// or belongs to another key.
var ErrOpen = errors.New("the seal does not open")

// Key is a data key or a wrapping key.
type Key [KeySize]byte

// NewKey is a random key.
func NewKey() (k Key) {
	rand.Read(k[:]) // never fails
	return k
}

// String keeps keys out of logs.
func (Key) String() string { return "(key)" }

// GoString keeps keys out of logs.
func (Key) GoString() string { return "(key)" }

func newGCM(key *Key) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for a wrong key size
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only for a wrong block size
	}
	return aead
}

// chunks is the cipher of one extent, with room for nonce and associated data, so that a
// chunk costs no allocation.
type chunks struct {
	aead  cipher.AEAD
	nonce [12]byte
	ad    [1 + 16 + 8 + 1]byte
}

func (c *chunks) init(key *Key, id [16]byte) {
	c.aead = newGCM(key)
	c.ad[0] = format
	copy(c.ad[1:], id[:])
}

func (c *chunks) at(chunk int64, last bool) {
	binary.BigEndian.PutUint64(c.nonce[4:], uint64(chunk))
	binary.BigEndian.PutUint64(c.ad[17:], uint64(chunk))
	c.ad[25] = 0
	if last {
		c.ad[25] = 1
	}
}

// Sealer seals the chunks of one extent in order.
type Sealer struct {
	chunks
	next int64
	done bool
}

// NewSealer seals an extent under a key that never sealed another.
func NewSealer(key *Key, id [16]byte) *Sealer {
	s := &Sealer{}
	s.init(key, id)
	return s
}

// Append seals the next chunk behind dst: ChunkSize octets, or fewer in the last. plain
// may begin where dst ends, so that a chunk is sealed in place. A chunk of another size,
// or one after the last, is a bug of the caller's and panics: it would break the seal.
func (s *Sealer) Append(dst, plain []byte, last bool) []byte {
	if s.done || len(plain) > ChunkSize || !last && len(plain) < ChunkSize {
		panic(fmt.Sprintf("seal: chunk %d of %d octets, after the last: %v", s.next, len(plain), s.done))
	}
	s.at(s.next, last)
	s.next++
	s.done = last
	return s.aead.Seal(dst, s.nonce[:], plain, s.ad[:])
}

// Opener opens chunks of one extent in any order.
type Opener struct{ chunks }

// NewOpener opens what a Sealer of the same key and id sealed.
func NewOpener(key *Key, id [16]byte) *Opener {
	o := &Opener{}
	o.init(key, id)
	return o
}

// Open opens a chunk behind dst; sealed[:0] opens in place. The error is ErrOpen, and
// then nothing of the chunk is returned.
func (o *Opener) Open(dst, sealed []byte, chunk int64, last bool) ([]byte, error) {
	o.at(chunk, last)
	plain, err := o.aead.Open(dst, o.nonce[:], sealed, o.ad[:])
	if err != nil {
		return dst, fmt.Errorf("chunk %d: %w", chunk, ErrOpen)
	}
	return plain, nil
}
