package signature

import "net/http"

// Detail is an element of the XML of an error besides Code and Message.
type Detail struct{ Name, Value string }

// Error is a refusal with Amazon's code, as the packages below dataplane/s3 give it; the
// handler makes the XML. All errors of Verify and VerifyForm are an *Error.
type Error struct {
	Code    string
	Status  int
	Message string
	// Details follow in this order, such as StringToSign and CanonicalRequest.
	Details []Detail
}

// Error is the code and the message; the details may be long and stay out.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// With adds an element and returns e.
func (e *Error) With(name, value string) *Error {
	e.Details = append(e.Details, Detail{name, value})
	return e
}

// Refuse makes an Error, with the status that Amazon's table of error codes has for the
// code: 400 unless it is one of those below.
func Refuse(code, message string) *Error {
	status, ok := statuses[code]
	if !ok {
		status = http.StatusBadRequest
	}
	return &Error{Code: code, Status: status, Message: message}
}

var statuses = map[string]int{
	"AccessDenied":          http.StatusForbidden,
	"InvalidAccessKeyId":    http.StatusForbidden,
	"RequestTimeTooSkewed":  http.StatusForbidden,
	"SignatureDoesNotMatch": http.StatusForbidden,
	"MissingContentLength":  http.StatusLengthRequired,
	"NotImplemented":        http.StatusNotImplemented,
	"ServiceUnavailable":    http.StatusServiceUnavailable,
}
