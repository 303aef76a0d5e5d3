// Package exit gives the errors of the command dark: each has an exit code that scripts
// rely on, lines that say what is wrong, and the next step.
package exit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Code is a process exit code. The numbers are part of the command's contract.
type Code int

const (
	Done        Code = 0
	Failed      Code = 1
	Usage       Code = 2
	NotFound    Code = 3
	Conflict    Code = 4
	NeedsYes    Code = 5
	Unavailable Code = 6
	Denied      Code = 7
	Interrupted Code = 130 // by Ctrl-C, as shells have it: 128 and SIGINT's number
)

// Error is an error with its exit code.
type Error struct {
	Code    Code
	Text    string
	Details []string // a line each
	Next    string   // what to do next, such as "dark context use dev"; may be empty
	cause   error
}

func (e *Error) Error() string {
	if len(e.Details) == 0 {
		return e.Text
	}
	return e.Text + ": " + strings.Join(e.Details, "; ")
}

// Unwrap returns the error that it was made of.
func (e *Error) Unwrap() error { return e.cause }

// New returns an error of a code.
func New(code Code, next, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Text: err.Error(), Next: next, cause: errors.Unwrap(err)}
}

// Of returns the exit error that any error stands for; nil for nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if errors.Is(err, context.Canceled) {
		return &Error{Code: Interrupted, Text: "interrupted", cause: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Code: Unavailable, Text: "no answer in time", Next: nexts[codes.DeadlineExceeded], cause: err}
	}
	if st, ok := statusIn(err); ok {
		return ofStatus(st, err)
	}
	return &Error{Code: Failed, Text: err.Error(), cause: err}
}

// statusIn finds the status as the server sent it, whatever the error was wrapped in.
func statusIn(err error) (*status.Status, bool) {
	var s interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &s) {
		return nil, false
	}
	return s.GRPCStatus(), true
}

var byCode = map[codes.Code]Code{
	codes.NotFound: NotFound, codes.OutOfRange: NotFound,
	codes.AlreadyExists: Conflict, codes.Aborted: Conflict, codes.FailedPrecondition: Conflict,
	codes.Unavailable: Unavailable, codes.DeadlineExceeded: Unavailable,
	codes.PermissionDenied: Denied, codes.Unauthenticated: Denied,
}

var nexts = map[codes.Code]string{
	codes.InvalidArgument:    "the same command with --help; dark get kinds -o json lists the fields of each kind",
	codes.ResourceExhausted:  "the limit is named above; an operator can raise it with dark apply of the organization",
	codes.FailedPrecondition: "dark get shows what is there now",
	codes.Internal:           "the server's log has the cause",
	codes.NotFound:           "dark get KIND lists what there is; -O names another organization",
	codes.OutOfRange:         "give a later revision, or list anew",
	codes.AlreadyExists:      "dark get shows what is there; dark apply changes it",
	codes.Aborted:            "dark get shows what is there now",
	codes.Unavailable:        "is it running? darkd dev starts one here; dark context list shows what you can reach",
	codes.DeadlineExceeded:   "give --timeout more, or look at dark status",
	codes.PermissionDenied:   "use a key that has the permission: dark context use NAME, or --token",
	codes.Unauthenticated:    "dark context use NAME, or give --token",
	codes.Unimplemented:      "the server is of another version; compare dark version with dark status",
}

// Reasons of google.rpc.ErrorInfo that say more than their code does.
const (
	reasonLargeDeletion = "LARGE_DELETION"
	reasonTooLarge      = "TRANSACTION_TOO_LARGE"
	reasonETag          = "ETAG_MISMATCH"
	// reasonConflict is of what is in the way, such as objects in a bucket: the text names it and the next step.
	reasonConflict = "CONFLICT"
)

// TooLarge reports whether the server refused a change as more than one transaction takes.
func TooLarge(err error) bool {
	st, ok := statusIn(err)
	if !ok {
		return false
	}
	for _, d := range st.Details() {
		if i, ok := d.(*errdetails.ErrorInfo); ok && i.Reason == reasonTooLarge {
			return true
		}
	}
	return false
}

func ofStatus(st *status.Status, cause error) *Error {
	e := &Error{Code: Failed, Text: st.Message(), Next: nexts[st.Code()], cause: cause}
	if c, ok := byCode[st.Code()]; ok {
		e.Code = c
	}
	if st.Code() == codes.Canceled {
		e.Code, e.Text = Interrupted, "interrupted"
	}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.BadRequest:
			e.Text, e.Details = "the server refused the request", violations(d)
			if len(e.Details) == 1 {
				e.Text, e.Details = e.Details[0], nil
			}
		case *errdetails.RetryInfo: // it came from a server that runs, but cannot do it now
			if e.Next = "again in a moment; dark status tells who leads"; strings.Contains(e.Text, "'s socket") {
				e.Next = "" // it says where to go itself
			}
		case *errdetails.ErrorInfo:
			switch d.Reason {
			case reasonLargeDeletion:
				e.Code, e.Next = NeedsYes, "the same command with --yes"
			case reasonETag:
				e.Next += "; apply again on top of it"
			case reasonConflict:
				e.Next = ""
			}
		}
	}
	if st.Code() == codes.Internal && strings.Contains(e.Text, "error while marshaling") {
		// gRPC says so before anything is sent (proto3: a string is UTF-8).
		e.Code, e.Text, e.Next = Usage, "an argument is not UTF-8, as all text is", ""
	}
	if e.Code == Unavailable && strings.Contains(e.Text, "connection error") {
		e.Text = shortDial(e.Text)
		e.Next = nextOfDial(e.Text, e.Next)
	}
	return e
}

// NextUntrusted is what to do where a server's certificate is signed by a CA that is not known here.
const NextUntrusted = "--ca FILE with the installation's CA, and --token; " +
	"the line dark context set that darkd init printed has both"

// nextOfDial is what to do after a failed dial; otherwise, where nothing answers.
func nextOfDial(text, otherwise string) string {
	switch {
	case strings.Contains(text, "x509: certificate signed by unknown authority"):
		return NextUntrusted
	case strings.Contains(text, "x509: "):
		return "it runs, but its certificate is refused: --addr with a name that the certificate states, " +
			"and a clock that is right"
	case strings.Contains(text, "first record does not look like a TLS handshake"):
		return "what answers there speaks no TLS, as darkd dev does: --addr http://ADDRESS:PORT"
	case strings.Contains(text, "error reading server preface"):
		return "what answers there may speak TLS, as every darkd control does: --addr https://ADDRESS:PORT"
	case strings.Contains(text, "dial unix ") && !strings.Contains(text, "permission denied"):
		return "is that the control node's directory, and does it run? The socket is there once the node is a member"
	case strings.Contains(text, "permission denied"):
		return "as the node's user, such as with sudo -u: the socket is open to that user and root only"
	}
	return otherwise
}

// shortDial keeps of gRPC's description of a failed dial what a person can use.
func shortDial(text string) string {
	for _, cut := range []string{`desc = "transport: `, `desc = "`} {
		if _, after, ok := strings.Cut(text, cut); ok {
			after = strings.TrimPrefix(after, "Error while dialing: ")
			return "no connection: " + strings.TrimSuffix(after, `"`)
		}
	}
	return text
}

func violations(b *errdetails.BadRequest) []string {
	var out []string
	for _, v := range b.FieldViolations {
		if v.Field == "" {
			out = append(out, v.Description)
			continue
		}
		out = append(out, v.Field+": "+v.Description)
	}
	return out
}

// Violations returns the fields that a server refused, if it named any.
func Violations(err error) []*errdetails.BadRequest_FieldViolation {
	st, ok := statusIn(err)
	if !ok {
		return nil
	}
	for _, d := range st.Details() {
		if b, ok := d.(*errdetails.BadRequest); ok {
			return b.FieldViolations
		}
	}
	return nil
}

// Print writes the error for a person: what is wrong, a line for each detail, what next.
func (e *Error) Print(w io.Writer) {
	fmt.Fprintf(w, "dark: %s\n", Plain(e.Text))
	for _, d := range e.Details {
		fmt.Fprintf(w, "  %s\n", Plain(d))
	}
	if e.Next != "" {
		fmt.Fprintf(w, "try: %s\n", Plain(e.Next))
	}
}

// Plain is text as a terminal may show it: of what names bring along, such as those of files,
// nothing is a command to the terminal. Lines stay lines.
func Plain(text string) string {
	plain := func(r rune) bool { return r == '\n' || unicode.IsPrint(r) && r != utf8.RuneError }
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		_, n := utf8.DecodeRuneInString(text[i:])
		if plain(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteToGraphic(text[i : i+n])
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
