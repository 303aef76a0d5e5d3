package keyring

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
)

// Group is the recipients of one sealed message: each of them alone opens it. It is
// immutable.
type Group struct {
	recipients []age.Recipient
	hash       [32]byte
}

// NewGroup reads recipients, the public parts of machine keys and recovery keys; the
// same in any order, repeated or not, make the same group.
func NewGroup(recipients ...string) (*Group, error) {
	all := slices.Clone(recipients)
	slices.Sort(all)
	g := &Group{}
	h := sha256.New()
	for _, s := range slices.Compact(all) {
		r, err := ParseRecipient(s)
		if err != nil {
			return nil, err
		}
		g.recipients = append(g.recipients, r)
		h.Write([]byte(s + "\n"))
	}
	h.Sum(g.hash[:0])
	return g, nil
}

// Hash tells groups apart.
func (g *Group) Hash() [32]byte { return g.hash }

// Len is how many recipients there are.
func (g *Group) Len() int { return len(g.recipients) }

// Seal encrypts a secret (age, X25519) to all recipients in one message, another one
// each time.
func (g *Group) Seal(secret []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, g.recipients...)
	if err != nil {
		return nil, fmt.Errorf("seal to %d recipients: %w", len(g.recipients), err)
	}
	if _, err := w.Write(secret); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return b.Bytes(), nil
}

// maxOpened bounds what a sealed message may hold.
const maxOpened = 1 << 20

// OpenSealed opens what was sealed to a group that the machine is in.
func (m *Machine) OpenSealed(sealed []byte) ([]byte, error) { return openSealed(sealed, m.identity) }

// ErrRecipient: what should be opened was sealed to others.
var ErrRecipient = errors.New("sealed to others")

func openSealed(sealed []byte, with age.Identity) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(sealed), with)
	if _, other := errors.AsType[*age.NoIdentityMatchError](err); other {
		return nil, fmt.Errorf("open what was sealed: %w", ErrRecipient)
	}
	if err != nil {
		return nil, fmt.Errorf("open what was sealed to this machine: %w", err)
	}
	secret, err := io.ReadAll(io.LimitReader(r, maxOpened+1))
	if err != nil {
		return nil, fmt.Errorf("open what was sealed to this machine: %w", err)
	}
	if len(secret) > maxOpened {
		return nil, fmt.Errorf("what was sealed to this machine has more than %d octets", maxOpened)
	}
	return secret, nil
}
