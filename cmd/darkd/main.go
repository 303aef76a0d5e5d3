// Darkd is the server of Dark: control nodes, edges, and the commands that begin,
// check and repair them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	keepToMemory()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "darkd:", err)
		var u usageError
		if errors.As(err, &u) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	root := &cobra.Command{
		Use:           "darkd",
		Short:         "The server of Dark: what decides, and what serves at the edge",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newDev(), newInit(), newControl(), newEdge(), newDoctor(), newRejoin(), newFsck(), newRebuild(), newRescue(),
		newVersion(),
		notThere("restore", "Bring a cluster back from a backup"),
	)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// usageError is a command that was not understood: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// notThere is a command that the design promises and this version does not have.
func notThere(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short + " (comes with a later version)",
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("%s: this version does not have it; nothing was done", name)
		},
	}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), version())
			return err
		},
	}
}
