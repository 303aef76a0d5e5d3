package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// Describe shows one resource in full, and how it came to be so.
func Describe(s *session) *cobra.Command {
	var a at
	c := &cobra.Command{
		Use: "describe KIND NAME", Short: "show one resource in full, with its last changes",
		Example:           "  dark describe zone example.com\n  dark describe record example.com www A",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: s.completeResources,
		RunE: func(c *cobra.Command, args []string) error {
			to, err := s.resolve(c.Context(), args)
			if err == nil {
				err = needName(to)
			}
			if err != nil {
				return err
			}
			return s.describe(c.Context(), to, a)
		},
	}
	a.flags(c)
	return c
}

func (s *session) describe(ctx context.Context, to address, a at) error {
	doc, err := s.fetch(ctx, to, a)
	if err != nil {
		return err
	}
	return s.value(doc, func() error {
		if err := s.style().Describe(s.Out, doc); err != nil {
			return err
		}
		entries, more, err := s.historyPage(ctx, to, 5, 0)
		if err != nil || len(entries) == 0 {
			return err
		}
		fmt.Fprintln(s.Out, "\nlast changes:")
		return s.historyTable(entries, more, to)
	})
}

// History tells how a resource came to be as it is.
func History(s *session) *cobra.Command {
	var limit int32
	var before uint64
	c := &cobra.Command{
		Use: "history KIND NAME", Short: "tell who changed a resource, when and why",
		Example:           "  dark history zone example.com\n  dark history record example.com www A --limit 5",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: s.completeResources,
		RunE: func(c *cobra.Command, args []string) error {
			to, err := s.resolve(c.Context(), args)
			if err == nil {
				err = needName(to)
			}
			if err != nil {
				return err
			}
			return s.history(c.Context(), to, limit, before)
		},
	}
	c.Flags().Int32Var(&limit, "limit", 100, "most entries, up to 1000")
	c.Flags().Uint64Var(&before, "before", 0, "only changes before this revision")
	return c
}

func (s *session) historyPage(ctx context.Context, to address, limit int32,
	before uint64,
) ([]*resourcev1.HistoryEntry, uint64, error) {
	var r *resourcev1.GetHistoryResponse
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Resources.GetHistory(ctx, &resourcev1.GetHistoryRequest{
			Kind: to.kind.FullName, Name: to.name,
			PageSize: limit, BeforeRevision: before,
		})
		return err
	})
	return r.GetEntries(), r.GetNextBeforeRevision(), err
}

func (s *session) history(ctx context.Context, to address, limit int32, before uint64) error {
	entries, more, err := s.historyPage(ctx, to, limit, before)
	if err != nil {
		return err
	}
	return messages(s, entries, func() error { return s.historyTable(entries, more, to) })
}

func (s *session) historyTable(entries []*resourcev1.HistoryEntry, more uint64, to address) error {
	t := render.NewTable("REVISION", "TIME", "ACTION", "WHO", "FROM", "REASON")
	for _, e := range entries {
		u := e.GetAudit()
		revision := e.GetChange().GetRevision()
		if revision == 0 {
			revision = u.GetRevision()
		}
		t.Row(fmt.Sprint(revision), moment(u.GetTime()), render.Action(e.GetChange().GetAction()), u.GetWho(),
			u.GetFrom(), u.GetReason())
	}
	if err := t.Flush(s.Out); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(s.Err, "older ones: dark history %s --before %d\n", to.name, more)
	}
	return nil
}
