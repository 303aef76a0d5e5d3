package chunked

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// Hash of nothing, in hex: the place of a chunk's headers, which there are none.
var emptyHash = sigv4.Hex(sha256.Sum256(nil))

const chunkSignature = "chunk-signature="

// header reads "SIZE" or "SIZE;chunk-signature=HEX".
func (r *Reader) header() (int64, error) {
	line, err := r.line()
	if err != nil {
		return 0, short(err)
	}
	digits, extension, extended := bytes.Cut(line, []byte(";"))
	size, ok := parseSize(digits)
	if !ok {
		return 0, malformed("A chunk's size must be a hexadecimal number.")
	}
	if r.hash == nil {
		if extended {
			return 0, malformed("Unsigned chunks have no extensions.")
		}
		return size, nil
	}
	sig, ok := bytes.CutPrefix(extension, []byte(chunkSignature))
	if !ok || len(sig) != 2*sha256.Size {
		return 0, malformed("A chunk must have a chunk-signature of 64 digits.")
	}
	r.given = append(r.given[:0], sig...)
	return size, nil
}

// parseSize reads up to 15 digits, which no int64 is too small for.
func parseSize(digits []byte) (n int64, ok bool) {
	if len(digits) == 0 || len(digits) > 15 {
		return 0, false
	}
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | int64(c-'0')
		case c >= 'a' && c <= 'f':
			n = n<<4 | int64(c-'a'+10)
		case c >= 'A' && c <= 'F':
			n = n<<4 | int64(c-'A'+10)
		default:
			return 0, false
		}
	}
	return n, true
}

// verifyChunk compares a chunk's signature with that of its bytes and the signature before.
func (r *Reader) verifyChunk() error {
	var sum [sha256.Size]byte
	r.hash.Sum(sum[:0])
	r.hash.Reset()
	return r.verify("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n", sum)
}

// verify chains the given signature to the one before; it covers a hash and what is told
// before that.
func (r *Reader) verify(kind, before string, sum [sha256.Size]byte) error {
	o := &r.options
	b := append(append(r.toSign[:0], kind...), '\n')
	b = append(append(b, o.Date...), '\n')
	b = append(append(b, o.Scope...), '\n')
	b = append(append(b, r.previous...), '\n')
	r.toSign = hex.AppendEncode(append(b, before...), sum[:])
	var want [2 * sha256.Size]byte
	mac := sigv4.MAC(o.Key[:], r.toSign)
	hex.Encode(want[:], mac[:])
	if subtle.ConstantTimeCompare(want[:], r.given) != 1 {
		return s3xml.Say(s3xml.SignatureDoesNotMatch,
			"The chunk signature we calculated does not match the signature you provided.",
			"StringToSign", string(r.toSign), "SignatureProvided", string(r.given))
	}
	r.previous, r.given = r.given, r.previous
	return nil
}
