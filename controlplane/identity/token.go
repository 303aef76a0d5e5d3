// Package identity says who asks and what they may do: API keys, the permissions they
// carry, role bindings across organizations, organizations themselves, and the first
// key of an installation. It decides; controlplane/api asks it, in one place.
//
// A token is "dark_key_" ID "_" SECRET CRC: twelve characters that name the key in
// logs, thirty-two that are secret (190 bits), six that are the CRC-32 of all before
// them, so that scanners recognise a leaked one and a mistyped one is told apart from
// a revoked one without asking the state. What is stored is HMAC-SHA-256 (RFC 2104)
// of the token under the installation's pepper, which is not in the state; a stolen
// database alone cannot check a guess.
//
// Nothing here has state of its own: everything is read from the replicated state.
package identity

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"hash/crc32"
	"strings"
)

const (
	// TokenPrefix begins every token.
	TokenPrefix = "dark_key_"

	idLen     = 12
	secretLen = 32
	crcLen    = 6
	tokenLen  = len(TokenPrefix) + idLen + 1 + secretLen + crcLen

	lower  = "0123456789abcdefghijklmnopqrstuvwxyz"
	base62 = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// NewToken makes a token and the id that it carries.
func NewToken() (id, token string) {
	id = random(lower, idLen)
	body := TokenPrefix + id + "_" + random(base62, secretLen)
	return id, body + checksum(body)
}

// ParseToken returns the id of a token whose form and checksum are right; it says
// nothing about whether the key exists.
func ParseToken(token string) (id string, err error) {
	if !strings.HasPrefix(token, TokenPrefix) || len(token) != tokenLen || token[len(TokenPrefix)+idLen] != '_' {
		return "", errors.New("not a token of the form dark_key_ID_SECRET")
	}
	id = token[len(TokenPrefix) : len(TokenPrefix)+idLen]
	secret := token[len(TokenPrefix)+idLen+1:]
	if strings.Trim(id, lower) != "" || strings.Trim(secret, base62) != "" {
		return "", errors.New("the token has a character that no token has")
	}
	body := token[:tokenLen-crcLen]
	if checksum(body) != token[tokenLen-crcLen:] {
		return "", errors.New("the token's checksum is wrong: it is mistyped or cut short")
	}
	return id, nil
}

// HashToken is what is stored of a token.
func HashToken(pepper []byte, token string) []byte {
	m := hmac.New(sha256.New, pepper)
	m.Write([]byte(token))
	return m.Sum(nil)
}

// checkToken compares in constant time.
func checkToken(pepper []byte, token string, hash []byte) bool {
	return hmac.Equal(HashToken(pepper, token), hash)
}

func checksum(body string) string {
	n := crc32.ChecksumIEEE([]byte(body))
	var b [crcLen]byte
	for i := range b {
		b[crcLen-1-i] = base62[n%62]
		n /= 62
	}
	return string(b[:])
}

// random returns n characters of an alphabet, each equally likely.
func random(alphabet string, n int) string {
	out := make([]byte, 0, n)
	limit := byte(256 / len(alphabet) * len(alphabet))
	var buf [64]byte
	for len(out) < n {
		rand.Read(buf[:]) // never fails (crypto/rand)
		for _, b := range buf {
			// Octets above the greatest multiple would favour the first letters.
			if (limit == 0 || b < limit) && len(out) < n {
				out = append(out, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(out)
}
