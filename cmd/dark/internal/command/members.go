package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
)

// shortName is the last part of a name: "edge-1" of "nodes/edge-1".
func shortName(name string) string { return name[strings.LastIndex(name, "/")+1:] }

// Members is about the control nodes as consensus sees them.
func Members(s *session) *cobra.Command {
	return group("members", "show who decides; remove a control node, hand leadership over",
		s.membersList(), s.membersRemove(), s.membersTransfer())
}

func (s *session) membersList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "list the control nodes", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := s.members(c.Context())
			if err != nil {
				return err
			}
			if s.output == "name" {
				for _, m := range r.Members {
					fmt.Fprintln(s.Out, m.Name)
				}
				return nil
			}
			return s.message(r, func() error {
				t := render.NewTable("MEMBER", "SUFFRAGE", "STATE", "LAG", "ADDRESS", "ID")
				for _, m := range r.Members {
					t.Row(m.Name, m.Suffrage, memberState(m), fmt.Sprint(m.Lag), m.Address, m.Id)
				}
				return errors.Join(t.Flush(s.Out), s.tellMajority(r.Members))
			})
		},
	}
}

func memberState(m *clusterv1.Member) string {
	switch {
	case m.Leader:
		return "leads"
	case m.Answers:
		return "answers"
	}
	return "silent"
}

// tellMajority says what it means that members do not answer, and what to do about it.
func (s *session) tellMajority(all []*clusterv1.Member) error {
	var silent []string
	voters, answer := 0, 0
	for _, m := range all {
		switch {
		case m.Suffrage != "voter":
		case m.Answers:
			voters, answer = voters+1, answer+1
		default:
			voters++
			silent = append(silent, m.Name)
		}
	}
	if len(silent) == 0 {
		return nil
	}
	names := strings.Join(silent, ", ")
	if 2*answer > voters {
		_, err := fmt.Fprintf(s.Err, "%d of %d control nodes answer, which is a majority. Start %s again; one that "+
			"is gone for good: dark members remove NAME --yes\n", answer, voters, names)
		return err
	}
	_, err := fmt.Fprintf(s.Err, `The majority is lost: %d of %d control nodes answer, and %d are needed.
  no change is accepted, and reads need --stale; edges serve what they have, for 14 days at least
  start again, each where it stands and with its data: %s; or mend the network: then all goes on by itself
  do not wipe a member, run darkd rejoin or darkd init; bringing a cluster back from fewer than a majority is not built yet
  docs/operations/quorum.md has each step
`, answer, voters, voters/2+1, names)
	return err
}

func (s *session) members(ctx context.Context) (r *clusterv1.ListMembersResponse, err error) {
	err = s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Cluster.ListMembers(ctx, &clusterv1.ListMembersRequest{})
		return err
	})
	return r, err
}

func (s *session) membersRemove() *cobra.Command {
	var yes bool
	var reason string
	c := &cobra.Command{
		Use: "remove NAME", Short: "take a control node out, dead or alive: its vote, its node, its certificate",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeMembers,
		RunE: func(c *cobra.Command, args []string) error {
			if !yes {
				return exit.New(exit.NeedsYes, "the same command with --yes",
					"member %s would be taken out; with fewer members fewer may fail", args[0])
			}
			return s.removeMember(c.Context(), args[0], reason)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	c.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return c
}

func (s *session) removeMember(ctx context.Context, name, reason string) error {
	err := s.call(ctx, func(ctx context.Context, c *client.Client) error {
		_, err := c.Cluster.RemoveMember(ctx, &clusterv1.RemoveMemberRequest{Name: name, Reason: reason})
		return err
	})
	if err != nil {
		return err
	}
	return s.value(map[string]any{"removed": name}, func() error {
		_, err := fmt.Fprintf(s.Out, "member %s is out\n", name)
		return err
	})
}

func (s *session) membersTransfer() *cobra.Command {
	return &cobra.Command{
		Use: "transfer [TO]", Short: "hand leadership over", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: s.completeMembers,
		RunE: func(c *cobra.Command, args []string) error {
			q := &clusterv1.TransferLeadershipRequest{To: strings.Join(args, "")}
			var r *clusterv1.TransferLeadershipResponse
			err := s.call(c.Context(), func(ctx context.Context, c *client.Client) (err error) {
				r, err = c.Cluster.TransferLeadership(ctx, q)
				return err
			})
			if err != nil {
				return err
			}
			return s.message(r, func() error {
				_, err := fmt.Fprintf(s.Out, "%s leads\n", r.Leader)
				return err
			})
		},
	}
}

// Status tells how the installation is.
func Status(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "tell how the installation is", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var r *clusterv1.GetStatusResponse
			err := s.call(c.Context(), func(ctx context.Context, c *client.Client) (err error) {
				r, err = c.Cluster.GetStatus(ctx, &clusterv1.GetStatusRequest{})
				return err
			})
			if err != nil {
				return err
			}
			return s.message(r, func() error { return s.statusTable(r) })
		},
	}
}

func (s *session) statusTable(r *clusterv1.GetStatusResponse) error {
	leader := firstOf(r.Leader, "none: no change is accepted; dark members shows who does not answer")
	_, err := fmt.Fprintf(s.Out, "cluster    %s, epoch %d\nanswered   %s, version %s\nleader     %s\nrevision   "+
		"%d\npublished  %d\nhistory    from revision %d\n",
		r.ClusterId, r.Epoch, r.Node, r.Version, leader, r.Revision, r.Published, r.Oldest)
	return err
}
