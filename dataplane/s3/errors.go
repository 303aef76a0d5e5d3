package s3

import (
	"context"
	"errors"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/errs"
)

// notImplemented names the header or query that asked for what is not there.
func notImplemented(what string) error {
	return s3xml.New(s3xml.NotImplemented, "Header", what)
}

// invalidRequest is an InvalidRequest that says what is wrong.
func invalidRequest(text string) error { return s3xml.Say(s3xml.InvalidRequest, text) }

// toldAs is what a client is told of err.
func toldAs(err error) *s3xml.Error {
	var refused *store.Refused
	var damaged *store.Damaged
	own, named := errors.AsType[*s3xml.Error](err)
	switch {
	case named:
		return own // whatever caused it
	case errors.As(err, &refused):
		return s3xml.New(refusal(refused)).Because(err)
	case errors.As(err, &damaged):
		return s3xml.Say(s3xml.InternalError, "What is stored is damaged and was not returned.").Because(err)
	}
	for _, k := range storeErrors {
		if errors.Is(err, k.err) {
			return s3xml.New(k.code).Because(err)
		}
	}
	return s3xml.From(err)
}

// storeErrors are the store's errors as clients know them.
var storeErrors = []struct {
	err  error
	code s3xml.Code
}{
	{store.ErrNotFound, s3xml.NoSuchKey},
	{store.ErrGone, s3xml.NoSuchKey},
	{store.ErrWrongKey, s3xml.AccessDenied},
	{store.ErrFull, s3xml.InsufficientStorage},
	{store.ErrTooLarge, s3xml.EntityTooLarge},
	{store.ErrErased, s3xml.NoSuchBucket},
	{store.ErrBusy, s3xml.SlowDown},
	{store.ErrReadOnly, s3xml.ServiceUnavailable},
	{store.ErrMoved, s3xml.ServiceUnavailable},
	{store.ErrKey, s3xml.ServiceUnavailable},
	{store.ErrClosed, s3xml.ServiceUnavailable},
	{context.DeadlineExceeded, s3xml.ServiceUnavailable},
	{context.Canceled, s3xml.RequestTimeout},
}

// refusal is what a client is told of a command that was refused.
func refusal(r *store.Refused) s3xml.Code {
	switch r.Reason {
	case store.Missing:
		return s3xml.NoSuchKey
	case store.Changed, store.Swept:
		return s3xml.ConditionalRequestConflict
	case store.QuotaBytes, store.QuotaRows:
		return s3xml.QuotaExceeded
	}
	return s3xml.PreconditionFailed
}

// controlError is what a client is told when the control plane refused.
func controlError(err error) error {
	if err == nil {
		return nil
	}
	text := ""
	var known *errs.Error
	if errors.As(err, &known) {
		text = known.Text
	}
	switch errs.KindOf(err) {
	case errs.Invalid:
		return s3xml.Say(s3xml.InvalidRequest, text).Because(err)
	case errs.NotFound:
		return s3xml.New(s3xml.NoSuchBucket).Because(err)
	case errs.Conflict:
		return s3xml.New(s3xml.OperationAborted).Because(err)
	case errs.Denied:
		return s3xml.Say(s3xml.AccessDenied, text).Because(err)
	case errs.Unauthenticated:
		return s3xml.New(s3xml.AccessDenied).Because(err)
	case errs.Exhausted:
		return s3xml.Say(s3xml.TooManyBuckets, text).Because(err)
	case errs.Unavailable, errs.Expired:
		return s3xml.New(s3xml.ServiceUnavailable).Because(err)
	}
	return s3xml.From(err)
}
