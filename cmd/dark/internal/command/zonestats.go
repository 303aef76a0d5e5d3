package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
)

func (s *session) zonesStats() *cobra.Command {
	var limit int32
	c := &cobra.Command{
		Use: "stats [NAME]", Short: "tell how zones are asked, over all connected edges since each began, the " +
			"busiest first",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: s.completeFixed("Zone"),
		RunE: func(c *cobra.Command, args []string) error {
			q := &clusterv1.ListZoneStatsRequest{PageSize: limit}
			if len(args) > 0 {
				q.Zone = zoneName(args[0])
			}
			return s.zoneStats(c.Context(), q)
		},
	}
	c.Flags().Int32Var(&limit, "limit", 0, "most zones, up to 1000 (default 100)")
	return c
}

func (s *session) zoneStats(ctx context.Context, q *clusterv1.ListZoneStatsRequest) error {
	var r *clusterv1.ListZoneStatsResponse
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Cluster.ListZoneStats(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if s.output == "name" {
		for _, z := range r.Zones {
			fmt.Fprintln(s.Out, z.Name)
		}
		return nil
	}
	return messages(s, r.Zones, func() error {
		t := render.NewTable("ZONE", "QUERIES", "NXDOMAIN", "NODATA", "REFERRALS", "TRUNCATED", "A", "AAAA",
			"OTHER TYPES", "TIER 1", "EDGES")
		for _, z := range r.Zones {
			row := []string{shortName(z.Name)}
			for _, n := range []uint64{
				z.Queries, z.Nxdomain, z.Nodata, z.Referrals, z.Truncated, z.A, z.Aaaa,
				z.OtherTypes, z.Tier1, uint64(z.Edges),
			} {
				row = append(row, fmt.Sprint(n))
			}
			t.Row(row...)
		}
		return t.Flush(s.Out)
	})
}
