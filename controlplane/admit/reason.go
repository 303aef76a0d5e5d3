package admit

import (
	"errors"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// Reasons of refusals that clients tell apart; they are part of the API.
const (
	ReasonETag          = "ETAG_MISMATCH"
	ReasonExists        = "ALREADY_EXISTS"
	ReasonChanged       = "CHANGED_SINCE"
	ReasonTaken         = "NAME_TAKEN"
	ReasonRequestID     = "REQUEST_ID_REUSED"
	ReasonLargeDeletion = "LARGE_DELETION"
	ReasonTooLarge      = "TRANSACTION_TOO_LARGE"
	ReasonQuota         = "QUOTA"
	ReasonWatches       = "TOO_MANY_WATCHES"
	ReasonBusy          = "BUSY" // there is too much at work here; it may be asked again
)

// reasoned is an error with a reason for programs.
type reasoned struct {
	error
	reason string
}

func (r reasoned) Unwrap() error { return r.error }

// Because attaches a reason to an error of kind k.
func Because(k errs.Kind, reason, format string, args ...any) error {
	return reasoned{errs.New(k, format, args...), reason}
}

// ReasonOf returns the reason attached to err, "" if none.
func ReasonOf(err error) string {
	var r reasoned
	if errors.As(err, &r) {
		return r.reason
	}
	return ""
}
