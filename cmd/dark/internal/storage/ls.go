package storage

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

func listCommand(env *Env) *cobra.Command {
	var recursive, versions bool
	var f filter
	c := &cobra.Command{
		Use: "ls [URL]", Short: "list buckets, or the objects under a prefix",
		Long: "List buckets, or the objects under a prefix. Folders end in /. Names with characters that a\n" +
			"terminal would take for commands are quoted; -o json has them as they are.\n" +
			"With --versions each version has a line with its id, the newest of an object first; \"removed\" is a\n" +
			"delete marker, which hides the versions below it.",
		Example: "  dark storage ls\n  dark storage ls darkstorage://docs/2026/\n  dark storage ls -r " +
			"darkstorage://docs --include '*.pdf' -o name\n" +
			"  dark storage ls --versions darkstorage://docs/report.pdf",
		Args: cobra.MaximumNArgs(1), ValidArgsFunction: env.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.compile(); err != nil {
				return err
			}
			if versions && len(args) == 0 {
				return usage("dark storage ls --versions darkstorage://BUCKET/", "--versions is of what is in a bucket")
			}
			e, err := env.engine(limits{parallel: 1})
			if err != nil {
				return err
			}
			defer e.report.bar.end()
			if versions {
				return e.listVersions(c.Context(), args[0], recursive, &f)
			}
			if len(args) == 0 {
				return e.listBuckets(c.Context())
			}
			return e.list(c.Context(), args[0], recursive, &f)
		},
	}
	c.Flags().BoolVarP(&recursive, "recursive", "r", false, "all that is under the prefix")
	c.Flags().BoolVar(&versions, "versions", false, "all versions of objects, and delete markers")
	f.flags(c)
	return c
}

const timeFormat = "2006-01-02 15:04:05"

func (e *engine) listBuckets(ctx context.Context) error {
	list, err := e.ListBuckets(ctx)
	if err != nil {
		return explain(err)
	}
	for _, b := range list {
		url := scheme + b.Name + "/"
		if e.report.format == "table" {
			_, err = fmt.Fprintf(e.Out, "%s  %s\n", b.CreationDate.Local().Format(timeFormat), url)
		} else {
			err = e.report.write(Item{Action: "list", Source: url, Time: b.CreationDate.UTC().Format(time.RFC3339Nano)})
		}
		if err != nil {
			return err
		}
	}
	if len(list) == 0 && e.report.format == "table" {
		fmt.Fprintln(e.Err, "no bucket yet; dark buckets create NAME makes one")
	}
	return nil
}

func (e *engine) list(ctx context.Context, url string, recursive bool, f *filter) error {
	l, err := parseRemote(url)
	if err != nil {
		return err
	}
	n := 0
	for o, err := range e.objects(ctx, l, l.key, recursive) {
		if err != nil {
			return err
		}
		if !f.match(o.at.key[strings.LastIndexByte(l.key, '/')+1:]) {
			continue
		}
		n++
		if err := e.listed(l, o); err != nil {
			return err
		}
	}
	return nothingUnder(l, n)
}

// nothingUnder refuses a prefix under which n, nothing, was found.
func nothingUnder(l location, n int) error {
	if n == 0 && l.key != "" {
		return exit.New(exit.NotFound, "dark storage ls "+scheme+l.bucket+"/", "there is nothing under %s",
			show(l.String()))
	}
	return nil
}

func (e *engine) listed(in location, o entry) error {
	folder := o.etag == "" && strings.HasSuffix(o.at.key, "/")
	if e.report.format != "table" {
		i := Item{Action: "list", Source: o.at.String(), Bytes: o.size, ETag: o.etag}
		if !folder {
			i.Time = o.modified.UTC().Format(time.RFC3339Nano)
		}
		return e.report.write(i)
	}
	name := show(o.at.key[strings.LastIndexByte(in.key, '/')+1:])
	if folder {
		_, err := fmt.Fprintf(e.Out, "%-*s  %10s  %s\n", len(timeFormat), "", "", name)
		return err
	}
	_, err := fmt.Fprintf(e.Out, "%s  %10s  %s\n", o.modified.Local().Format(timeFormat), size(o.size), name)
	return err
}

func usageCommand(env *Env) *cobra.Command {
	var f filter
	c := &cobra.Command{
		Use: "du URL...", Short: "count the objects under a prefix, and their bytes",
		Example: "  dark storage du darkstorage://docs/2026/ --include '*.pdf'",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: env.completeObjects,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.compile(); err != nil {
				return err
			}
			e, err := env.engine(limits{parallel: 1})
			if err != nil {
				return err
			}
			defer e.report.bar.end()
			for _, a := range args {
				if err := e.usage(c.Context(), a, &f); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f.flags(c)
	return c
}

func (e *engine) usage(ctx context.Context, url string, f *filter) error {
	l, err := parseRemote(url)
	if err != nil {
		return err
	}
	var n, bytes int64
	for o, err := range e.objects(ctx, l, l.key, true) {
		if err != nil {
			return err
		}
		if f.match(o.at.key[strings.LastIndexByte(l.key, '/')+1:]) {
			n, bytes = n+1, bytes+o.size
		}
	}
	if e.report.format == "table" {
		_, err := fmt.Fprintf(e.Out, "%10s  %8d objects  %s\n", size(bytes), n, show(l.String()))
		return err
	}
	if e.report.format == "name" {
		return e.report.write(Item{Source: l.String()})
	}
	return writeJSON(e.Out, map[string]any{"source": l.String(), "objects": n, "bytes": bytes})
}
