package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/edge"
)

// work is what a command does with a store that nobody else has open.
type work func(context.Context, store.Options, func(store.Progress, *store.Damaged)) (store.Progress, error)

// offline is a command over the store of an edge. One that runs does fsck's work itself.
type offline struct {
	dir, output string
	work        work
	scrubs      bool // a running edge can do it
	rebuilds    bool // it writes the index of bodies
	drop, yes   bool
}

// errRunning refuses what has to have the store for itself.
var errRunning = errors.New("the edge is running: stop it first")

// maxListed bounds what is listed of what is damaged; all of it is counted.
const maxListed = 10_000

// result is what -o json prints.
type result struct {
	store.Progress
	Running bool    `json:"running"` // the edge looked itself: counts were not compared
	Dropped uint64  `json:"dropped"`
	Found   []found `json:"found"`
	GivenUp []found `json:"given_up,omitempty"`
	Error   string  `json:"error,omitempty"`
}

type found struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

func newFsck() *cobra.Command {
	o := &offline{work: store.Check, scrubs: true}
	cmd := newOffline(o, "fsck", "Check what an edge keeps for its users: open every seal, compare rows with bodies",
		"An edge that runs is asked to open every seal itself; only of a stopped one are counts compared, too.\n"+
			"--drop gives up what is damaged, in a stopped edge: objects whose rows or bodies do not open, and\n"+
			"ranges of rows that cannot be read. It lists what it gives up, and then recomputes the counts.")
	cmd.Flags().BoolVar(&o.drop, "drop", false, "give up what is damaged; without --yes it is only listed")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "with --drop: do it")
	return cmd
}

func newRebuild() *cobra.Command {
	return newOffline(&offline{work: store.Rebuild, rebuilds: true}, "rebuild",
		"Rebuild an edge's index of bodies from the bodies themselves", "The edge must not be running.")
}

func newOffline(o *offline, name, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		Long: short + ".\n" + long + "\nProgress goes to standard error; the exit code is 1 when something is damaged.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&o.dir, "data", "/var/lib/dark/edge", "`DIR` that the edge lives in, or that of `darkd dev`")
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

func (o *offline) run(ctx context.Context, out, stderr io.Writer) error {
	switch {
	case o.output != "text" && o.output != "json":
		return usageError{fmt.Errorf("output %q: text or json is expected", o.output)}
	case o.yes && !o.drop:
		return usageError{errors.New("--yes is for --drop")}
	}
	dir := o.dir
	if _, err := edge.ReadSelf(dir); errors.Is(err, os.ErrNotExist) {
		dir = filepath.Join(dir, "edge") // darkd dev keeps its edge there
		if _, err := edge.ReadSelf(dir); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s holds no edge: --data is the --dir of an edge, or the directory of darkd dev", o.dir)
		}
	}
	r := result{Found: []found{}}
	l := &listing{to: stderr, last: time.Now()}
	running, err := o.askRunning(ctx, dir, &r, l)
	if !running {
		err = o.stopped(ctx, dir, &r, l)
	}
	if err != nil {
		r.Error = err.Error()
	}
	if perr := o.print(out, &r); perr != nil {
		return perr
	}
	switch {
	case err == nil && r.Damaged > 0 && o.drop && !o.yes:
		err = fmt.Errorf("%d damaged, and nothing was given up: to give up what is listed, say --drop --yes", r.Damaged)
	case err == nil && r.Damaged > 0:
		err = fmt.Errorf("%d damaged", r.Damaged)
	}
	return err
}

// askRunning has an edge that runs look at its store; running is false where none answers.
func (o *offline) askRunning(ctx context.Context, dir string, r *result, l *listing) (running bool, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", edge.LocalSocket(dir))
	if err != nil {
		return false, nil //nolint:nilerr // nobody listens
	}
	defer conn.Close()
	if !o.scrubs || o.drop {
		return true, errRunning
	}
	r.Running = true
	return true, scrubRunning(ctx, conn, r, l)
}

// stopped does the work in the store of an edge that does not run.
func (o *offline) stopped(ctx context.Context, dir string, r *result, l *listing) error {
	opts, buckets, err := edge.OfflineStore(dir, logger(l.to, "warn"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(opts.Dir); err != nil {
		return fmt.Errorf("this edge keeps nothing: %w", err)
	}
	if o.drop && o.yes {
		p, err := store.Drop(ctx, opts, func(p store.Progress, d *store.Damaged) {
			if d != nil && !errors.Is(d.Err, store.ErrKept) {
				l.add(&r.GivenUp, buckets.In(d.Name()), d.Err.Error())
			}
			l.progress(p)
		})
		r.Dropped = p.Damaged
		if err != nil {
			return err
		}
	}
	r.Progress, err = o.work(ctx, opts, func(p store.Progress, d *store.Damaged) {
		if d != nil {
			l.add(&r.Found, buckets.In(d.Name()), d.Err.Error())
		}
		l.progress(p)
	})
	return err
}

// listing gathers what is damaged, and tells of progress once a second.
type listing struct {
	to   io.Writer
	last time.Time
}

func (l *listing) add(to *[]found, what, why string) {
	if len(*to) < maxListed {
		*to = append(*to, found{what, why})
	}
}

func (l *listing) progress(p store.Progress) {
	if time.Since(l.last) >= time.Second {
		l.last = time.Now()
		fmt.Fprintf(l.to, "%d of %d MiB, %d rows, %d extents, %d damaged\n", p.Done>>20, p.Total>>20, p.Rows,
			p.Extents, p.Damaged)
	}
}

func (o *offline) print(w io.Writer, r *result) error {
	if o.output == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	for _, f := range r.GivenUp {
		fmt.Fprintf(w, "given up: %s: %s\n", f.What, f.Why)
	}
	if o.drop && o.yes && (r.Error == "" || r.Dropped > 0) {
		fmt.Fprintf(w, "%s given up; what is left:\n", numbered(r.Dropped, "thing"))
	}
	for _, f := range r.Found {
		fmt.Fprintf(w, "damaged: %s: %s\n", f.What, f.Why)
	}
	if r.Error != "" && r.Total == 0 {
		return nil // nothing was looked at: there is nothing to count
	}
	if r.Running {
		fmt.Fprintln(w, "the edge is running and looked itself: counts were not compared")
	}
	if o.rebuilds {
		_, err := fmt.Fprintf(w, "rebuilt the index of bodies from %s in %s: %d damaged\n",
			numbered(r.Extents, "extent"), numbered(r.Done, "octet"), r.Damaged)
		return err
	}
	_, err := fmt.Fprintf(w, "checked %s, %s, %s: %d damaged\n",
		numbered(r.Rows, "row"), numbered(r.Extents, "extent"), numbered(r.Done, "octet"), r.Damaged)
	return err
}

// numbered writes "1 row", "2 rows".
func numbered(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
