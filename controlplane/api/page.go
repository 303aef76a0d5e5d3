package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"github.com/dark-ecosystem/dark/internal/errs"
)

const (
	defaultPage = 100
	maxPage     = 1000

	// pageOctets is how many octets of stored resources one answer begins with at most: a
	// page ends there, whatever number was asked for. As documents they take several times
	// that much memory.
	pageOctets = 1 << 20
)

// pageSize is what a request that asks for n gets.
func pageSize(n int32) int {
	if n <= 0 {
		return defaultPage
	}
	return min(int(n), maxPage)
}

// pager makes and reads page tokens: the revision that all pages are read at and the
// stored name that the next one begins after, under a MAC that binds them to the kind,
// organization and parent, so that a token works on every member and for no other list.
type pager struct{ key []byte }

func (p pager) token(list string, revision uint64, after string) string {
	b := append(binary.BigEndian.AppendUint64(nil, revision), after...)
	return base64.RawURLEncoding.EncodeToString(append(p.mac(list, b), b...))
}

func (p pager) mac(list string, b []byte) []byte {
	m := hmac.New(sha256.New, p.key)
	m.Write([]byte("page token\x00" + list + "\x00"))
	m.Write(b)
	return m.Sum(nil)[:16]
}

func (p pager) read(list, token string) (revision uint64, after string, err error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	// What decodes but would not be encoded so (stray bits, line ends) is no token of ours.
	if err != nil || len(b) < 24 || base64.RawURLEncoding.EncodeToString(b) != token ||
		!hmac.Equal(b[:16], p.mac(list, b[16:])) {
		return 0, "", errs.Bad(errs.Field{
			Name: "pageToken",
			Text: "not a token that this list gave; begin again without one",
		})
	}
	return binary.BigEndian.Uint64(b[16:]), string(b[24:]), nil
}
