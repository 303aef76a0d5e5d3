// Command dark is what people type: it tells an installation of Dark what should be true
// and shows what is. It speaks gRPC to the control plane and S3 to the
// edges, and holds no state but the contexts file and the journals of unfinished uploads.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/command"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// commands are all that dark can do, in the order of its help.
var commands = []command.Constructor{
	command.Apply, command.Get, command.Describe, command.Delete,
	command.History, command.Diff, command.Rollback, command.Watch,
	command.Zones, command.Records, command.DNS,
	command.Storage, command.Buckets, command.AccessKeys, command.EncryptionKeys,
	command.Keys, command.Organizations,
	command.Nodes, command.Members, command.Status, command.Audit,
	command.Context, command.Version,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends what waits where no context reaches: the open of a pipe
	if e := exit.Of(run(ctx, os.Args[1:])); e != nil {
		e.Print(os.Stderr)
		os.Exit(int(e.Code))
	}
}

func run(ctx context.Context, args []string) error {
	return command.Run(ctx, args, command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, commands...)
}
