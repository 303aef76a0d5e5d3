// Package keyring keeps the keys that everything secret hangs on: the cluster's root
// key, the purpose keys that follow from it, the machine key that opens things
// unattended, and the offline recovery key that opens them when all machines are gone.
//
//	root key → purpose keys → what they seal
//
// The root key is wrapped (age, X25519) to each control node's machine key; in a backup
// to the recovery key only. Purpose keys are derived (HKDF-SHA-256, RFC 5869), so that
// only the root key needs keeping. All values are immutable; all methods may be called
// by any goroutine.
package keyring

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// Purpose says what a key is for; keys of two purposes have nothing in common.
type Purpose string

// The purposes.
const (
	CA         Purpose = "ca"         // seals the private key of the certificate authority
	Publishing Purpose = "publishing" // seals the private key that signs frames
	Pepper     Purpose = "pepper"     // keys the hashes of tokens
	DNSSEC     Purpose = "dnssec"     // seals the private keys of zones
	Cookies    Purpose = "cookies"    // seals the seed of the secrets of DNS cookies
	Storage    Purpose = "storage"    // seals the keys of buckets and of SSE-KMS
	AccessKeys Purpose = "accesskeys" // seals the secrets of S3 access keys
)

const keySize = 32

// Root is the root key of a cluster.
type Root struct{ key [keySize]byte }

// NewRoot makes a root key.
func NewRoot() *Root {
	r := &Root{}
	rand.Read(r.key[:])
	return r
}

// Key is the key of a purpose.
func (r *Root) Key(p Purpose) []byte {
	k, err := hkdf.Key(sha256.New, r.key[:], nil, "dark purpose key v1 "+string(p), keySize)
	if err != nil {
		panic(err) // only for lengths that SHA-256 cannot give
	}
	return k
}

// Wrap encrypts the root key to recipients.
func (r *Root) Wrap(to ...age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		return nil, fmt.Errorf("wrap root key: %w", err)
	}
	if _, err := w.Write(r.key[:]); err != nil {
		return nil, fmt.Errorf("wrap root key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("wrap root key: %w", err)
	}
	return b.Bytes(), nil
}

// UnwrapRoot is the reverse of Wrap.
func UnwrapRoot(wrapped []byte, with age.Identity) (*Root, error) {
	rd, err := age.Decrypt(bytes.NewReader(wrapped), with)
	if err != nil {
		return nil, fmt.Errorf("unwrap root key: %w", err)
	}
	r := &Root{}
	if _, err := io.ReadFull(rd, r.key[:]); err != nil {
		return nil, fmt.Errorf("unwrap root key: %w", err)
	}
	return r, nil
}

// ErrSealed: what should be opened was sealed with another key, under another name, or changed.
var ErrSealed = errors.New("cannot be opened: wrong key or name, or changed")

// Seal encrypts a secret under a purpose's key. name says what and where it is, and
// must be given again to open it, so that sealed things cannot be exchanged.
func (r *Root) Seal(p Purpose, name string, secret []byte) []byte {
	gcm := r.aead(p)
	nonce := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(secret)+gcm.Overhead())
	rand.Read(nonce)
	return gcm.Seal(nonce, nonce, secret, []byte(name))
}

// Open is the reverse of Seal.
func (r *Root) Open(p Purpose, name string, sealed []byte) ([]byte, error) {
	gcm := r.aead(p)
	if len(sealed) < gcm.NonceSize() {
		return nil, fmt.Errorf("%s: %w", name, ErrSealed)
	}
	secret, err := gcm.Open(nil, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], []byte(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, ErrSealed)
	}
	return secret, nil
}

func (r *Root) aead(p Purpose) cipher.AEAD {
	block, err := aes.NewCipher(r.Key(p))
	if err != nil {
		panic(err) // only for a key of another length
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}
