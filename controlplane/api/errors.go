package api

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
)

// domain of every ErrorInfo.
const domain = "dark-ecosystem"

// retryAfter is what an unavailable answer asks clients to wait.
const retryAfter = time.Second

// codeOf is the one place where a kind of error becomes a gRPC code.
func codeOf(err error) codes.Code {
	switch errs.KindOf(err) {
	case errs.Invalid:
		return codes.InvalidArgument
	case errs.NotFound:
		return codes.NotFound
	case errs.Conflict:
		switch admit.ReasonOf(err) {
		case admit.ReasonExists:
			return codes.AlreadyExists
		case admit.ReasonLargeDeletion, admit.ReasonTaken:
			return codes.FailedPrecondition
		}
		return codes.Aborted
	case errs.Denied:
		return codes.PermissionDenied
	case errs.Unauthenticated:
		return codes.Unauthenticated
	case errs.Unavailable:
		return codes.Unavailable
	case errs.Exhausted:
		return codes.ResourceExhausted
	case errs.Expired:
		return codes.OutOfRange
	}
	return codes.Internal
}

// httpOf is the one place where a gRPC code becomes an HTTP status.
func httpOf(c codes.Code) int {
	switch c {
	case codes.Aborted: // the state is not what the request supposed: an etag, a revision
		return http.StatusPreconditionFailed
	case codes.FailedPrecondition:
		return http.StatusConflict
	case codes.OutOfRange: // history that is no longer kept
		return http.StatusGone
	}
	return runtime.HTTPStatusFromCode(c)
}

// reasons by code, where the error has none of its own.
var reasons = map[codes.Code]string{
	codes.InvalidArgument: "INVALID", codes.NotFound: "NOT_FOUND", codes.Aborted: "CONFLICT",
	codes.PermissionDenied: "DENIED", codes.Unauthenticated: "UNAUTHENTICATED", codes.Unavailable: "UNAVAILABLE",
	codes.ResourceExhausted: "EXHAUSTED", codes.OutOfRange: "EXPIRED", codes.Internal: "INTERNAL",
	codes.AlreadyExists: admit.ReasonExists,
}

// toStatus makes of any error what a client sees; an internal error's text stays in
// the log, under the request id that the client is told.
func toStatus(err error, requestID string) *status.Status {
	var own *errs.Error
	switch {
	case errors.As(err, &own):
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "the request's time ran out")
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the request was cancelled")
	default:
		if st, ok := status.FromError(err); ok {
			return st
		}
	}
	code := codeOf(err)
	text := "internal error; its cause is in the log under request id " + requestID
	if own != nil && code != codes.Internal {
		text = own.Text
	}
	reason := admit.ReasonOf(err)
	if reason == "" {
		reason = reasons[code]
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: domain}}
	if own != nil && len(own.Fields) > 0 {
		details = append(details, badRequest(own.Fields))
	}
	if code == codes.Unavailable || reason == admit.ReasonBusy {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)})
	}
	return withDetails(status.New(code, text), details)
}

func withDetails(st *status.Status, details []protoadapt.MessageV1) *status.Status {
	if with, err := st.WithDetails(details...); err == nil {
		return with
	}
	return st
}

func badRequest(fields []errs.Field) *errdetails.BadRequest {
	br := &errdetails.BadRequest{}
	for _, f := range fields {
		br.FieldViolations = append(br.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field:       f.Name,
			Description: f.Text,
		})
	}
	return br
}

// unknownField finds the name in what the JSON decoder and the mask maker say.
var unknownField = regexp.MustCompile(`(?:unknown field|could not find field) "([^"]+)"`)

// nameUnknownField turns the gateway's own refusals of a body into ours, with the field.
func nameUnknownField(err error) error {
	st, ok := status.FromError(err)
	if !ok || st.Code() != codes.InvalidArgument || len(st.Details()) > 0 {
		return err
	}
	if m := unknownField.FindStringSubmatch(st.Message()); m != nil {
		return toStatus(errs.Bad(errs.Field{Name: m[1], Text: "unknown field"}), "").Err()
	}
	return toStatus(errs.New(errs.Invalid, "%s", st.Message()), "").Err()
}
