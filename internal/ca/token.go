package ca

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

const tokenPrefix = "dark_join_"

// JoinToken lets one machine join, once. It carries the CA's hash, so that the machine
// knows whom it gives the secret to.
type JoinToken struct {
	ID     [8]byte
	Secret [24]byte
	CA     [32]byte
}

// NewJoinToken makes a token for an installation with that authority.
func NewJoinToken(authority *x509.Certificate) JoinToken {
	t := JoinToken{CA: Hash(authority)}
	rand.Read(t.ID[:])
	rand.Read(t.Secret[:])
	return t
}

// ParseJoinToken reads a token's text.
func ParseJoinToken(s string) (JoinToken, error) {
	var t JoinToken
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, tokenPrefix))
	if err != nil || !strings.HasPrefix(s, tokenPrefix) || len(b) != 64 {
		return t, errors.New("not a join token: it begins with " + tokenPrefix +
			" and comes from `dark nodes token NAME`")
	}
	copy(t.ID[:], b)
	copy(t.Secret[:], b[8:])
	copy(t.CA[:], b[32:])
	return t, nil
}

func (t JoinToken) String() string {
	b := append(append(append([]byte{}, t.ID[:]...), t.Secret[:]...), t.CA[:]...)
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

// Key is the name under which the installation keeps the token.
func (t JoinToken) Key() string { return hex.EncodeToString(t.ID[:]) }

// Digest is what the installation keeps of the secret: it is random, so a plain hash
// gives nothing away.
func (t JoinToken) Digest() []byte {
	h := sha256.Sum256(append([]byte("dark join token v1\x00"), t.Secret[:]...))
	return h[:]
}

// Matches compares in constant time.
func (t JoinToken) Matches(digest []byte) bool {
	return subtle.ConstantTimeCompare(t.Digest(), digest) == 1
}

// TLS trusts a server only that is a control node, whose chain ends in the authority that
// the token names: an edge has a certificate of that authority too, and would learn the token.
func (t JoinToken) TLS() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // VerifyConnection does it, by the hash
		VerifyConnection: func(s tls.ConnectionState) error {
			for _, c := range s.PeerCertificates[1:] {
				if h := Hash(c); subtle.ConstantTimeCompare(h[:], t.CA[:]) == 1 {
					roots := x509.NewCertPool()
					roots.AddCert(c)
					if _, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots}); err != nil {
						return err
					}
					return isControl(s.PeerCertificates[0])
				}
			}
			return errors.New("this server is not of the installation that the join token is for")
		},
	}
}

func isControl(c *x509.Certificate) error {
	n, err := NameOf(c)
	if err != nil {
		return err
	}
	if n.Role != Control {
		return errors.New("this server is " + n.Role + " " + n.Node + ", and only a control node takes a join token")
	}
	return nil
}
