package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
)

// rotation is a command that has the server make a new version of a key.
type rotation struct {
	kind, what string // "EncryptionKey" is at "rotation" 3
	use, short string
	// rotate asks for the rotation after the one it reads, under the etag that it read: two who
	// rotate at once do not rotate but once. It returns what is there then.
	rotate func(ctx context.Context, c *client.Client, name string, w write) (made, uint32, error)
}

func (s *session) rotates(r rotation) *cobra.Command {
	var w write
	c := &cobra.Command{
		Use: r.use, Short: r.short, Args: cobra.ExactArgs(1), ValidArgsFunction: s.completeFixed(r.kind),
		RunE: func(c *cobra.Command, args []string) error {
			var m made
			var n uint32
			err := s.call(c.Context(), func(ctx context.Context, c *client.Client) (err error) {
				m, n, err = r.rotate(ctx, c, args[0], w)
				return err
			})
			if err != nil {
				return err
			}
			return s.message(m, func() error {
				word := "is"
				if w.dryRun {
					word = "would be"
				}
				_, err := fmt.Fprintf(s.Out, "%s %s %s at %s %d\n", r.kind, m.GetName(), word, r.what, n)
				return err
			})
		},
	}
	w.flags(c)
	return c
}
