package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// Audit is about who changed what.
func Audit(s *session) *cobra.Command {
	return group("audit", "tell who changed what, when, from where and why; verify the chain", s.auditList(),
		s.auditVerify())
}

func (s *session) auditList() *cobra.Command {
	var after uint64
	var limit int
	c := &cobra.Command{
		Use: "list", Short: "list audit records, oldest first", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return s.audit(c.Context(), after, limit) },
	}
	c.Flags().Uint64Var(&after, "after", 0, "only records after this revision")
	c.Flags().IntVar(&limit, "limit", 0, "most records (default: all)")
	return c
}

func (s *session) audit(ctx context.Context, after uint64, limit int) error {
	var all []*resourcev1.AuditRecord
	for {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		var r *resourcev1.ListAuditResponse
		err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
			r, err = c.Resources.ListAudit(ctx, &resourcev1.ListAuditRequest{
				AfterRevision: after,
				PageSize:      int32(size),
			})
			return err
		})
		if err != nil {
			return err
		}
		all = append(all, r.Records...)
		if after = r.NextAfterRevision; after == 0 || limit > 0 && len(all) >= limit {
			break
		}
	}
	return messages(s, all, func() error {
		t := render.NewTable("REVISION", "TIME", "WHO", "FROM", "METHOD", "CHANGES", "NAMES", "REASON")
		for _, r := range all {
			t.Row(fmt.Sprint(r.Revision), moment(r.Time), r.Who, r.From, shortName(r.Method), fmt.Sprint(r.Changes),
				strings.Join(r.Names, " "), r.Reason)
		}
		return t.Flush(s.Out)
	})
}

func (s *session) auditVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify", Short: "compute the chain of audit hashes again", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var r *resourcev1.VerifyAuditResponse
			err := s.call(c.Context(), func(ctx context.Context, c *client.Client) (err error) {
				r, err = c.Resources.VerifyAudit(ctx, &resourcev1.VerifyAuditRequest{})
				return err
			})
			if err != nil {
				return err
			}
			err = s.message(r, func() error {
				if !r.Ok {
					return nil
				}
				_, err := fmt.Fprintf(s.Out, "the chain holds: %s, head %x\n", numbered(r.Checked, "record"), r.Head)
				return err
			})
			if err == nil && !r.Ok {
				return exit.New(exit.Failed, "compare with a backup; dark audit --after shows the records",
					"the audit chain is broken at revision %d", r.BrokenAt)
			}
			return err
		},
	}
}
