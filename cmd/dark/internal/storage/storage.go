// Package storage is "dark storage": copying, syncing, listing and removing objects over
// the S3 protocol (AWS Signature Version 4), and encryption on this side of the wire
// (age-encryption.org/v1).
//
// An engine is one run. Its goroutines are the workers of one pool, which the run waits
// for; a journal of an unfinished upload and the temporary file of an unfinished download
// are each owned by the one worker that handles that item. What is printed goes through
// one report with a lock of its own.
package storage

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

// Env is what the commands need of the program around them.
type Env struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// Output is what -o says when a command runs: table, json, yaml or name.
	Output func() string
	// Endpoint finds where the S3 endpoint is and the keys to it.
	Endpoint func() (Endpoint, error)
	// Terminal tells whether a stream is one.
	Terminal func(any) bool
	// Columns is how many characters a line of a terminal has; 0 where that is not known.
	Columns func(any) int
	// Buckets lists the names of buckets that begin so, for completion.
	Buckets func(c *cobra.Command, word string) []string

	disk disk // of tests; nil is the system's
}

// Commands returns the commands in the order of the help.
func Commands(env *Env) []*cobra.Command {
	return []*cobra.Command{
		listCommand(env), copyCommand(env), syncCommand(env), moveCommand(env), removeCommand(env),
		undeleteCommand(env), catCommand(env), statCommand(env), presignCommand(env), usageCommand(env),
		keygenCommand(env),
		elsewhere("mb", "dark buckets create"), elsewhere("rb", "dark buckets delete"),
	}
}

// elsewhere is a word that people bring from other programs: it says what it is called here.
func elsewhere(word, here string) *cobra.Command {
	return &cobra.Command{
		Use: word + " URL", Short: here, Hidden: true, Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			name := "NAME"
			if len(args) == 1 {
				if l, err := parseRemote(args[0]); err == nil {
					name = l.bucket
				}
			}
			return usage(here+" "+name, "dark storage has no %s: buckets are made and deleted by dark buckets", word)
		},
	}
}

// engine is one run: its connection, how much it does at once, and what it tells.
type engine struct {
	*Env
	*client
	report *report
	// slots bounds the transfers that run at once, parts of large objects among them.
	slots chan struct{}
	// waiting is how many tasks may be under way beyond the slots: downloads that wait for the disk.
	waiting int
	settler settler
}

// maxParallel bounds --parallel: more connections only queue at the other end.
const maxParallel = 256

func (e *Env) engine(l limits) (*engine, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	c, err := e.connect(l.bandwidth)
	if err != nil {
		return nil, err
	}
	x := &engine{Env: e, client: c, report: newReport(e), slots: make(chan struct{}, l.parallel)}
	if x.settler.disk = e.disk; e.disk == nil {
		x.settler.disk = systemDisk{}
	}
	return x, nil
}

// acquire waits for a slot; the caller gives it back with release.
func (e *engine) acquire(ctx context.Context) error {
	select {
	case e.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *engine) release() { <-e.slots }
