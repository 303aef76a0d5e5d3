package api

import (
	"context"
	"slices"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// Rollback writes desired state as it was at a revision, as a new transaction. What is
// dead stays dead: kinds of the deny lane, such as API keys, are not rolled back.
func (s *resources) Rollback(ctx context.Context, q *resourcev1.RollbackRequest) (*resourcev1.RollbackResponse, error) {
	kinds, err := s.kindsFor(ctx, q.Kind, "write")
	if err != nil {
		return nil, err
	}
	if q.Kind != "" && kinds[0].Lane == kind.LaneDeny {
		return nil, errs.Bad(errs.Field{Name: "kind", Text: kinds[0].Plural + " cannot be rolled back: a revoked one stays revoked"})
	}
	kinds = slices.DeleteFunc(kinds, func(k *kind.Kind) bool { return k.Lane == kind.LaneDeny })
	then, err := s.reader(ctx, q.ToRevision, false)
	if err != nil {
		return nil, err
	}
	defer then.Close()
	var made []admit.Change
	done, err := s.writer.Do(ctx, write(ctx, q, q.RequestId, q.Reason, q.DryRun), func(ctx context.Context, tx *admit.Tx) error {
		made, err = s.goBack(ctx, tx, then, kinds, q.NamePrefix)
		return err
	})
	if err != nil {
		return nil, err
	}
	out := &resourcev1.RollbackResponse{Revision: done.Revision}
	for _, ch := range made {
		revision := uint64(0)
		if done.Made {
			revision = done.Revision
		}
		c, err := change(ch.Kind, ch.Action, ch.Name, ch.Before, ch.After, revision)
		if err != nil {
			return nil, err
		}
		out.Changes = append(out.Changes, c)
	}
	return out, nil
}

// goBack puts into tx what makes the present be as then.
func (s *resources) goBack(ctx context.Context, tx *admit.Tx, then admit.Reader, kinds []*kind.Kind, names string) ([]admit.Change, error) {
	now, err := s.state.At(tx.Reader().Revision())
	if err != nil {
		return nil, err
	}
	defer now.Close()
	var todo []delta
	tooMany, octets := false, 0
	err = s.deltas(ctx, now, then, kinds, names, func(d delta) bool {
		octets += d.octets()
		tooMany = len(todo) == maxDiff || octets > maxChanged
		todo = append(todo, d)
		return !tooMany
	})
	if err != nil {
		return nil, err
	}
	if tooMany {
		return nil, admit.Because(errs.Exhausted, admit.ReasonTooLarge, "more than %d resources, or more than %d octets of them, differ; roll back in parts, by kind or name", maxDiff, maxChanged)
	}
	slices.SortStableFunc(todo, inOrder)
	var made []admit.Change
	for _, d := range todo {
		if d.before == nil && d.k.Gone != "" {
			return nil, errs.New(errs.Conflict, "%s cannot come back: when it was deleted, %s; make a new one, or roll back the rest by kind or name", d.name, d.k.Gone)
		}
		var ch admit.Change
		if d.after == nil {
			ch, err = tx.Delete(ctx, d.k, d.name, admit.Options{})
		} else {
			ch, err = tx.Put(ctx, d.k, d.after, admit.Options{})
		}
		if err != nil {
			return nil, err
		}
		made = append(made, ch)
	}
	return made, nil
}

// inOrder: what ends first, children before parents; then what is, parents first.
func inOrder(a, b delta) int {
	ends := func(d delta) int {
		if d.after == nil {
			return 0
		}
		return 1
	}
	if ends(a) != ends(b) {
		return ends(a) - ends(b)
	}
	if a.after == nil {
		return admit.Depth(b.k) - admit.Depth(a.k)
	}
	return admit.Depth(a.k) - admit.Depth(b.k)
}
