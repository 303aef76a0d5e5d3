package signature

import (
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/sigv4"
)

// Bounds of what is looked at; Amazon's own are no larger.
const (
	MaxSkew    = sigv4.MaxSkew
	MaxExpires = 604_800 // seconds that a presigned URL may live
	MaxPath    = 16 << 10
	MaxQuery   = 32 << 10
	maxSigned  = 200 // names in SignedHeaders
	maxParams  = 1000
)

// KeyState says what is known of an access key.
type KeyState uint8

// The states.
const (
	// KeyUnknown: there is none of this name, or it is revoked, disabled or past its end.
	KeyUnknown KeyState = iota
	// KeyFound: here is the key.
	KeyFound
	// KeyAbsent: the access key is good, but its signing key of that day and region is not
	// here (the days -8 to +15 are kept; see the autonomy budget).
	KeyAbsent
)

// Keys gives kSigning of an access key for a day (see Day) and a region. It is called by
// many goroutines at once and must answer from memory.
type Keys func(accessKeyID string, day int32, region string) ([32]byte, KeyState)

// Verifier verifies requests to one installation.
type Verifier struct {
	// Region is the installation's own; answers name it to clients that use another.
	Region string
	// Aliases are further regions that are accepted, such as us-east-1.
	Aliases []string
	Keys    Keys
}

// Method is where a signature was.
type Method uint8

// The methods.
const (
	Anonymous Method = iota
	Header
	Query
	Form
)

// Result says who made a request. The zero value is an anonymous one.
type Result struct {
	Method      Method
	AccessKeyID string // empty for Anonymous
	Payload     Payload
	SHA256      [32]byte  // of the body, when Payload is Hashed
	Time        time.Time // X-Amz-Date
	// What chunk signatures begin with: the key, the request's own signature in hex (the
	// seed), X-Amz-Date and the credential's scope (DAY/REGION/s3/aws4_request).
	Key       [32]byte
	Signature string
	Date      string
	Scope     string
}

// Verify says who made the request at that time, without touching its body: what Payload
// and SHA256 say about that is for the reader of the body to hold. A request without any
// signature is Anonymous and no error.
func (v *Verifier) Verify(r *http.Request, now time.Time) (Result, error) {
	s := pool.Get().(*scratch)
	defer s.release()
	c, err := v.claim(s, r)
	if err != nil {
		return Result{}, v.told(err)
	}
	if c.method == Anonymous {
		return anonymous(r)
	}
	if err := v.check(&c, s, r, now); err != nil {
		return Result{}, err
	}
	return c.Result(), nil
}

// anonymous requests may name a hash of their body, but have no key to sign chunks with.
func anonymous(r *http.Request) (Result, error) {
	value, ok := first(r.Header, "X-Amz-Content-Sha256")
	if !ok {
		return Result{}, nil
	}
	p, sum, err := parsePayload(value)
	if err != nil {
		return Result{}, err
	}
	if p.SignedChunks() {
		return Result{}, s3xml.Say(s3xml.InvalidRequest, "Signed chunks need an Authorization header.")
	}
	return Result{Payload: p, SHA256: sum}, nil
}

// claim is what a request says of itself, before anything is verified.
type claim struct {
	method     Method
	credential credential
	date       string
	time       time.Time
	expires    time.Duration // Query
	signed     string        // SignedHeaders, sorted
	signature  string        // in hex
	payload    Payload
	sum        [32]byte
	hash       string // last line of the canonical request
	key        [32]byte
}

func (c *claim) Result() Result {
	return Result{
		Method: c.method, AccessKeyID: c.credential.accessKeyID, Payload: c.payload, SHA256: c.sum,
		Time: c.time, Key: c.key, Signature: c.signature, Date: c.date, Scope: c.credential.scope,
	}
}

// claim finds the signature. Where there are two, it is nobody's business to choose.
func (v *Verifier) claim(s *scratch, r *http.Request) (claim, *Error) {
	if err := s.parseQuery(r.URL.RawQuery); err != nil {
		return claim{}, err
	}
	header, query := len(r.Header["Authorization"]) > 0, s.queryAuth()
	switch {
	case header && query, len(r.Header["Authorization"]) > 1:
		return claim{}, s3xml.Say(s3xml.InvalidArgument,
			"Only one auth mechanism allowed; only the X-Amz-Algorithm query "+
				"parameter, Signature query string parameter or the Authorization header should be specified").
			With("ArgumentName", "Authorization").With("ArgumentValue", r.Header.Get("Authorization"))
	case header:
		return headerClaim(s, r)
	case query:
		return queryClaim(s, r)
	}
	return claim{}, nil
}

// check holds the claim against the time, the keys and the request.
func (v *Verifier) check(c *claim, s *scratch, r *http.Request, now time.Time) *Error {
	if err := c.checkTime(now); err != nil {
		return err
	}
	if err := v.checkScope(c); err != nil {
		return err
	}
	if err := checkToken(s, r); err != nil {
		return err
	}
	if err := checkSigned(c.signed, r.Header); err != nil {
		return err
	}
	if err := v.findKey(c); err != nil {
		return err
	}
	return c.match(s, r)
}

// match computes the signature and compares it.
func (c *claim) match(s *scratch, r *http.Request) *Error {
	canonical, err := s.canonicalRequest(c, r)
	if err != nil {
		return err
	}
	toSign := s.stringToSign(c.date, c.credential.scope, canonical)
	want := s.sign(c.key[:], toSign)
	if subtle.ConstantTimeCompare(want, []byte(c.signature)) == 1 {
		return nil
	}
	return mismatch(c.credential.accessKeyID, string(toSign), c.signature, string(canonical))
}

// maxShown bounds the canonical request in an answer, which nobody was authenticated for;
// in hex it is there three times more.
const maxShown = 4 << 10

func mismatch(akid, toSign, given, canonical string) *Error {
	e := s3xml.Say(s3xml.SignatureDoesNotMatch, "The request signature we calculated does not match the signature you "+
		"provided. Check your key and signing method.").
		With("AWSAccessKeyId", akid).With("StringToSign", toSign).With("SignatureProvided", given).
		With("StringToSignBytes", hexBytes(toSign))
	if canonical == "" {
		return e
	}
	canonical = canonical[:min(len(canonical), maxShown)]
	return e.With("CanonicalRequest", canonical).With("CanonicalRequestBytes", hexBytes(canonical))
}
