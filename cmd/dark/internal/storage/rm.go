package storage

import (
	"context"
	"iter"

	"github.com/minio/minio-go/v7"
	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// removing is one run of rm.
type removing struct {
	*Env
	filter
	recursive, dryRun, yes bool
	parallel               int
	engine                 *engine
}

func removeCommand(env *Env) *cobra.Command {
	r := &removing{Env: env}
	c := &cobra.Command{
		Use: "rm URL...", Short: "remove objects",
		Long: "Remove objects. All that is under a prefix takes -r, and --yes. In a bucket with versions\n" +
			"an object's older versions stay, under a delete marker: dark storage undelete brings it back.",
		Example: "  dark storage rm darkstorage://docs/draft.pdf\n  dark storage rm -r darkstorage://docs/2019/ " +
			"--dry-run",
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: env.completeObjects,
		RunE: func(c *cobra.Command, args []string) error { return r.run(c.Context(), args) },
	}
	f := c.Flags()
	f.BoolVarP(&r.recursive, "recursive", "r", false, "all that is under a prefix")
	f.BoolVar(&r.dryRun, "dry-run", false, "show what would be removed; remove nothing")
	f.BoolVar(&r.yes, "yes", false, "do remove all that is under a prefix")
	f.IntVar(&r.parallel, "parallel", defaultParallel, "removals at once")
	r.filter.flags(c)
	return c
}

func (r *removing) run(ctx context.Context, args []string) (err error) {
	var list []location
	for _, a := range args {
		l, err := parseRemote(a)
		if err != nil {
			return err
		}
		if l.folder() && !r.recursive {
			return usage("-r for all that is under it", "%s is a prefix, not an object", show(a))
		}
		list = append(list, l)
	}
	if err := r.compile(); err != nil {
		return err
	}
	if r.engine, err = r.Env.engine(limits{parallel: r.parallel}); err != nil {
		return err
	}
	defer r.engine.report.bar.end()
	if r.recursive && !r.yes && !r.dryRun {
		return r.confirm(ctx, list)
	}
	return r.engine.all(ctx, r.tasks(ctx, list))
}

// maxCount is up to where objects are counted to say how many there are.
const maxCount = 100_000

func (r *removing) confirm(ctx context.Context, list []location) error {
	var n, bytes int64
	more := ""
	for _, l := range list {
		for e, err := range r.under(ctx, l) {
			if err != nil {
				return explain(err)
			}
			n, bytes = n+1, bytes+e.size
			if n == maxCount {
				more = " and more"
				break
			}
		}
	}
	if n == 0 {
		return exit.New(exit.NotFound, byCode["NoSuchKey"].next, "there is nothing under %s", show(list[0].String()))
	}
	noun := "objects"
	if n == 1 {
		noun = "object"
	}
	return exit.New(exit.NeedsYes, "the same command with --dry-run shows them, with --yes removes them",
		"%d %s%s, %s, would be removed", n, noun, more, size(bytes))
}

func (r *removing) under(ctx context.Context, l location) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for e, err := range r.engine.objects(ctx, l, l.prefix(), true) {
			if err == nil && !r.match(e.rel) {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (r *removing) tasks(ctx context.Context, list []location) iter.Seq2[task, error] {
	return func(yield func(task, error) bool) {
		for _, l := range list {
			if !r.recursive {
				if !yield(r.one(l), nil) {
					return
				}
				continue
			}
			for t, err := range r.engine.removals(r.under(ctx, l), r.dryRun) {
				if !yield(t, err) || err != nil {
					return
				}
			}
		}
	}
}

// one removes an object. S3 is content when there is none; who names one wants to know.
func (r *removing) one(l location) task {
	t := task{item: Item{Action: "remove", Source: l.String()}}
	t.do = func(ctx context.Context) (Item, error) {
		if err := r.engine.acquire(ctx); err != nil {
			return t.item, err
		}
		defer r.engine.release()
		done := t.item
		o, err := r.engine.stat(ctx, l, "")
		if err != nil {
			return done, err
		}
		done.Bytes, done.ETag = o.size, o.etag
		if r.dryRun {
			done.DryRun = true
			return done, nil
		}
		return done, r.engine.RemoveObject(ctx, l.bucket, l.key, minio.RemoveObjectOptions{})
	}
	return t
}
