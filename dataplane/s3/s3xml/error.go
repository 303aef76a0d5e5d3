package s3xml

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Error is an answer that says what went wrong.
type Error struct {
	Code Code
	// Status overrides the code's HTTP status; 0 leaves it.
	Status int
	// Message overrides the code's text; empty leaves it.
	Message string
	// Details are further elements, in order: Key, BucketName, ArgumentName and so on.
	Details []Detail
	// Resource, RequestID and HostID are filled in where the answer is written.
	Resource, RequestID, HostID string
	// Cause is for the log; a client never sees it.
	Cause error
}

// Detail is one further element of an error.
type Detail struct{ Name, Value string }

// New makes an error of a code with details given as name, value, name, value.
func New(c Code, details ...string) *Error {
	e := &Error{Code: c}
	for i := 0; i+1 < len(details); i += 2 {
		e.Details = append(e.Details, Detail{details[i], details[i+1]})
	}
	return e
}

// Say makes an error of a code with a text of its own and details as New takes them.
func Say(c Code, message string, details ...string) *Error {
	e := New(c, details...)
	e.Message = message
	return e
}

// Argument is InvalidArgument with the argument that AWS names in it.
func Argument(message, name, value string) *Error {
	return Say(InvalidArgument, message, "ArgumentName", name, "ArgumentValue", value)
}

// From is the *Error of any error: of an *Error or a Code in its chain, else an
// InternalError with it as cause. Of nil it is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if c, ok := errors.AsType[Code](err); ok {
		return &Error{Code: c, Cause: err}
	}
	return &Error{Code: InternalError, Cause: err}
}

// Because adds the cause, for the log, and returns the error.
func (e *Error) Because(err error) *Error { e.Cause = err; return e }

// With adds an element and returns the error.
func (e *Error) With(name, value string) *Error {
	e.Details = append(e.Details, Detail{name, value})
	return e
}

// HTTPStatus is the status to answer with.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	return e.Code.Status()
}

// Text is the message to answer with.
func (e *Error) Text() string {
	if e.Message != "" {
		return e.Message
	}
	return e.Code.Message()
}

// Error is for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("%s: %s: %v", e.Code, e.Text(), e.Cause)
	}
	return string(e.Code) + ": " + e.Text()
}

// Is makes errors.Is(err, NoSuchKey) true for an *Error of that code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code) //nolint:errorlint // errors.Is unwraps; this compares one error
	return ok && c == e.Code
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// AppendError appends the document of an error; nothing for 304, which has no body
// (RFC 9110 15.4.5). An answer to HEAD has none either: that is the caller's to know.
func AppendError(b []byte, e *Error) []byte {
	if e.HTTPStatus() == http.StatusNotModified {
		return b
	}
	w := writer{append(b, header...)}
	w.open("Error")
	w.text("Code", string(e.Code))
	w.message(e.Text())
	for _, d := range e.Details {
		w.text(d.Name, d.Value)
	}
	w.optional("Resource", e.Resource)
	w.text("RequestId", e.RequestID)
	w.text("HostId", e.HostID)
	w.close("Error")
	return w.b
}

// message writes the text with its quotes as they are, as AWS has it: clients look for
// conditions of a policy in it. XML 1.0 2.4 asks for no escape of them in text.
func (w *writer) message(text string) {
	w.open("Message")
	for i, part := range strings.Split(text, `"`) {
		if i > 0 {
			w.b = append(w.b, '"')
		}
		w.b = appendEscaped(w.b, part)
	}
	w.close("Message")
}
