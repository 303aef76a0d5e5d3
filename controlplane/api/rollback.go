package api

import (
	"context"
	"slices"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// Rollback writes desired state as it was at a revision, as a new transaction, or a part of
// it as one of several. What is dead stays dead: kinds of the deny lane, such as API keys,
// are not rolled back.
func (s *resources) Rollback(ctx context.Context, q *resourcev1.RollbackRequest) (*resourcev1.RollbackResponse, error) {
	kinds, err := s.kindsFor(ctx, q.Kind, "write")
	if err != nil {
		return nil, err
	}
	if q.Kind != "" && kinds[0].Lane == kind.LaneDeny {
		return nil, errs.Bad(errs.Field{
			Name: "kind",
			Text: kinds[0].Plural + " cannot be rolled back: a revoked one stays revoked",
		})
	}
	from, err := s.partFrom(ctx, q)
	if err != nil {
		return nil, err
	}
	then, err := s.reader(ctx, q.ToRevision, false)
	if err != nil {
		return nil, err
	}
	defer then.Close()
	r := &rollback{
		s: s, q: q, then: then, from: from, most: maxDiff,
		kinds: slices.DeleteFunc(kinds, func(k *kind.Kind) bool { return k.Lane == kind.LaneDeny }),
	}
	done, err := r.write(ctx)
	if err != nil {
		return nil, err
	}
	return r.answer(ctx, done)
}

// rollback is one request to go back.
type rollback struct {
	s     *resources
	q     *resourcev1.RollbackRequest
	then  admit.Reader
	kinds []*kind.Kind
	from  partPlace
	most  int // changes in one transaction
	part  *part
	made  []admit.Change
}

// write makes the changes. A part that has more octets as a transaction than it seemed to
// have is halved.
func (r *rollback) write(ctx context.Context) (admit.Done, error) {
	for {
		done, err := r.s.writer.Do(ctx, write(ctx, r.q, r.q.RequestId, r.q.Reason, r.q.DryRun), r.goBack)
		if !r.q.InParts || admit.ReasonOf(err) != admit.ReasonTooLarge || r.part == nil || len(r.part.todo) < 2 {
			return done, err
		}
		r.most = len(r.part.todo) / 2
	}
}

// goBack puts into tx what makes the present be as then.
func (r *rollback) goBack(ctx context.Context, tx *admit.Tx) error {
	now, err := r.s.state.At(tx.Reader().Revision())
	if err != nil {
		return err
	}
	defer now.Close()
	if r.part, err = r.next(ctx, now); err != nil {
		return err
	}
	if r.part.more && !r.q.InParts {
		return admit.Because(errs.Exhausted, admit.ReasonTooLarge,
			"more than %d resources, or more than %d octets of them, differ; roll back in parts (inParts), or by "+
				"kind or name", maxDiff, maxChanged)
	}
	r.made = nil
	for _, d := range r.part.todo {
		ch, err := revert(ctx, tx, d)
		if err != nil {
			return err
		}
		r.made = append(r.made, ch)
	}
	return nil
}

// revert makes one resource be as it was.
func revert(ctx context.Context, tx *admit.Tx, d delta) (admit.Change, error) {
	switch {
	case d.before == nil && d.k.Gone != "":
		return admit.Change{}, errs.New(errs.Conflict,
			"%s cannot come back: when it was deleted, %s; make a new one, or roll back the rest by kind or name",
			d.name, d.k.Gone)
	case d.after == nil:
		return tx.Delete(ctx, d.k, d.name, admit.Options{})
	}
	return tx.Put(ctx, d.k, d.after, admit.Options{})
}

func (r *rollback) answer(ctx context.Context, done admit.Done) (*resourcev1.RollbackResponse, error) {
	out := &resourcev1.RollbackResponse{Revision: done.Revision}
	revision := uint64(0)
	if done.Made {
		revision = done.Revision
	}
	for _, ch := range r.made {
		c, err := change(ch.Kind, ch.Action, ch.Name, ch.Before, ch.After, revision)
		if err != nil {
			return nil, err
		}
		out.Changes = append(out.Changes, c)
	}
	switch {
	case r.part == nil:
	case done.Repeated && r.q.InParts:
		// What was collected now is what comes after the part that the id stands for.
		out.Changes, out.NextPageToken = nil, r.s.partToken(ctx, r.q, r.beginning())
	case r.part.more:
		out.NextPageToken = r.s.partToken(ctx, r.q, r.part.through)
	}
	if r.part != nil && r.counts() {
		out.Total = r.part.total
	}
	return out, nil
}

// counts reports whether all that differs is counted: that reads all of it, and is done once.
func (r *rollback) counts() bool { return r.q.InParts && r.q.DryRun && r.q.PageToken == "" }

// beginning is where this part began.
func (r *rollback) beginning() partPlace {
	if r.from != (partPlace{}) || len(r.kinds) == 0 {
		return r.from
	}
	return partPlace{phase: phaseEnds, kind: inOrder(r.kinds, phaseEnds)[0].FullName()}
}
