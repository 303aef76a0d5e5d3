package exit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestEveryStatusHasItsExitCode(t *testing.T) {
	want := map[codes.Code]Code{
		codes.Canceled: Interrupted, codes.Unknown: Failed, codes.InvalidArgument: Failed,
		codes.DeadlineExceeded: Unavailable,
		codes.NotFound:         NotFound, codes.AlreadyExists: Conflict, codes.PermissionDenied: Denied,
		codes.ResourceExhausted:  Failed,
		codes.FailedPrecondition: Conflict, codes.Aborted: Conflict, codes.OutOfRange: NotFound,
		codes.Unimplemented: Failed,
		codes.Internal:      Failed, codes.Unavailable: Unavailable, codes.DataLoss: Failed,
		codes.Unauthenticated: Denied,
	}
	for c := codes.Code(1); c <= codes.Unauthenticated; c++ {
		if got := Of(status.Error(c, "x")).Code; got != want[c] {
			t.Errorf("%v: exit %d, want %d", c, got, want[c])
		}
	}
	if Of(nil) != nil || Of(context.DeadlineExceeded).Code != Unavailable || Of(errors.New("x")).Code != Failed {
		t.Error("errors that are no status")
	}
	wrapped := fmt.Errorf("read zone: %w", New(NotFound, "", "no such file"))
	if Of(wrapped).Code != NotFound {
		t.Error("a wrapped exit error lost its code")
	}
}

func TestAWrappedStatusKeepsItsText(t *testing.T) {
	err := errors.Join(fmt.Errorf("export: %w", status.Error(codes.NotFound, "zones/a does not exist")), nil)
	if e := Of(err); e.Code != NotFound || e.Text != "zones/a does not exist" {
		t.Fatalf("%+v", e)
	}
}

func TestLargeDeletionNeedsYes(t *testing.T) {
	st, err := status.New(codes.FailedPrecondition,
		"more than half").WithDetails(&errdetails.ErrorInfo{Reason: "LARGE_DELETION"})
	if err != nil {
		t.Fatal(err)
	}
	if e := Of(st.Err()); e.Code != NeedsYes || e.Next == "" {
		t.Fatalf("%+v", e)
	}
}

func TestAServerThatAnswersIsRunning(t *testing.T) {
	st, err := status.New(codes.Unavailable, "no control node leads at the moment").WithDetails(&errdetails.RetryInfo{})
	if err != nil {
		t.Fatal(err)
	}
	if e := Of(st.Err()); e.Code != Unavailable || strings.Contains(e.Next, "is it running") {
		t.Fatalf("%+v", e)
	}
}

// TestANextStepFitsTheRefusal: who is refused by a certificate, by the socket's mode or by what is in the way is
// not asked whether the server runs, nor told to apply again.
func TestANextStepFitsTheRefusal(t *testing.T) {
	handshake := `connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: `
	for _, c := range []struct {
		code         codes.Code
		text, reason string
		next         string
	}{
		{codes.Unavailable, handshake + `x509: certificate signed by unknown authority"`, "", NextUntrusted},
		{
			codes.Unavailable, handshake + `x509: certificate is valid for a.test, not b.test"`, "",
			"it runs, but its certificate is refused",
		},
		{
			codes.Unavailable,
			`connection error: desc = "transport: Error while dialing: dial unix /d/control.sock: connect: permission denied"`,
			"", "as the node's user",
		},
		{
			codes.Unavailable,
			`connection error: desc = "transport: Error while dialing: dial tcp: connect: connection refused"`, "",
			"is it running?",
		},
		{codes.Aborted, "BucketNotEmpty: buckets/full holds 3 objects or versions", "CONFLICT", ""},
		{codes.Aborted, "zones/a changed at revision 4, after 3", "CHANGED_SINCE", "dark get shows what is there now"},
		{
			codes.Aborted, "zones/a has changed", "ETAG_MISMATCH",
			"dark get shows what is there now; apply again on top of it",
		},
	} {
		st := status.New(c.code, c.text)
		if c.reason != "" {
			var err error
			if st, err = st.WithDetails(&errdetails.ErrorInfo{Reason: c.reason}); err != nil {
				t.Fatal(err)
			}
		}
		e := Of(st.Err())
		if !strings.HasPrefix(e.Next, c.next) || c.reason != "" && e.Next != c.next {
			t.Errorf("%s: try: %s", e.Text, e.Next)
		}
	}
}

func TestPrintNamesEveryFieldAndTheNextStep(t *testing.T) {
	st, err := status.New(codes.InvalidArgument,
		"invalid request").WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: "spec.ttl", Description: "too large"}, {Description: "no field"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	e := Of(st.Err())
	e.Next = "dark describe"
	var b bytes.Buffer
	e.Print(&b)
	want := "dark: the server refused the request\n  spec.ttl: too large\n  no field\ntry: dark describe\n"
	if b.String() != want {
		t.Fatalf("got %q", b.String())
	}
}

// TestNamesAreNoCommandsToATerminal: those of files come in as they are.
func TestNamesAreNoCommandsToATerminal(t *testing.T) {
	var b bytes.Buffer
	(&Error{Text: "open a\x1b[31mb\xff: é", Details: []string{"c\r\u202e"}, Next: "one\ntwo\x07"}).Print(&b)
	want := "dark: open a\\x1b[31mb\\xff: é\n  c\\r\\u202e\ntry: one\ntwo\\a\n"
	if b.String() != want {
		t.Fatalf("%q, want %q", b.String(), want)
	}
}

func TestAnArgumentThatIsNotUTF8IsNamed(t *testing.T) {
	e := Of(status.Error(codes.Internal, "grpc: error while marshaling: string field contains invalid UTF-8"))
	if e.Code != Usage || !strings.Contains(e.Text, "not UTF-8") || e.Next != "" {
		t.Fatalf("%+v", e)
	}
}
