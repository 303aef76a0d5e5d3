package sigv4

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Prefix begins a bearer token that is a Proof.
const Prefix = "sigv4."

// MaxToken bounds a token: the head of a request, and a document of the largest part.
const MaxToken = 2 << 20

// Proof is what an edge sends to the control plane with what it asks for on a customer's
// behalf, such as a new bucket: the control plane has the secret and verifies the
// customer's own signature again, so that an edge can ask for nothing that no customer
// signed.
//
// As a token it is Prefix, the JSON of the first four fields, a dot, and the body, both in
// unpadded URL-safe base 64. The string to sign is made from these, never sent, so that it
// cannot differ:
//
//	"AWS4-HMAC-SHA256" LF date LF credential without "AKID/" LF hex(SHA-256(canonical request))
type Proof struct {
	Credential       string `json:"credential"`        // AKID/20130524/eu-1/s3/aws4_request
	Date             string `json:"date"`              // 20130524T000000Z
	CanonicalRequest []byte `json:"canonical_request"` // octets: headers may have any
	Signature        string `json:"signature"`         // 64 hex digits
	Body             []byte `json:"-"`
}

// Token is the proof as a bearer token.
func (p Proof) Token() (string, error) {
	head, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	token := Prefix + base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(p.Body)
	if len(token) > MaxToken {
		return "", fmt.Errorf("a proof of %d octets; at most %d are sent", len(token), MaxToken)
	}
	return token, nil
}

// ErrProof is a proof that cannot be read, or is not one of its access key.
var ErrProof = errors.New("the proof of a signed request is malformed, or is not one of its access key")

// ReadToken reads what Token wrote; nothing of it is verified yet.
func ReadToken(token string) (*Signed, error) {
	if len(token) > MaxToken {
		return nil, fmt.Errorf("the proof of a signed request has more than %d octets", MaxToken)
	}
	text, ok := strings.CutPrefix(token, Prefix)
	head, body, both := strings.Cut(text, ".")
	if !ok || !both {
		return nil, ErrProof
	}
	var p Proof
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil || json.Unmarshal(raw, &p) != nil {
		return nil, ErrProof
	}
	if p.Body, err = base64.RawURLEncoding.DecodeString(body); err != nil {
		return nil, ErrProof
	}
	return p.Open()
}

// Signed is a request as a customer signed it.
type Signed struct {
	AccessKeyID, Region string
	Time                time.Time
	Method, Path, Host  string
	Query               url.Values
	Header              http.Header // those that were signed
	Body                []byte

	proof   Proof
	day     string
	payload string // as the signature has it: a SHA-256 in hex, or why there is none
}

// Open reads what a proof says, without verifying it.
func (p Proof) Open() (*Signed, error) {
	scope := strings.Split(p.Credential, "/")
	if len(scope) != 5 || scope[3] != Service || scope[4] != Terminal {
		return nil, ErrProof
	}
	s := &Signed{AccessKeyID: scope[0], day: scope[1], Region: scope[2], Body: p.Body, Header: http.Header{}, proof: p}
	var err error
	if s.Time, err = time.Parse(DateLayout, p.Date); err != nil || !strings.HasPrefix(p.Date, s.day+"T") {
		return nil, ErrProof
	}
	return s, s.read(string(p.CanonicalRequest))
}

// read takes a canonical request apart: method, path, query, a line for each header, an
// empty one, the names of signed headers, the hash of the body.
func (s *Signed) read(canonical string) (err error) {
	lines := strings.Split(canonical, "\n")
	if len(lines) < 6 {
		return ErrProof
	}
	n := len(lines)
	s.Method, s.payload = lines[0], lines[n-1]
	if s.Path, err = url.PathUnescape(lines[1]); err != nil {
		return ErrProof
	}
	if s.Query, err = url.ParseQuery(lines[2]); err != nil {
		return ErrProof
	}
	signed := strings.Split(lines[n-2], ";")
	headers := lines[3 : n-3]
	if lines[n-3] != "" || len(headers) != len(signed) {
		return ErrProof
	}
	for i, line := range headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok || name != signed[i] {
			return ErrProof
		}
		s.Header.Set(name, value)
	}
	s.Host = s.Header.Get("Host")
	return nil
}

// Verify holds the signature against the secret, and the body against the signature. A
// presigned request is for whoever holds its address, and is no proof. ErrUncovered comes
// last: it says that all the rest was found right.
func (s *Signed) Verify(secret string, regions []string, now time.Time) error {
	if d := now.Sub(s.Time); d > MaxSkew || d < -MaxSkew {
		return fmt.Errorf("the request was signed more than %v from now", MaxSkew)
	}
	if s.Query.Has("X-Amz-Expires") {
		return errors.New("a presigned request changes no bucket: sign it in its headers")
	}
	if !slices.Contains(regions, s.Region) {
		return ErrProof
	}
	_, scope, _ := strings.Cut(s.proof.Credential, "/")
	key := Derive(secret, Day(s.Time), s.Region)
	sum := sha256.Sum256(s.proof.CanonicalRequest)
	want := Hex(MAC(key[:], strings.Join([]string{Algorithm, s.proof.Date, scope, hex.EncodeToString(sum[:])}, "\n")))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.proof.Signature)) != 1 {
		return ErrProof
	}
	return s.Covered()
}

// ErrUncovered: nothing that was signed says what the body is.
var ErrUncovered = errors.New("the signature does not cover the body: sign its SHA-256 as x-amz-content-sha256, or " +
	"its Content-MD5")

// Covered says whether the signature covers the body: by its SHA-256, or by a signed digest
// of it. A body that is not there needs neither: without it nothing is asked for but what
// the head says.
func (s *Signed) Covered() error {
	sum := sha256.Sum256(s.Body)
	if s.payload == hex.EncodeToString(sum[:]) {
		return nil
	}
	if len(s.payload) == hex.EncodedLen(len(sum)) {
		return ErrProof // of another body
	}
	digest := md5.Sum(s.Body)
	switch {
	case len(s.Body) == 0, s.Header.Get("Content-Md5") == base64.StdEncoding.EncodeToString(digest[:]),
		s.Header.Get("X-Amz-Checksum-Sha256") == base64.StdEncoding.EncodeToString(sum[:]):
		return nil
	}
	return ErrUncovered
}

// Part is the part of a bucket's configuration that the query names. plain says that it
// names nothing at all, so that the request is about the bucket as a whole.
func (s *Signed) Part() (sub string, part Part, plain bool) {
	plain = true
	for name := range s.Query {
		if p, ok := Parts[name]; ok {
			sub, part = name, p
		}
		plain = plain && name == "x-id"
	}
	return sub, part, plain
}

// Names says whether the request is for a bucket itself, and not for an object of it.
func (s *Signed) Names(bucket string, hosts Hosts) bool {
	name, key, _ := hosts.Target(s.Host, s.Path)
	return bucket != "" && name == bucket && key == ""
}
