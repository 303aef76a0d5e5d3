package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/edge"
)

// offline is a command over the store of an edge that is not running.
type offline struct {
	dir, output string
	work        func(context.Context, store.Options, func(store.Progress, *store.Damaged)) (store.Progress, error)
}

// maxListed bounds what is listed of what is damaged; all of it is counted.
const maxListed = 10_000

// result is what -o json prints.
type result struct {
	Done    uint64  `json:"bytes"`
	Extents uint64  `json:"extents"`
	Rows    uint64  `json:"rows"`
	Damaged uint64  `json:"damaged"`
	Found   []found `json:"found"`
	Error   string  `json:"error,omitempty"`
}

type found struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

func newFsck() *cobra.Command {
	return newOffline("fsck", "Check what an edge keeps for its users: open every seal, compare rows with bodies",
		store.Check)
}

func newRebuild() *cobra.Command {
	return newOffline("rebuild", "Make an edge's index of bodies anew from the bodies themselves", store.Rebuild)
}

func newOffline(name, short string, work func(context.Context, store.Options,
	func(store.Progress, *store.Damaged)) (store.Progress, error),
) *cobra.Command {
	o := offline{work: work}
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		Long: short + ".\nThe edge must not be running. Progress goes to standard error; the exit code is 1 when " +
			"something is damaged.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&o.dir, "data", "/var/lib/dark/edge", "`DIR` that the edge lives in, or that of `darkd dev`")
	cmd.Flags().StringVarP(&o.output, "output", "o", "text", "text or json")
	return cmd
}

func (o *offline) run(ctx context.Context, out, stderr io.Writer) error {
	if o.output != "text" && o.output != "json" {
		return usageError{fmt.Errorf("output %q: text or json is expected", o.output)}
	}
	dir := o.dir
	if _, err := edge.ReadSelf(dir); errors.Is(err, os.ErrNotExist) {
		dir = filepath.Join(dir, "edge") // darkd dev keeps its edge there
	}
	opts, err := edge.OfflineStore(dir, logger(stderr, "warn"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(opts.Dir); err != nil {
		return fmt.Errorf("this edge keeps nothing: %w", err)
	}
	r := result{Found: []found{}}
	last := time.Now()
	p, err := o.work(ctx, opts, func(p store.Progress, d *store.Damaged) {
		if d != nil && len(r.Found) < maxListed {
			r.Found = append(r.Found, found{d.Name(), d.Err.Error()})
		}
		if time.Since(last) >= time.Second {
			last = time.Now()
			fmt.Fprintf(stderr, "%d of %d MiB, %d rows, %d extents, %d damaged\n", p.Done>>20, p.Total>>20, p.Rows,
				p.Extents, p.Damaged)
		}
	})
	r.Done, r.Extents, r.Rows, r.Damaged = p.Done, p.Extents, p.Rows, p.Damaged
	if err != nil {
		r.Error = err.Error()
	}
	if perr := o.print(out, r); perr != nil {
		return perr
	}
	if err == nil && p.Damaged > 0 {
		err = fmt.Errorf("%d damaged", p.Damaged)
	}
	return err
}

func (o *offline) print(w io.Writer, r result) error {
	if o.output == "json" {
		return json.NewEncoder(w).Encode(r)
	}
	for _, f := range r.Found {
		fmt.Fprintf(w, "damaged: %s: %s\n", f.What, f.Why)
	}
	_, err := fmt.Fprintf(w, "%s, %s, %s: %d damaged\n",
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
