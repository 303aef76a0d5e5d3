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
		codes.Canceled: Interrupted, codes.Unknown: Failed, codes.InvalidArgument: Failed, codes.DeadlineExceeded: Unavailable,
		codes.NotFound: NotFound, codes.AlreadyExists: Conflict, codes.PermissionDenied: Denied, codes.ResourceExhausted: Failed,
		codes.FailedPrecondition: Conflict, codes.Aborted: Conflict, codes.OutOfRange: NotFound, codes.Unimplemented: Failed,
		codes.Internal: Failed, codes.Unavailable: Unavailable, codes.DataLoss: Failed, codes.Unauthenticated: Denied,
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
	st, err := status.New(codes.FailedPrecondition, "more than half").WithDetails(&errdetails.ErrorInfo{Reason: "LARGE_DELETION"})
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

func TestPrintNamesEveryFieldAndTheNextStep(t *testing.T) {
	st, err := status.New(codes.InvalidArgument, "invalid request").WithDetails(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
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
