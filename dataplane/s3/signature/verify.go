package signature

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// Bounds of what is looked at; Amazon's own are no larger.
const (
	MaxSkew    = 15 * time.Minute
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
		return Result{}, err
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
		return claim{}, s3xml.Say(s3xml.InvalidArgument, "Only one auth mechanism allowed; only the X-Amz-Algorithm query "+
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

// maxShown bounds the canonical request in an answer; in hex it is there three times more.
const maxShown = 16 << 10

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

// checkTime holds X-Amz-Date against the clock and the credential.
func (c *claim) checkTime(now time.Time) *Error {
	if c.date[:len(isoDay)] != c.credential.date {
		return malformed(c.method, `Invalid credential date "`+c.credential.date+
			`". This date is not the same as X-Amz-Date: "`+c.date[:len(isoDay)]+`".`)
	}
	if c.method == Query {
		return c.checkExpiry(now)
	}
	if skew := now.Sub(c.time); skew > MaxSkew || skew < -MaxSkew {
		return s3xml.Say(s3xml.RequestTimeTooSkewed, "The difference between the request time and the current time is too large.").
			With("RequestTime", c.date).With("ServerTime", now.UTC().Format(time.RFC3339)).
			With("MaxAllowedSkewMilliseconds", "900000")
	}
	return nil
}

func (c *claim) checkExpiry(now time.Time) *Error {
	if c.time.Sub(now) > MaxSkew {
		return s3xml.Say(s3xml.AccessDenied, "Request is not yet valid").
			With("X-Amz-Date", c.date).With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	end := c.time.Add(c.expires)
	if now.After(end) {
		return s3xml.Say(s3xml.AccessDenied, "Request has expired").
			With("X-Amz-Expires", strconv.Itoa(int(c.expires/time.Second))).With("Expires", end.Format(time.RFC3339)).
			With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkScope accepts the service s3 in the installation's own region and its aliases.
func (v *Verifier) checkScope(c *claim) *Error {
	k := &c.credential
	switch {
	case k.terminal != terminal:
		return malformed(c.method, `incorrect terminal "`+k.terminal+`". This endpoint uses "aws4_request".`)
	case k.service != service:
		return malformed(c.method, `incorrect service "`+k.service+`". This endpoint belongs to "s3".`)
	case k.region != v.Region && !slices.Contains(v.Aliases, k.region):
		return malformed(c.method, "the region '"+k.region+"' is wrong; expecting '"+v.Region+"'").With("Region", v.Region)
	}
	return nil
}

// findKey asks for kSigning of the credential's day.
func (v *Verifier) findKey(c *claim) *Error {
	key, state := v.Keys(c.credential.accessKeyID, Day(c.time), c.credential.region)
	switch state {
	case KeyFound:
		c.key = key
		return nil
	case KeyAbsent:
		return s3xml.Say(s3xml.ServiceUnavailable, "The signing key of this day has not reached this node. Please try again later.")
	}
	return s3xml.Say(s3xml.InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.").
		With("AWSAccessKeyId", c.credential.accessKeyID)
}

// checkToken: session credentials are not issued here, so that no token can be right.
func checkToken(s *scratch, r *http.Request) *Error {
	token, _ := first(r.Header, "X-Amz-Security-Token")
	if token == "" {
		token = s.auth[paramToken]
	}
	if token == "" {
		return nil
	}
	return errToken()
}

func errToken() *Error {
	return s3xml.Say(s3xml.InvalidToken, "The provided token is malformed or otherwise invalid.")
}

// checkSigned: the host and every x-amz-* header must be signed. The names are distinct, so
// that it is enough to count.
func checkSigned(signed string, h http.Header) *Error {
	var host bool
	var covered, present int
	for name := range strings.SplitSeq(signed, ";") {
		host = host || name == "host"
		if strings.HasPrefix(name, "x-amz-") && values(h, name) != nil {
			covered++
		}
	}
	for name := range h {
		if amz(name) {
			present++
		}
	}
	if host && covered == present {
		return nil
	}
	return s3xml.Say(s3xml.AccessDenied, "There were headers present in the request which were not signed").
		With("HeadersNotSigned", notSigned(signed, host, h))
}

func amz(name string) bool { return len(name) > 6 && strings.EqualFold(name[:6], "x-amz-") }

func notSigned(signed string, host bool, h http.Header) string {
	names := strings.Split(signed, ";")
	var missing []string
	if !host {
		missing = append(missing, "host")
	}
	for name := range h {
		if lower := strings.ToLower(name); amz(name) && !slices.Contains(names, lower) {
			missing = append(missing, lower)
		}
	}
	slices.Sort(missing)
	return strings.Join(missing, ", ")
}
