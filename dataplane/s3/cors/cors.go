// Package cors answers cross-origin requests as S3 does (Amazon S3 User Guide, "Using
// cross-origin resource sharing"; Fetch standard, CORS protocol): given a bucket's rules
// and what a browser sent, which headers the answer has. It holds no state.
package cors

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Vary is what caches must tell answers apart by, wherever a bucket has rules.
const Vary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// Request is what a browser says of a cross-origin request.
type Request struct {
	Origin  string
	Method  string   // of the request, or the one that a preflight asks for
	Headers []string // that a preflight asks for, in lower case
}

// maxHeaders bounds the headers of one preflight; browsers ask for a handful.
const maxHeaders = 100

// texts of refused preflights, as AWS has them.
const (
	textDisabled = "CORSResponse: CORS is not enabled for this bucket."
	textNotFound = "CORSResponse: Bucket not found"
	textRefused  = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, " +
		"request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the " +
		"resource's CORS spec."
	textOrigin = "Insufficient information. Origin request header needed."
	textMethod = "Invalid Access-Control-Request-Method: "
)

// Resource types that AWS names in the refusal of a preflight.
const (
	bucketResource = "BUCKET"
	objectResource = "OBJECT"
)

// ReadPreflight reads the headers of an OPTIONS request; what is no preflight is
// a BadRequest.
func ReadPreflight(h http.Header) (Request, error) {
	q := Request{Origin: h.Get("Origin"), Method: h.Get("Access-Control-Request-Method")}
	if q.Origin == "" {
		return q, s3xml.Say(s3xml.BadRequest, textOrigin)
	}
	switch q.Method {
	case http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodHead:
	case "":
		return q, s3xml.Say(s3xml.BadRequest, textMethod+"null")
	default:
		return q, s3xml.Say(s3xml.BadRequest, textMethod+q.Method)
	}
	for _, line := range h.Values("Access-Control-Request-Headers") {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				q.Headers = append(q.Headers, name)
			}
		}
	}
	if len(q.Headers) > maxHeaders {
		return q, s3xml.Say(s3xml.BadRequest, "Too many headers in Access-Control-Request-Headers.")
	}
	return q, nil
}

// NoBucket is the refusal of a preflight for a bucket that there is not.
func NoBucket(method string, object bool) error {
	return refuse(textNotFound, method, object)
}

// Preflight answers an OPTIONS request for a bucket, or an object in it: it sets the
// headers of the answer, or gives the refusal (AccessForbidden, 403).
func Preflight(out http.Header, rules []*storagev1.CorsRule, q Request, object bool) error {
	if len(rules) == 0 {
		return refuse(textDisabled, q.Method, object)
	}
	r := Match(rules, q)
	if r == nil {
		return refuse(textRefused, q.Method, object)
	}
	set(out, r, q)
	if len(q.Headers) > 0 {
		out.Set("Access-Control-Allow-Headers", strings.Join(q.Headers, ", "))
	}
	return nil
}

// Headers adds to the answer of a request that is no preflight; one that no rule fits is
// answered without, which is how the browser knows. Vary is set for each answer of a
// bucket that has rules, since it depends on them.
func Headers(out http.Header, rules []*storagev1.CorsRule, origin, method string) {
	if len(rules) == 0 {
		return
	}
	q := Request{Origin: origin, Method: method}
	if origin != "" {
		if r := Match(rules, q); r != nil {
			set(out, r, q)
			return
		}
	}
	addVary(out)
}

// Match finds the first rule that fits; nil if none does.
func Match(rules []*storagev1.CorsRule, q Request) *storagev1.CorsRule {
	for _, r := range rules {
		if fits(r, q) {
			return r
		}
	}
	return nil
}

func fits(r *storagev1.CorsRule, q Request) bool {
	return allowedMethod(r, q.Method) && allowedOrigin(r, q.Origin) != "" && allowedHeaders(r, q.Headers)
}

func allowedMethod(r *storagev1.CorsRule, method string) bool {
	for _, m := range r.GetAllowedMethods() {
		if m == method {
			return true
		}
	}
	return false
}

// allowedOrigin gives the pattern that fits an origin; empty if none does. Origins are
// compared as they are (RFC 6454 6.2 gives them in lower case).
func allowedOrigin(r *storagev1.CorsRule, origin string) string {
	for _, p := range r.GetAllowedOrigins() {
		if wildcard(p, origin) {
			return p
		}
	}
	return ""
}

func allowedHeaders(r *storagev1.CorsRule, headers []string) bool {
	for _, h := range headers {
		if !allowedHeader(r, h) {
			return false
		}
	}
	return true
}

// allowedHeader compares without regard to case: names of headers have none.
func allowedHeader(r *storagev1.CorsRule, header string) bool {
	for _, p := range r.GetAllowedHeaders() {
		if wildcard(strings.ToLower(p), header) {
			return true
		}
	}
	return false
}

// wildcard matches a pattern with at most one "*".
func wildcard(p, s string) bool {
	before, after, has := strings.Cut(p, "*")
	if !has {
		return p == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

// set writes the headers that all answers have which a rule fits. Where the rule is for
// every origin the answer is the same for all and goes without credentials, as at AWS.
func set(out http.Header, r *storagev1.CorsRule, q Request) {
	if allowedOrigin(r, q.Origin) == "*" {
		out.Set("Access-Control-Allow-Origin", "*")
	} else {
		out.Set("Access-Control-Allow-Origin", q.Origin)
		out.Set("Access-Control-Allow-Credentials", "true")
	}
	out.Set("Access-Control-Allow-Methods", strings.Join(r.GetAllowedMethods(), ", "))
	if e := r.GetExposeHeaders(); len(e) > 0 {
		out.Set("Access-Control-Expose-Headers", strings.Join(e, ", "))
	}
	if age := r.GetMaxAgeSeconds(); age > 0 {
		out.Set("Access-Control-Max-Age", strconv.FormatUint(uint64(age), 10))
	}
	addVary(out)
}

func addVary(out http.Header) { out.Add("Vary", Vary) }

// refuse is AWS's 403 of a preflight.
func refuse(text, method string, object bool) error {
	resource := bucketResource
	if object {
		resource = objectResource
	}
	return s3xml.Say(s3xml.AccessForbidden, text, "Method", method, "ResourceType", resource)
}
