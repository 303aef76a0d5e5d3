package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// scratch is the room in which one request is verified; a pool keeps them, since a request
// without any allocation of ours is cheap enough not to matter.
type scratch struct {
	encoded []byte  // names and values of the query, encoded
	params  []param // pieces of encoded
	names   []string
	auth    [params]string // decoded values of the signature's parameters
	given   [params]int    // how often

	canonical []byte
	toSign    []byte
	signature [64]byte
}

type param struct{ name, value []byte }

var pool = sync.Pool{New: func() any { return new(scratch) }}

// maxKept bounds what the pool keeps of a request that was larger than any real one.
const maxKept = 64 << 10

func (s *scratch) release() {
	if cap(s.canonical)+cap(s.encoded) <= maxKept {
		pool.Put(s)
	}
}

func errURI() *Error { return s3xml.Say(s3xml.InvalidURI, "Couldn't parse the specified URI.") }

// parseQuery encodes all parameters anew and notes those of the signature.
func (s *scratch) parseQuery(raw string) *Error {
	s.params, s.auth, s.given = s.params[:0], [params]string{}, [params]int{}
	if raw == "" {
		return nil
	}
	if len(raw) > MaxQuery {
		return errURI()
	}
	// Encoding makes three octets of one at most: params point into encoded, which
	// therefore must not move.
	s.encoded = slices.Grow(s.encoded[:0], 3*len(raw))
	for piece := range strings.SplitSeq(raw, "&") {
		if piece == "" {
			continue
		}
		if len(s.params) == maxParams {
			return errURI()
		}
		name, value, _ := strings.Cut(piece, "=")
		p, ok := s.encode(name, value)
		if !ok {
			return errURI()
		}
		s.params = append(s.params, p)
		s.note(p)
	}
	return nil
}

func (s *scratch) encode(name, value string) (p param, ok bool) {
	a := len(s.encoded)
	if s.encoded, ok = recode(s.encoded, name); !ok {
		return p, false
	}
	b := len(s.encoded)
	if s.encoded, ok = recode(s.encoded, value); !ok {
		return p, false
	}
	return param{s.encoded[a:b], s.encoded[b:]}, true
}

func (s *scratch) note(p param) {
	if i := authParam(string(p.name)); i >= 0 {
		s.given[i]++
		if s.given[i] == 1 {
			s.auth[i] = decode(p.value)
		}
	}
}

// canonicalRequest is task 1 of the signing process. It is valid until s is used again.
func (s *scratch) canonicalRequest(c *claim, r *http.Request) ([]byte, *Error) {
	b := append(s.canonical[:0], r.Method...)
	b = append(b, '\n')
	if len(r.URL.Path) > MaxPath {
		return nil, errURI()
	}
	if r.URL.Path == "" { // RFC 9112 3.2.2: "http://host" is the root
		b = append(b, '/')
	}
	// net/url decoded the path of the request line, and it is what handlers go by: encoding
	// that, nobody can sign one key and get another.
	b = appendPath(b, r.URL.Path)
	b = append(b, '\n')
	b = s.appendQuery(b)
	b = append(b, '\n')
	for name := range strings.SplitSeq(c.signed, ";") {
		b = append(append(b, name...), ':')
		b = appendHeader(b, r, name)
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(append(b, c.signed...), '\n')
	s.canonical = append(b, c.hash...)
	return s.canonical, nil
}

// appendQuery sorts by encoded name, then by encoded value. The signature itself, which
// only presigned URLs have here, is left out.
func (s *scratch) appendQuery(b []byte) []byte {
	if len(s.params) > 1 {
		slices.SortFunc(s.params, func(x, y param) int {
			if c := bytes.Compare(x.name, y.name); c != 0 {
				return c
			}
			return bytes.Compare(x.value, y.value)
		})
	}
	start := len(b)
	for _, p := range s.params {
		if string(p.name) == "X-Amz-Signature" {
			continue
		}
		if len(b) > start {
			b = append(b, '&')
		}
		b = append(append(append(b, p.name...), '='), p.value...)
	}
	return b
}

// appendHeader appends a header's values, trimmed and with inner blanks folded, joined by
// commas. Package net/http moves some headers into fields of the request.
func appendHeader(b []byte, r *http.Request, name string) []byte {
	switch name {
	case "host":
		return appendFolded(b, r.Host)
	case "content-length":
		if r.Header["Content-Length"] == nil && r.ContentLength >= 0 {
			return strconv.AppendInt(b, r.ContentLength, 10)
		}
	case "transfer-encoding":
		return appendFolded(b, strings.Join(r.TransferEncoding, ","))
	}
	for i, v := range values(r.Header, name) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFolded(b, v)
	}
	return b
}

func appendFolded(b []byte, v string) []byte {
	v = strings.Trim(v, " ")
	if !strings.Contains(v, "  ") {
		return append(b, v...)
	}
	for i := range len(v) {
		if v[i] != ' ' || v[i-1] != ' ' { // v[0] is no blank
			b = append(b, v[i])
		}
	}
	return b
}

// values looks up a name in lower case as package net/textproto writes it.
func values(h http.Header, lower string) []string {
	var room [64]byte
	key := append(room[:0], lower...)
	up := true
	for i, c := range key {
		if up && c >= 'a' && c <= 'z' {
			key[i] = c - 'a' + 'A'
		}
		up = c == '-'
	}
	return h[string(key)]
}

// stringToSign is task 2. It is valid until s is used again.
func (s *scratch) stringToSign(date, scope string, canonical []byte) []byte {
	b := append(s.toSign[:0], algorithm...)
	b = append(append(b, '\n'), date...)
	b = append(append(b, '\n'), scope...)
	b = append(b, '\n')
	sum := sha256.Sum256(canonical)
	s.toSign = hex.AppendEncode(b, sum[:])
	return s.toSign
}

// sign is task 3, in hex.
func (s *scratch) sign(key, toSign []byte) []byte {
	sum := sigv4.MAC(key, toSign)
	hex.Encode(s.signature[:], sum[:])
	return s.signature[:]
}
