package command

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
)

// follow waits until every edge has a revision, telling of each how long it took. It
// fails when an edge refused the change, or when time runs out, naming whom it awaits.
func (s *session) follow(ctx context.Context, revision uint64, tell bool) ([]any, error) {
	c, err := s.dial()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	stream, err := c.Cluster.Wait(ctx, &clusterv1.WaitRequest{Revision: revision})
	if err != nil {
		return nil, err
	}
	edges, refusals, waiting := []any{}, []string(nil), []string(nil)
	for {
		r, err := stream.Recv()
		if isEOF(err) {
			return edges, refusedBy(refusals)
		}
		if err != nil {
			return edges, stillWaiting(err, revision, waiting)
		}
		waiting = r.Waiting
		if r.Node == "" {
			continue
		}
		edges = append(edges, map[string]any{"node": r.Node, "milliseconds": r.Milliseconds, "refusal": r.Refusal})
		if r.Refusal != "" {
			refusals = append(refusals, r.Node+": "+r.Refusal)
		}
		if tell {
			fmt.Fprintln(s.Out, arrival(r))
		}
	}
}

func arrival(r *clusterv1.WaitResponse) string {
	line := fmt.Sprintf("  %s has it after %d ms", r.Node, r.Milliseconds)
	if r.Refusal != "" {
		line = fmt.Sprintf("  %s refused it: %s", r.Node, r.Refusal)
	}
	if len(r.Waiting) > 0 {
		line += fmt.Sprintf(" (%d to go)", len(r.Waiting))
	}
	return line
}

func refusedBy(refusals []string) error {
	if refusals == nil {
		return nil
	}
	return &exit.Error{
		Code: exit.Failed, Text: "an edge refused the change and keeps its last good state",
		Details: refusals, Next: "dark nodes",
	}
}

// stillWaiting: the change is committed whatever happened to the waiting.
func stillWaiting(err error, revision uint64, waiting []string) error {
	if status.Code(err) != codes.DeadlineExceeded {
		return err
	}
	who := "the edges"
	if len(waiting) > 0 {
		who = strings.Join(waiting, ", ")
	}
	return exit.New(exit.Unavailable, "dark nodes; a longer --timeout",
		"revision %d is committed, but in the time given it did not reach %s", revision, who)
}
