package signature

import (
	"net/http"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// Prove makes the proof of a request that Verify gave this result for, and of its body;
// only requests signed in their headers have one.
func (v *Verifier) Prove(r *http.Request, res Result, body []byte) (sigv4.Proof, error) {
	s := pool.Get().(*scratch)
	defer s.release()
	c, err := v.claim(s, r)
	if err != nil {
		return sigv4.Proof{}, err
	}
	if c.method != Header || c.signature != res.Signature {
		return sigv4.Proof{}, s3xml.Say(s3xml.AccessDenied, "This request must be signed in its headers.")
	}
	canonical, err := s.canonicalRequest(&c, r)
	if err != nil {
		return sigv4.Proof{}, err
	}
	return sigv4.Proof{
		Credential: res.AccessKeyID + "/" + res.Scope, Date: res.Date,
		CanonicalRequest: append([]byte(nil), canonical...), Signature: res.Signature, Body: body,
	}, nil
}
