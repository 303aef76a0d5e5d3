package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
)

// Nodes is about the machines of the installation.
func Nodes(s *session) *cobra.Command {
	return group("nodes", "show the machines, how far each is, and what it refused; admit and remove them",
		s.nodesList(), s.nodesToken(), s.nodesRemove())
}

func (s *session) nodesList() *cobra.Command {
	var a at
	c := &cobra.Command{
		Use: "list", Short: "list the nodes: position, lag, last refusal", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return s.nodes(c.Context(), a) },
	}
	a.flags(c)
	return c
}

func (s *session) nodes(ctx context.Context, a at) error {
	var all []*clusterv1.Node
	q := &clusterv1.ListNodesRequest{PageSize: pageSize, Revision: a.revision, Stale: a.stale}
	for {
		var r *clusterv1.ListNodesResponse
		err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
			r, err = c.Nodes.ListNodes(ctx, q)
			return err
		})
		if err != nil {
			return err
		}
		all = append(all, r.Nodes...)
		if q.PageToken = r.NextPageToken; q.PageToken == "" {
			break
		}
	}
	if s.output == "name" {
		for _, n := range all {
			fmt.Fprintln(s.Out, n.Name)
		}
		return nil
	}
	return messages(s, all, func() error {
		if err := nodeTable(all).Flush(s.Out); err != nil {
			return err
		}
		return unpublished(s.Out, all)
	})
}

// unpublished says what edges are not told of.
func unpublished(w io.Writer, all []*clusterv1.Node) error {
	for _, n := range all {
		st := n.GetStatus()
		if st.GetSetAside() == 0 {
			continue
		}
		what := "1 resource cannot be published as it is; edges keep what they had of it"
		if n := st.GetSetAside(); n > 1 {
			what = fmt.Sprintf("%d resources cannot be published as they are; edges keep what they had of them. One "+
				"of them", n)
		}
		_, err := fmt.Fprintf(w, "\n%s: %s\nChange it, and it is tried again.\n", what,
			render.Clean(st.GetLastSetAside()))
		return err
	}
	return nil
}

func nodeTable(all []*clusterv1.Node) *render.Table {
	t := render.NewTable("NODE", "ROLE", "STATE", "POSITION", "LAG", "REFUSALS", "LAST HEARD", "VERSION",
		"LAST REFUSAL")
	for _, n := range all {
		st := n.GetStatus()
		role := n.GetSpec().GetRole()
		if st.GetLeader() {
			role += " (leads)"
		}
		t.Row(shortName(n.Name), role, nodeState(n), fmt.Sprint(st.GetPosition()), fmt.Sprint(st.GetLag()),
			fmt.Sprint(st.GetRefusals()), moment(st.GetLastContact()), st.GetVersion(), st.GetLastRefusal())
	}
	return t
}

func nodeState(n *clusterv1.Node) string {
	state := "away"
	if n.GetStatus().GetConnected() {
		state = "connected"
	}
	if n.GetStatus().GetState() != "" {
		state = n.GetStatus().GetState()
	}
	if n.GetSpec().GetDrained() {
		state += ", drained"
	}
	return state
}

func moment(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return render.Time(t.AsTime())
}

func (s *session) nodesToken() *cobra.Command {
	var q clusterv1.CreateJoinTokenRequest
	c := &cobra.Command{
		Use: "token NAME", Short: "make a token by which one machine may join, once, within an hour",
		Long: "Make a token by which one machine may join, once, within an hour. The machine's certificate gets the " +
			"names and\n" +
			"addresses that the token states with --host, and no others: those at which clients reach its API, or " +
			"its S3 over TLS.",
		Example: "  dark nodes token edge-fra1 --role edge --reason 'new site'\n  dark nodes token c2 --role control " +
			"--host 192.0.2.2 --host api.example.net",
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			q.Node = args[0]
			return s.nodeToken(c.Context(), &q)
		},
	}
	c.Flags().StringVar(&q.Role, "role", "edge", "edge or control")
	c.Flags().StringSliceVar(&q.Hosts, "host", nil, "name or address in the node's certificate, one or more")
	c.Flags().StringVar(&q.Reason, "reason", "", "why, for the audit")
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions([]string{"edge", "control"},
		cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (s *session) nodeToken(ctx context.Context, q *clusterv1.CreateJoinTokenRequest) error {
	var r *clusterv1.CreateJoinTokenResponse
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Cluster.CreateJoinToken(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	return s.message(r, func() error {
		as, more := "an edge", "--dns IP:53"
		if q.Role == "control" {
			as, more = "a control node", "--transport HOST:7001 --feed HOST:7002 --api HOST:8080"
		}
		fmt.Fprintf(s.Err, "this token is shown once; it is good until %s for one machine named %s, as %s, with an "+
			"empty DIR:\n  darkd %s --dir DIR --join TOKEN --through HOST:PORT %s\n",
			moment(r.ExpireTime), q.Node, as, q.Role, more)
		_, err := fmt.Fprintln(s.Out, r.Token)
		return err
	})
}

func (s *session) nodesRemove() *cobra.Command {
	var yes bool
	var w write
	c := &cobra.Command{
		Use: "remove NAME", Short: "forget a node: it is told nothing any more and must join anew",
		Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeFixed("Node"),
		RunE: func(c *cobra.Command, args []string) error {
			if !yes && !w.dryRun {
				return exit.New(exit.NeedsYes, "the same command with --yes",
					"node %s would be removed; to come back it needs a new token", shortName(args[0]))
			}
			return s.nodeRemove(c.Context(), shortName(args[0]), w)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	w.flags(c)
	return c
}

func (s *session) nodeRemove(ctx context.Context, name string, w write) error {
	var r *clusterv1.DeleteNodeResponse
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Nodes.DeleteNode(ctx, &clusterv1.DeleteNodeRequest{
			Name: "nodes/" + name, RequestId: w.id(),
			Reason: w.reason, ValidateOnly: w.dryRun,
		})
		return err
	})
	if err != nil {
		return err
	}
	return s.message(r, func() error {
		if w.dryRun {
			fmt.Fprintf(s.Out, "node %s would be removed; nothing was changed\n", name)
			return nil
		}
		fmt.Fprintf(s.Out, "node %s removed at revision %d\n", name, r.Revision)
		return nil
	})
}
