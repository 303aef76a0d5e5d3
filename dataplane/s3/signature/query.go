package signature

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// The parameters of a presigned URL, and those by which Signature Version 2 is known.
const (
	paramAlgorithm = iota
	paramCredential
	paramDate
	paramExpires
	paramSigned
	paramSignature
	paramHash
	paramToken
	paramV2Key
	paramV2Signature
	params
)

// required parameters come first.
const requiredParams = paramSignature + 1

func authParam(name string) int {
	switch name {
	case "X-Amz-Algorithm":
		return paramAlgorithm
	case "X-Amz-Credential":
		return paramCredential
	case "X-Amz-Date":
		return paramDate
	case "X-Amz-Expires":
		return paramExpires
	case "X-Amz-SignedHeaders":
		return paramSigned
	case "X-Amz-Signature":
		return paramSignature
	case "X-Amz-Content-Sha256":
		return paramHash
	case "X-Amz-Security-Token":
		return paramToken
	case "AWSAccessKeyId":
		return paramV2Key
	case "Signature":
		return paramV2Signature
	}
	return -1
}

// queryAuth: the query claims to be signed.
func (s *scratch) queryAuth() bool {
	return s.given[paramAlgorithm]+s.given[paramCredential]+s.given[paramSignature]+
		s.given[paramV2Key]+s.given[paramV2Signature] > 0
}

// queryClaim reads a presigned URL.
func queryClaim(s *scratch, r *http.Request) (claim, *Error) {
	c := claim{method: Query}
	if s.given[paramAlgorithm]+s.given[paramCredential] == 0 && s.given[paramV2Key]+s.given[paramV2Signature] > 0 {
		return c, errV2
	}
	if err := s.checkParams(); err != nil {
		return c, err
	}
	var ok bool
	if c.credential, ok = parseCredential(s.auth[paramCredential]); !ok {
		return c, badCredential(Query)
	}
	c.date = s.auth[paramDate]
	if c.time, ok = parseDate(c.date); !ok {
		return c, queryError(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	var err *Error
	if c.expires, err = parseExpires(s.auth[paramExpires]); err != nil {
		return c, err
	}
	if c.signed, err = s.sortSigned(s.auth[paramSigned]); err != nil {
		return c, queryError("X-Amz-SignedHeaders is malformed")
	}
	c.signature = s.auth[paramSignature]
	return c, c.queryPayload(s, r)
}

func queryError(text string) *Error { return s3xml.Say(s3xml.AuthorizationQueryParametersError, text) }

// checkParams: each of the six is there once.
func (s *scratch) checkParams() *Error {
	for i := range requiredParams {
		if s.given[i] != 1 || s.auth[i] == "" {
			return queryError("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, " +
				"X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	if s.given[paramHash] > 1 || s.given[paramToken] > 1 {
		return queryError("A parameter of the signature is given twice.")
	}
	switch s.auth[paramAlgorithm] {
	case algorithm:
		return nil
	case "AWS4-ECDSA-P256-SHA256":
		return errV4A()
	}
	return queryError(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
}

func parseExpires(text string) (time.Duration, *Error) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, queryError("X-Amz-Expires should be a number")
	case strings.HasPrefix(text, "-") || n == 0:
		return 0, queryError("X-Amz-Expires must be greater than zero")
	case n > MaxExpires:
		return 0, queryError("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires " +
			"must be less than 604800 seconds")
	}
	return time.Duration(n) * time.Second, nil
}

// queryPayload: a presigned URL leaves the body open unless it names a hash itself, or a
// signed header does.
func (c *claim) queryPayload(s *scratch, r *http.Request) (err *Error) {
	c.hash = payloadNames[Unsigned]
	header, ok := first(r.Header, "X-Amz-Content-Sha256")
	if s.given[paramHash] > 0 {
		c.hash = s.auth[paramHash]
		if ok && header != c.hash {
			return queryError("X-Amz-Content-Sha256 differs between the query and the headers")
		}
	} else if ok {
		c.hash = header
	}
	c.payload, c.sum, err = parsePayload(c.hash)
	return err
}
