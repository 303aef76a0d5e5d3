package signature

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// credential is AKID/DAY/REGION/SERVICE/aws4_request; all its parts point into the text.
type credential struct {
	accessKeyID string
	date        string
	region      string
	service     string
	terminal    string
	scope       string // all but the access key ID
}

// parseCredential reads from the end, where the number of parts is known.
func parseCredential(text string) (c credential, ok bool) {
	rest, parts := text, [4]string{}
	for i := len(parts) - 1; i >= 0; i-- {
		slash := strings.LastIndexByte(rest, '/')
		if slash < 0 {
			return c, false
		}
		rest, parts[i] = rest[:slash], rest[slash+1:]
	}
	c = credential{
		accessKeyID: rest, date: parts[0], region: parts[1], service: parts[2], terminal: parts[3],
	}
	if rest == "" || len(rest) > 128 || len(c.date) != len(isoDay) || strings.ContainsAny(text, "\r\n") {
		return c, false
	}
	c.scope = text[len(rest)+1:]
	return c, true
}

// malformed is the error for a credential that cannot be, in Amazon's words for its place.
func malformed(m Method, what string) *Error {
	if m == Query || m == Form {
		return s3xml.Say(s3xml.AuthorizationQueryParametersError, "Error parsing the X-Amz-Credential parameter; "+what)
	}
	return s3xml.Say(s3xml.AuthorizationHeaderMalformed, "The authorization header is malformed; "+what)
}

func badCredential(m Method) *Error {
	return malformed(m, `the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
}

// errV2 is Signature Version 2; told gives it the region to use.
var errV2 = s3xml.New(s3xml.InvalidRequest)

// told is what a client is told of an error in its signature.
func (v *Verifier) told(err *Error) *Error {
	if err != errV2 {
		return err
	}
	return s3xml.Say(s3xml.InvalidRequest, "The authorization mechanism you have provided is not supported. "+
		"Please use AWS4-HMAC-SHA256. A presigned URL with AWSAccessKeyId is of Signature Version 2, which aws and "+
		"boto3 make in the region us-east-1: use this endpoint's region (aws s3 presign --region "+v.Region+
		"; region_name='"+v.Region+"' in boto3), or signature_version='s3v4' in boto3's Config. s3cmd signurl makes "+
		"no other: use aws s3 presign.").With("Region", v.Region)
}

func errV4A() *Error {
	return s3xml.Say(s3xml.NotImplemented, "Signature Version 4A (AWS4-ECDSA-P256-SHA256) is not supported. "+
		"Please use AWS4-HMAC-SHA256.")
}

// headerClaim reads the Authorization header and what goes with it.
func headerClaim(s *scratch, r *http.Request) (claim, *Error) {
	c, err := parseAuthorization(r.Header["Authorization"][0])
	if err != nil {
		return c, err
	}
	if c.signed, err = s.sortSigned(c.signed); err != nil {
		return c, err
	}
	if c.date, c.time, err = requestDate(r.Header); err != nil {
		return c, err
	}
	hash, ok := first(r.Header, "X-Amz-Content-Sha256")
	if !ok {
		return c, s3xml.Say(s3xml.InvalidRequest, "Missing required header for this request: x-amz-content-sha256")
	}
	c.hash = hash
	c.payload, c.sum, err = parsePayload(hash)
	return c, err
}

// parseAuthorization reads "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…",
// in any order, each once, with or without blanks after the commas.
func parseAuthorization(text string) (claim, *Error) {
	c := claim{method: Header}
	kind, rest, _ := strings.Cut(text, " ")
	switch kind {
	case algorithm:
	case "AWS":
		return c, errV2
	case "AWS4-ECDSA-P256-SHA256":
		return c, errV4A()
	default:
		return c, s3xml.Say(s3xml.InvalidArgument, "Unsupported Authorization Type").
			With("ArgumentName", "Authorization").With("ArgumentValue", text)
	}
	var cred string
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || value == "" {
			return c, malformed(Header, `the parts must be Name=Value, separated by commas.`)
		}
		into := c.part(name, &cred)
		if into == nil || *into != "" {
			return c, malformed(Header, `unknown or repeated part "`+name+`".`)
		}
		*into = value
	}
	switch {
	case cred == "":
		return c, malformed(Header, "missing Credential.")
	case c.signed == "":
		return c, malformed(Header, "missing SignedHeaders.")
	case c.signature == "":
		return c, malformed(Header, "missing Signature.")
	}
	var ok bool
	if c.credential, ok = parseCredential(cred); !ok {
		return c, badCredential(Header)
	}
	return c, nil
}

func (c *claim) part(name string, cred *string) *string {
	switch name {
	case "Credential":
		return cred
	case "SignedHeaders":
		return &c.signed
	case "Signature":
		return &c.signature
	}
	return nil
}

// requestDate is X-Amz-Date, or Date in one of the forms of RFC 9110 5.6.7 or ISO 8601.
func requestDate(h http.Header) (string, time.Time, *Error) {
	if text, ok := first(h, "X-Amz-Date"); ok {
		if t, ok := parseDate(text); ok {
			return text, t, nil
		}
	} else if text, ok := first(h, "Date"); ok {
		if t, ok := parseDate(text); ok {
			return text, t, nil
		}
		if t, err := http.ParseTime(text); err == nil {
			return t.UTC().Format(isoBasic), t.UTC(), nil
		}
	}
	return "", time.Time{}, s3xml.Say(s3xml.AccessDenied,
		"AWS authentication requires a valid Date or x-amz-date header")
}

func parseDate(text string) (time.Time, bool) {
	if len(text) != len(isoBasic) {
		return time.Time{}, false
	}
	t, err := time.Parse(isoBasic, text)
	return t, err == nil
}

// sortSigned checks the names of SignedHeaders and brings them in the order that the
// canonical request has; nearly all clients have sorted them already.
func (s *scratch) sortSigned(list string) (string, *Error) {
	names := s.names[:0]
	for name := range strings.SplitSeq(list, ";") {
		if !lowerToken(name) || len(names) == maxSigned {
			return "", malformed(Header, "the SignedHeaders are mal-formed; expecting names in lower case, separated "+
				"by semicolons.")
		}
		names = append(names, name)
	}
	s.names = names
	if slices.IsSorted(names) {
		return list, distinct(names)
	}
	slices.Sort(names)
	return strings.Join(names, ";"), distinct(names)
}

func distinct(names []string) *Error {
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return malformed(Header, "the SignedHeaders name a header twice.")
		}
	}
	return nil
}

// lowerToken: a token of RFC 9110 5.6.2 without capitals.
func lowerToken(name string) bool {
	for i := range len(name) {
		if c := name[i]; !unreserved[c] && !strings.ContainsRune("!#$%&'*+^`|", rune(c)) || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return name != ""
}

// first is a header's only value; one that is given twice is joined as it was signed.
func first(h http.Header, canonical string) (string, bool) {
	v := h[canonical]
	switch len(v) {
	case 0:
		return "", false
	case 1:
		return strings.Trim(v[0], " "), true
	}
	return strings.Join(v, ","), true
}
