package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

type rollback struct {
	*session
	write
	only   part
	yes    bool
	wait   bool
	atomic bool
}

// Rollback makes desired state as it was.
func Rollback(s *session) *cobra.Command {
	b := &rollback{session: s}
	c := &cobra.Command{
		Use: "rollback REVISION", Short: "make everything be as it was at a revision",
		Long: `Make desired state be as it was at a revision, in a new transaction; nothing is lost, and the
rollback can be rolled back. Without --yes it shows what would change and ends with code 5.

What is more than one transaction takes, about 2,000 resources, goes in several, which is said
before the first. A refusal stops there and names what is done; the same command goes on.
--atomic refuses what one transaction does not take.`,
		Example: "  dark rollback 120 --dry-run\n  dark rollback 120 --kind record --prefix zones/example.com --yes",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error { return b.run(c.Context(), args[0]) },
	}
	b.only.flags(s, c)
	b.write.flags(c)
	c.Flags().BoolVar(&b.yes, "yes", false, "do it")
	c.Flags().BoolVar(&b.wait, "wait", false, "follow the change to every edge")
	c.Flags().BoolVar(&b.atomic, "atomic", false, "refuse what does not go in one transaction")
	return c
}

func (b *rollback) run(ctx context.Context, to string) error {
	n, err := revision(to)
	if err != nil {
		return err
	}
	kind, err := b.fullKind(ctx, b.only.kind)
	if err != nil {
		return err
	}
	q := &resourcev1.RollbackRequest{
		ToRevision: n, Kind: kind, NamePrefix: b.only.prefix, DryRun: true,
		InParts: !b.atomic, Reason: b.reason,
	}
	would, err := b.part(ctx, q)
	if err != nil {
		return err
	}
	would.Total = max(would.Total, uint64(len(would.Changes)))
	if would.Total == 0 {
		if err := b.nothingNamed(ctx, b.only.prefix, kind, n, 0); err != nil {
			return err
		}
	}
	if b.dryRun || !b.yes {
		return b.show(n, would)
	}
	return b.parts(ctx, q, would)
}

func (b *rollback) part(ctx context.Context,
	q *resourcev1.RollbackRequest,
) (r *resourcev1.RollbackResponse, err error) {
	err = b.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Resources.Rollback(ctx, q)
		return err
	})
	return r, err
}

// show tells what would change; without --dry-run that asks for --yes.
func (b *rollback) show(to uint64, would *resourcev1.RollbackResponse) error {
	err := b.message(would, func() error { return b.style().Changes(b.Out, would.Changes) })
	if err != nil {
		return err
	}
	if more := would.Total - uint64(len(would.Changes)); more > 0 {
		fmt.Fprintf(b.Err, "and %d more; they go in several transactions\n", more)
	}
	if b.dryRun {
		fmt.Fprintln(b.Err, "dry run; nothing was changed")
		return nil
	}
	if would.Total > 0 {
		return exit.New(exit.NeedsYes, "the same command with --yes",
			"a rollback to revision %d would change what is shown (%d); nothing was changed", to, would.Total)
	}
	return nil
}

// parts goes back, in as many transactions as it takes.
func (b *rollback) parts(ctx context.Context, q *resourcev1.RollbackRequest, would *resourcev1.RollbackResponse) error {
	several := would.NextPageToken != ""
	if several {
		fmt.Fprintf(b.Err, "%d resources go back in several transactions; a refusal stops between two of them, and "+
			"the same command goes on\n", would.Total)
	}
	q.DryRun = false
	id := b.id()
	all := &resourcev1.RollbackResponse{}
	for n := 1; ; n++ {
		q.RequestId = id
		if several {
			q.RequestId = fmt.Sprintf("%s/%d", id, n)
		}
		r, err := b.part(ctx, q)
		if err != nil {
			return b.stopped(err, all, would.Total)
		}
		all.Revision, all.Changes = r.Revision, append(all.Changes, r.Changes...)
		if several {
			fmt.Fprintf(b.Err, "%d of %d resources, revision %d\n", len(all.Changes), would.Total, r.Revision)
		}
		if q.PageToken = r.NextPageToken; q.PageToken == "" {
			return b.report(ctx, all)
		}
		several = true
	}
}

// stopped adds to a refusal what is done already.
func (b *rollback) stopped(err error, all *resourcev1.RollbackResponse, total uint64) error {
	if len(all.Changes) == 0 {
		return err
	}
	e := *exit.Of(err)
	e.Details = append(e.Details, fmt.Sprintf("done: %d of %d resources, up to %s, revision %d",
		len(all.Changes), total, all.Changes[len(all.Changes)-1].Name, all.Revision))
	if e.Next == "" {
		e.Next = "mend that and run the same command: it goes on from there"
	}
	return &e
}

func (b *rollback) report(ctx context.Context, r *resourcev1.RollbackResponse) error {
	err := b.message(r, func() error {
		if err := b.style().Changes(b.Out, r.Changes); err != nil {
			return err
		}
		_, err := fmt.Fprintf(b.Out, "revision %d\n", r.Revision)
		return err
	})
	if err != nil || !b.wait {
		return err
	}
	_, err = b.follow(ctx, r.Revision, b.output == "table")
	return err
}
