package storage

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// version is one version of an object, or a delete marker: what stands for an object that was removed
// in a bucket with versions (AWS S3 user guide, "Working with delete markers").
type version struct {
	entry
	deleted, latest bool
}

// versions yields all versions under a prefix, in the order of their keys, and of one key the newest
// first. Without recursive what is in folders is left out, and the folders are yielded.
func (c *client) versions(ctx context.Context, in location, prefix string, recursive bool) iter.Seq2[version, error] {
	return func(yield func(version, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		o := minio.ListObjectsOptions{Prefix: prefix, Recursive: recursive, MaxKeys: listPage, WithVersions: true}
		for i := range c.ListObjectsIter(ctx, in.bucket, o) {
			if i.Err != nil {
				yield(version{}, explain(i.Err))
				return
			}
			v := version{entry: entryOf(in, prefix, &i), deleted: i.IsDeleteMarker, latest: i.IsLatest}
			v.version = i.VersionID
			if !yield(v, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(version{}, err)
		}
	}
}

func (e *engine) listVersions(ctx context.Context, url string, recursive bool, f *filter) error {
	l, err := parseRemote(url)
	if err != nil {
		return err
	}
	n := 0
	for v, err := range e.versions(ctx, l, l.key, recursive) {
		if err != nil {
			return err
		}
		if !f.match(v.at.key[strings.LastIndexByte(l.key, '/')+1:]) {
			continue
		}
		n++
		if err := e.listedVersion(l, v); err != nil {
			return err
		}
	}
	return nothingUnder(l, n)
}

func (e *engine) listedVersion(in location, v version) error {
	switch {
	case v.version == "": // a folder
		return e.listed(in, v.entry)
	case e.report.format == "name":
		_, err := fmt.Fprintf(e.Out, "%s\t%s\n", show(v.at.String()), v.version)
		return err
	case e.report.format != "table":
		return e.report.write(Item{
			Action: "list", Source: v.at.String(), Bytes: v.size, ETag: v.etag, Version: v.version,
			Deleted: v.deleted, Latest: v.latest, Time: v.modified.UTC().Format(time.RFC3339Nano),
		})
	}
	what := size(v.size)
	if v.deleted {
		what = "removed"
	}
	name := show(v.at.key[strings.LastIndexByte(in.key, '/')+1:])
	_, err := fmt.Fprintf(e.Out, "%s  %10s  %s  %s\n", v.modified.Local().Format(timeFormat), what, v.version, name)
	return err
}

// undeleting is one run of undelete.
type undeleting struct {
	*Env
	filter
	recursive, dryRun bool
	parallel          int
	engine            *engine
}

func undeleteCommand(env *Env) *cobra.Command {
	u := &undeleting{Env: env}
	c := &cobra.Command{
		Use: "undelete URL...", Short: "bring back objects that were removed in a bucket with versions",
		Long: "Bring back objects that were removed in a bucket with versions: the delete markers that hide an\n" +
			"object's newest version are removed. What was removed with its versions, or in a bucket without\n" +
			"versions, is gone. All that is under a prefix takes -r.",
		Example: "  dark storage undelete darkstorage://docs/draft.pdf\n  dark storage undelete -r " +
			"darkstorage://docs/2026/ --dry-run",
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: env.completeObjects,
		RunE: func(c *cobra.Command, args []string) error { return u.run(c.Context(), args) },
	}
	f := c.Flags()
	f.BoolVarP(&u.recursive, "recursive", "r", false, "all that is under a prefix")
	f.BoolVar(&u.dryRun, "dry-run", false, "show what would be brought back; change nothing")
	f.IntVar(&u.parallel, "parallel", defaultParallel, "objects at once")
	u.filter.flags(c)
	return c
}

func (u *undeleting) run(ctx context.Context, args []string) (err error) {
	list, err := u.parse(args)
	if err != nil {
		return err
	}
	if u.engine, err = u.Env.engine(limits{parallel: u.parallel}); err != nil {
		return err
	}
	defer u.engine.report.bar.end()
	return u.engine.all(ctx, func(yield func(task, error) bool) {
		for _, l := range list {
			if !u.recursive {
				if !yield(u.one(l), nil) {
					return
				}
				continue
			}
			for h, err := range u.hidden(ctx, l, l.prefix()) {
				if err == nil && !u.match(h.at.key[len(l.prefix()):]) {
					continue
				}
				if !yield(u.task(h), err) || err != nil {
					return
				}
			}
		}
	})
}

func (u *undeleting) parse(args []string) (list []location, err error) {
	for _, a := range args {
		l, err := parseRemote(a)
		if err != nil {
			return nil, err
		}
		if l.folder() && !u.recursive {
			return nil, usage("-r for all that is under it", "%s is a prefix, not an object", show(a))
		}
		list = append(list, l)
	}
	return list, u.compile()
}

// hidden is an object's newest version, and the delete markers above it.
type hidden struct {
	version
	markers []string
}

// hidden yields what delete markers hide under a prefix.
func (u *undeleting) hidden(ctx context.Context, in location, prefix string) iter.Seq2[hidden, error] {
	return func(yield func(hidden, error) bool) {
		var key string
		var markers []string
		for v, err := range u.engine.versions(ctx, in, prefix, true) {
			if err != nil {
				yield(hidden{}, err)
				return
			}
			if v.at.key != key {
				key, markers = v.at.key, nil
			}
			switch {
			case v.deleted && (v.latest || markers != nil):
				markers = append(markers, v.version)
			case markers != nil:
				if !yield(hidden{v, slices.Clone(markers)}, nil) {
					return
				}
				markers = nil
			}
		}
	}
}

// one brings back one object by its name.
func (u *undeleting) one(l location) task {
	t := task{item: Item{Action: "undelete", Source: l.String()}}
	t.do = func(ctx context.Context) (Item, error) {
		for h, err := range u.hidden(ctx, l, l.key) {
			if err != nil {
				return t.item, err
			}
			if h.at.key == l.key {
				return u.task(h).do(ctx)
			}
			break // keys come in order: the name itself would have been the first
		}
		if _, err := u.engine.stat(ctx, l, ""); err != nil {
			return t.item, exit.New(exit.NotFound, "dark storage ls --versions "+scheme+l.bucket+"/",
				"%s has no version that could be brought back", show(l.String()))
		}
		return t.item, exit.New(exit.Conflict, "dark storage cp --version ID brings an older version back",
			"%s was not removed: it is there", show(l.String()))
	}
	return t
}

func (u *undeleting) task(h hidden) task {
	item := Item{
		Action: "undelete", Source: h.at.String(), Bytes: h.size, ETag: h.etag, Version: h.version.version,
		DryRun: u.dryRun,
	}
	return task{item: item, do: func(ctx context.Context) (Item, error) {
		if u.dryRun {
			return item, nil
		}
		if err := u.engine.acquire(ctx); err != nil {
			return item, err
		}
		defer u.engine.release()
		for _, id := range h.markers {
			if err := u.engine.RemoveObject(ctx, h.at.bucket, h.at.key,
				minio.RemoveObjectOptions{VersionID: id}); err != nil {
				return item, err
			}
		}
		return item, nil
	}}
}

// completeVersions completes --version with those of the first object that is named.
func (e *Env) completeVersions(c *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	l, err := parseRemote(args[0])
	if err != nil || l.folder() {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	at, err := e.connect(0)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
	defer cancel()
	var out []string
	for v, err := range at.versions(ctx, l, l.key, true) {
		if err != nil || v.at.key != l.key || len(out) == listPage {
			break
		}
		if !v.deleted && strings.HasPrefix(v.version, word) {
			out = append(out, fmt.Sprintf("%s\t%s, %s", v.version, v.modified.Local().Format(timeFormat), size(v.size)))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completionTimeout is how long a shell waits for words.
const completionTimeout = 3 * time.Second
