package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func (s *session) storageDamage() *cobra.Command {
	return &cobra.Command{
		Use: "damage [BUCKET]", Short: "tell what edges found damaged, object by object, and when they last looked",
		Long: "Tell what edges found damaged in your buckets; who operates the installation is told of all.\n" +
			"Write such an object again from where it came, or delete it. `darkd fsck` at the edge lists more.",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: s.completeFixed("Bucket"),
		RunE: func(c *cobra.Command, args []string) error {
			q := &storagev1.GetStorageStatsRequest{}
			if len(args) > 0 {
				q.Bucket = bucketName(args[0])
			}
			return s.damage(c.Context(), q)
		},
	}
}

func (s *session) damage(ctx context.Context, q *storagev1.GetStorageStatsRequest) error {
	var r *storagev1.GetStorageStatsResponse
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Buckets.GetStorageStats(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range r.Edges { // what else the answer has is for `stats`
		e.Buckets = nil
	}
	if s.output == "name" {
		return s.damagedNames(r.Edges)
	}
	return s.message(r, func() error {
		if len(r.Edges) == 0 {
			_, err := fmt.Fprintln(s.Err, noStats)
			return err
		}
		return s.damageTables(r.Edges)
	})
}

// damagedNames writes each object once that is known to be damaged.
func (s *session) damagedNames(edges []*storagev1.StorageStats) error {
	for _, e := range edges {
		for _, d := range e.GetDamage().GetThings() {
			if d.Key == "" {
				continue
			}
			if _, err := fmt.Fprintf(s.Out, "darkstorage://%s/%s\n", d.Bucket, d.Key); err != nil {
				return err
			}
		}
	}
	return nil
}

// damageTables writes when each edge looked, and then what is damaged.
func (s *session) damageTables(edges []*storagev1.StorageStats) error {
	looks := render.NewTable("EDGE", "SCRUBBED", "FOUND", "SCRUBS NOW")
	t := render.NewTable("EDGE", "BUCKET", "KEY", "VERSION", "WHAT", "CAUSE", "SINCE")
	things, more := 0, []string{}
	for _, e := range edges {
		looks.Row(e.Node, unixTime(e.Scrubbed), fmt.Sprint(e.ScrubDamaged), perMille(e.Progress))
		for _, d := range e.GetDamage().GetThings() {
			what := strings.ReplaceAll(d.Kind, "extent", "body")
			switch {
			case d.Lost:
				what += ", lost for good"
			case d.Key == "":
				what = d.What
			}
			t.Row(e.Node, d.Bucket, d.Key, d.VersionId, what, d.Cause, unixTime(d.First))
			things++
		}
		if e.GetDamage().GetMore() {
			more = append(more, e.Node)
		}
	}
	if err := looks.Flush(s.Out); err != nil {
		return err
	}
	fmt.Fprintln(s.Out)
	if things == 0 && len(more) == 0 {
		_, err := fmt.Fprintln(s.Out, "nothing is known to be damaged")
		return err
	}
	if err := t.Flush(s.Out); err != nil {
		return err
	}
	if len(more) > 0 {
		fmt.Fprintf(s.Err, "%s has more than is listed: `darkd fsck` there lists all\n", strings.Join(more, ", "))
	}
	return nil
}
