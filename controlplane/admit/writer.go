package admit

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// maxAttempts bounds how often a write is admitted again because something that its
// caller did not ask about changed under it.
const maxAttempts = 6

// Request is what a write carries besides its content.
type Request struct {
	Organization string
	Caller       kind.Caller
	Origin       *statev1.Origin
	RequestID    string
	Digest       []byte // of the request that the id stands for
	DryRun       bool
}

// Done is what became of a write.
type Done struct {
	// Revision of the transaction; of what was read when nothing changed or was to.
	Revision uint64
	// Repeated: the request id had been seen; nothing was changed now.
	Repeated bool
	// Made: a transaction was accepted now.
	Made bool
}

// Writer admits writes on this member's state and proposes them.
type Writer struct {
	State    State
	Proposer Proposer
	Validate func(proto.Message) []kind.Violation
	Clock    clock.Clock
}

// Do lets build fill a transaction and proposes it. It admits on what this member has
// and, when that was behind or changed meanwhile, again on what is current: build may
// be called several times, each time with a new Tx, and the last call counts.
func (w *Writer) Do(ctx context.Context, q Request, build func(context.Context, *Tx) error) (Done, error) {
	current := false
	if q.DryRun {
		if err := w.Proposer.Current(ctx); err != nil {
			return Done{}, err
		}
		current = true
	}
	for attempt := 1; ; attempt++ {
		done, err := w.attempt(ctx, q, build, current)
		var r refused
		if errors.As(err, &r) && current && errs.Is(err, errs.Conflict) {
			if why := w.why(ctx, r); why != "" {
				return done, reasoned{err, why}
			}
		}
		if err == nil || attempt == maxAttempts || !again(err, current) {
			return done, err
		}
		if cerr := w.Proposer.Current(ctx); cerr != nil {
			if !current && errs.Is(err, errs.NotFound) {
				return done, cerr // it may be there: what was read here may be old
			}
			return done, err
		}
		current = !current || errs.Is(err, errs.Conflict)
		if attempt > 2 {
			backOff(ctx, attempt)
		}
	}
}

// refused marks an error of the state machine, not of admission.
type refused struct {
	error
	tx *statev1.Transaction
}

func (r refused) Unwrap() error { return r.error }

// why returns the reason of a conflict that admitting again cannot mend, "" for others.
func (w *Writer) why(ctx context.Context, r refused) string {
	var e *errs.Error
	switch {
	case errors.As(r.error, &e) && r.tx.RequestId != "" && strings.HasPrefix(e.Text, "request id "):
		return ReasonRequestID
	case w.Proposer.Current(ctx) == nil && w.stands(r.tx):
		return ReasonTaken
	}
	return ""
}

// stands reports whether all that a refused transaction supposed of resources still
// holds here: then it was refused for a name that somebody else holds, or for what
// stands beside it, and not because something changed under it.
func (w *Writer) stands(tx *statev1.Transaction) bool {
	r, err := w.State.At(0)
	if err != nil {
		return false
	}
	defer r.Close()
	for _, p := range tx.Preconditions {
		switch c := p.Condition.(type) {
		case *statev1.Precondition_ResourceAt:
			ref := c.ResourceAt.GetRef()
			v, _, err := r.Get(ref.GetKind(), ref.GetOrganization(), ref.GetName())
			if err != nil || v.Revision != c.ResourceAt.Revision {
				return false
			}
		case *statev1.Precondition_UnchangedSince, *statev1.Precondition_MetaAt:
			return false // not to be told from here
		}
	}
	return true
}

// again reports whether admitting once more on current state may help.
func again(err error, current bool) bool {
	switch errs.KindOf(err) {
	case errs.Conflict:
		return errors.As(err, &refused{}) || !current
	case errs.Invalid, errs.NotFound:
		return !current
	}
	return false
}

// backOff waits a little, longer each time, so that writers on one hot resource pass.
func backOff(ctx context.Context, attempt int) {
	t := time.NewTimer(time.Duration(attempt*attempt) * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (w *Writer) attempt(ctx context.Context, q Request, build func(context.Context, *Tx) error,
	current bool,
) (Done, error) {
	r, err := w.State.At(0)
	if err != nil {
		return Done{}, err
	}
	defer r.Close()
	tx := NewTx(NewView(r, w.State.Published), q.Organization, q.Caller, w.Clock.Now())
	tx.Validate = w.Validate
	done := Done{Revision: r.Revision()}
	if err := build(ctx, tx); err != nil {
		if rep, ok := w.repeated(ctx, q); ok && current {
			return rep, nil
		}
		return done, err
	}
	out, err := tx.Transaction()
	if err != nil || q.DryRun || tx.Empty() {
		return done, err
	}
	out.Origin, out.RequestId, out.RequestDigest = q.Origin, q.RequestID, q.Digest
	o, err := w.Proposer.Propose(ctx, out)
	if err != nil {
		return done, refused{tx.inNames(err), out}
	}
	return Done{Revision: o.Revision, Repeated: o.Repeated, Made: !o.Repeated}, nil
}

// repeated asks whether a request id is known, when the request would not be admitted
// any more: what it did may be why. The transaction that asks can never be accepted.
func (w *Writer) repeated(ctx context.Context, q Request) (Done, bool) {
	if q.RequestID == "" || q.DryRun {
		return Done{}, false
	}
	never := At(&statev1.Ref{Kind: "none", Organization: q.Organization, Name: "none"}, math.MaxUint64)
	// What is the installation's own is written under no organization.
	for _, org := range []string{q.Organization, ""} {
		o, err := w.Proposer.Propose(ctx, &statev1.Transaction{
			Organization: org, RequestId: q.RequestID, RequestDigest: q.Digest,
			Origin: q.Origin, Preconditions: []*statev1.Precondition{never},
		})
		if err == nil && o.Repeated {
			return Done{Revision: o.Revision, Repeated: true}, true
		}
	}
	return Done{}, false
}
