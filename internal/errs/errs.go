// Package errs gives the few kinds of error that cross a process boundary, and the
// text of each that is fit for a customer; detail stays in the log.
package errs

import (
	"errors"
	"fmt"
)

// Kind classifies an error for those who must act on it.
type Kind uint8

const (
	// Internal is a fault of ours; its text is not shown to customers.
	Internal Kind = iota
	// Invalid: the request is wrong and will be wrong again.
	Invalid
	// NotFound: the thing named does not exist, or may not be known to the asker.
	NotFound
	// Conflict: the state is not what the request supposed.
	Conflict
	// Denied: the asker lacks the permission.
	Denied
	// Unauthenticated: it is not known who asks.
	Unauthenticated
	// Unavailable: try again later; the request had no effect, or an unknown one.
	Unavailable
	// Exhausted: a quota or limit, which the text names.
	Exhausted
	// Expired: the history asked for is no longer kept.
	Expired
)

var names = [...]string{
	"internal", "invalid", "not found", "conflict", "denied", "unauthenticated", "unavailable",
	"exhausted", "expired",
}

func (k Kind) String() string { return names[k] }

// Field is one thing wrong with one field of a request.
type Field struct {
	Name string // proto JSON path, such as spec.records[2]
	Text string
}

// Error is an error with a kind and a text for the customer.
type Error struct {
	Kind   Kind
	Text   string
	Fields []Field // for Invalid: every bad field, in order
	cause  error
}

func (e *Error) Error() string {
	if e.cause != nil {
		return e.Text + ": " + e.cause.Error()
	}
	return e.Text
}

// Unwrap returns the cause, which is for the log only.
func (e *Error) Unwrap() error { return e.cause }

// New returns an error of kind k with a text for the customer.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...)}
}

// Wrap is New with a cause that stays in the log.
func Wrap(k Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...), cause: cause}
}

// Bad returns an Invalid error that names the fields.
func Bad(fields ...Field) *Error {
	text := "invalid request"
	if len(fields) > 0 {
		text = fields[0].Name + ": " + fields[0].Text
	}
	if len(fields) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(fields)-1)
	}
	return &Error{Kind: Invalid, Text: text, Fields: fields}
}

// KindOf returns the kind of the first Error in err's chain, Internal if none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err has kind k.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
