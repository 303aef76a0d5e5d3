package signature

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// Proof is what an edge sends to the control plane with what it asks for on a customer's
// behalf, such as a new bucket: the control plane has the secret and verifies the
// customer's own signature again, so that an edge can ask for nothing that no customer
// signed. In JSON:
//
//	{"credential": "AKID/20130524/eu-1/s3/aws4_request",
//	 "date": "20130524T000000Z",
//	 "canonical_request": "PUT\n/bucket\n\nhost:…\n\nhost;…\nUNSIGNED-PAYLOAD",
//	 "signature": "64 hex digits"}
//
// The string to sign is made from these, never sent, so that it cannot differ:
//
//	"AWS4-HMAC-SHA256" LF date LF credential without "AKID/" LF hex(SHA-256(canonical_request))
//
// To verify it:
//
//  1. the date is at most 15 minutes from now and begins with the credential's day (a
//     presigned request, whose canonical request has X-Amz-Expires in its third line, is
//     not accepted for this);
//  2. the credential ends in /s3/aws4_request and its region is one of the installation's;
//  3. signature = hex(HMAC(kSigning, string to sign)), compared in constant time, where
//     kSigning = HMAC(HMAC(HMAC(HMAC("AWS4" secret, day), region), "s3"), "aws4_request");
//  4. what is asked for is what was signed: line 1 is the HTTP method, line 2 the path and
//     the line "host:" the host, of which one names the bucket; the last line is the
//     SHA-256 of the body, or says that the body is not covered.
type Proof struct {
	Credential       string `json:"credential"`
	Date             string `json:"date"`
	CanonicalRequest string `json:"canonical_request"`
	Signature        string `json:"signature"`
}

// Prove makes the proof of a request that Verify gave this result for; only requests signed
// in their headers have one.
func (v *Verifier) Prove(r *http.Request, res Result) (Proof, error) {
	s := pool.Get().(*scratch)
	defer s.release()
	c, err := v.claim(s, r)
	if err != nil {
		return Proof{}, err
	}
	if c.method != Header || c.signature != res.Signature {
		return Proof{}, s3xml.Say(s3xml.AccessDenied, "This request must be signed in its headers.")
	}
	canonical, err := s.canonicalRequest(&c, r)
	if err != nil {
		return Proof{}, err
	}
	return Proof{
		Credential: res.AccessKeyID + "/" + res.Scope, Date: res.Date,
		CanonicalRequest: string(canonical), Signature: res.Signature,
	}, nil
}

// Marshal is the proof in JSON.
func (p Proof) Marshal() ([]byte, error) { return json.Marshal(p) }

// maxProof bounds a proof in JSON; headers and path have their bounds in net/http.
const maxProof = 2 << 20

// ParseProof reads what Marshal wrote.
func ParseProof(b []byte) (Proof, error) {
	var p Proof
	if len(b) > maxProof {
		return p, fmt.Errorf("parse proof: %d octets are more than %d", len(b), maxProof)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("parse proof: %w", err)
	}
	return p, nil
}

// VerifyProof holds a proof against the secret of its access key, as the comment on Proof
// says in points 1 to 3; the caller compares what was signed with what is asked for. The
// error is an *Error.
func VerifyProof(secret []byte, p Proof, regions []string, now time.Time) error {
	c := claim{method: Header, date: p.Date}
	var ok bool
	if c.credential, ok = parseCredential(p.Credential); !ok {
		return badCredential(Header)
	}
	if c.time, ok = parseDate(p.Date); !ok {
		return s3xml.Say(s3xml.AccessDenied, "The proof has no valid date.")
	}
	if lines := strings.SplitN(p.CanonicalRequest, "\n", 4); len(lines) < 4 || strings.Contains(lines[2], "X-Amz-Expires=") {
		return s3xml.Say(s3xml.AccessDenied, "This request must be signed in its headers.")
	}
	if err := c.checkTime(now); err != nil {
		return err
	}
	if len(regions) == 0 {
		return s3xml.Say(s3xml.AccessDenied, "No region is accepted.")
	}
	v := Verifier{Region: regions[0], Aliases: regions[1:]}
	if err := v.checkScope(&c); err != nil {
		return err
	}
	key := Derive(string(secret), Day(c.time), c.credential.region)
	sum := sha256.Sum256([]byte(p.CanonicalRequest))
	want := Hex(MAC(key[:], strings.Join([]string{algorithm, p.Date, c.credential.scope, hex.EncodeToString(sum[:])}, "\n")))
	if subtle.ConstantTimeCompare([]byte(want), []byte(p.Signature)) != 1 {
		return s3xml.Say(s3xml.SignatureDoesNotMatch, "The proof's signature is not the customer's.")
	}
	return nil
}
