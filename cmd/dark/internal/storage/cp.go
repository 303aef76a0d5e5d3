package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/minio/minio-go/v7"
	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// copying is one run of cp or mv.
type copying struct {
	*Env
	filter
	opening
	linking
	describing
	limits
	recursive, dryRun, move bool
	version                 string // of the source
	encrypt, encryptFiles   []string

	engine *engine
	how    sending
	to     location
	roots  []*os.Root // opened in this run
}

const defaultParallel = 8

const copyHelp = `SOURCE and TARGET are paths, darkstorage://BUCKET/KEY (s3:// as well), or - for standard
input and output; one of them is in a bucket. A directory, or what is under a prefix, takes
-r: its content goes under the target, without its own name. A target that ends in /, or is
a directory, keeps the source's last name.

An upload that was interrupted goes on when the same command runs again: parts that are
there and equal are not sent twice (objects above 16 MiB; not from standard input, and not
with --encrypt, where each run encrypts anew). So does a download: what arrived waits
beside the target as .dark-….part, and goes on only with bytes of the same version.

With --encrypt the bytes are encrypted here, for age recipients: the server never sees them,
nor can it help when the identity file is lost. Anyone who knows a recipient can encrypt to
it: decryption proves who may read, not who wrote.`

func copyCommand(env *Env) *cobra.Command {
	cp := &copying{Env: env}
	c := &cobra.Command{
		Use: "cp SOURCE... TARGET", Short: "copy files and objects", Long: "Copy files and objects.\n\n" + copyHelp,
		Example: "  dark storage cp report.pdf darkstorage://docs/2026/\n  dark storage cp -r " +
			"darkstorage://docs/2026/ ./2026\n" +
			"  pg_dump app | dark storage cp - darkstorage://backups/app.sql --encrypt age1…\n" +
			"  dark storage cp darkstorage://backups/app.sql - --decrypt -i backup.key | psql app\n" +
			"  dark storage cp --version ID darkstorage://docs/a.pdf darkstorage://docs/a.pdf   # the old one again",
		Args: cobra.MinimumNArgs(2), ValidArgsFunction: env.completeLocations,
		RunE: func(c *cobra.Command, args []string) error { return cp.run(c.Context(), args) },
	}
	cp.common(c)
	cp.opening.flags(c)
	env.versionFlag(c, &cp.version)
	c.Flags().StringArrayVar(&cp.encrypt, "encrypt", nil,
		"encrypt for this age recipient (age1…) before it is sent; may be repeated")
	c.Flags().StringArrayVarP(&cp.encryptFiles, "recipients-file", "R", nil,
		"encrypt for the recipients in this file, one a line")
	return c
}

func moveCommand(env *Env) *cobra.Command {
	cp := &copying{Env: env, move: true}
	c := &cobra.Command{
		Use: "mv SOURCE... TARGET", Short: "move files and objects: copy, then remove the source",
		Long: "Move files and objects: each source is removed when its target is complete.\n\nSOURCE and TARGET " +
			"are as with dark storage cp.",
		Example: "  dark storage mv darkstorage://docs/draft.pdf darkstorage://docs/final.pdf\n  dark storage mv -r " +
			"./spool/ darkstorage://archive/spool/",
		Args: cobra.MinimumNArgs(2), ValidArgsFunction: env.completeLocations,
		RunE: func(c *cobra.Command, args []string) error { return cp.run(c.Context(), args) },
	}
	cp.common(c)
	cp.raw = true // what moves stays as it is
	return c
}

func (c *copying) common(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&c.recursive, "recursive", "r", false, "all that is in a directory or under a prefix")
	f.BoolVar(&c.dryRun, "dry-run", false, "show what would be done; do nothing")
	c.limits.flags(cmd)
	c.filter.flags(cmd)
	c.linking.flags(f)
	c.describing.flags(f)
}

func (c *copying) run(ctx context.Context, args []string) (err error) {
	var from []location
	for _, a := range args[:len(args)-1] {
		l, err := parse(a)
		if err != nil {
			return err
		}
		from = append(from, l)
	}
	if c.to, err = parse(args[len(args)-1]); err != nil {
		return err
	}
	if err := c.check(from); err != nil {
		return err
	}
	if c.engine, err = c.Env.engine(c.limits); err != nil {
		return err
	}
	defer c.engine.report.bar.end()
	if !c.to.remote() {
		c.engine.waiting = waitingDownloads
	}
	defer func() {
		for _, r := range c.roots {
			err = errors.Join(err, r.Close())
		}
	}()
	if c.to.stream() {
		return c.engine.cat(ctx, from, c.version, "", &c.opening)
	}
	return c.engine.all(ctx, c.tasks(ctx, from))
}

// check refuses what cannot be meant, before anything is asked of a server.
func (c *copying) check(from []location) (err error) {
	sealed, err := recipientsOf(c.encrypt, c.encryptFiles)
	if err != nil {
		return err
	}
	c.how = sending{describing: c.describing, encrypt: sealed}
	if err := errors.Join(c.filter.compile(), c.opening.loadUnless(c.move)); err != nil {
		return err
	}
	download := !c.to.remote()
	for _, l := range from {
		download = download || l.remote()
	}
	if err := c.describing.check(download); err != nil {
		return err
	}
	if len(from) > 1 && !c.to.stream() && (c.to.remote() && !c.to.folder() || !c.to.remote() &&
		!isDirectory(c.to.path)) {
		return usage(c.to.String()+"/", "%d sources need a target that is a folder", len(from))
	}
	if c.version != "" && (len(from) > 1 || !from[0].remote() || from[0].folder() || c.recursive) {
		return usage("dark storage cp --version ID darkstorage://BUCKET/KEY TARGET",
			"--version is a version of one object, which is the source")
	}
	for _, l := range from {
		if err := c.checkPair(l); err != nil {
			return err
		}
	}
	return nil
}

// loadUnless is load, but for mv, which has no flags of it.
func (o *opening) loadUnless(move bool) error {
	if move {
		return nil
	}
	return o.load()
}

func (c *copying) checkPair(from location) error {
	switch {
	case !from.remote() && !c.to.remote():
		return usage("darkstorage://BUCKET/KEY for one of them", "neither %s nor %s is in a bucket",
			show(from.String()), show(c.to.String()))
	case from == c.to && c.version == "": // an older version becomes the latest one
		return usage("another target", "%s would be copied onto itself", show(from.String()))
	case c.how.encrypt != nil && from.remote():
		return usage("dark storage cp FILE "+scheme+"BUCKET/KEY --encrypt age1…",
			"--encrypt is for what is uploaded from here")
	case c.decrypt && c.to.remote():
		return usage("dark storage cp "+from.String()+" FILE --decrypt -i IDENTITY-FILE",
			"--decrypt is for what is downloaded to here")
	case c.move && (from.stream() || c.to.stream()):
		return usage("dark storage cp", "a stream cannot be moved")
	case from.stream() && c.to.folder():
		return usage(c.to.String()+"NAME", "standard input has no name of its own: give the object's key")
	case from.folder() && !c.recursive:
		return usage("-r for all that is under it", "%s is a prefix, not an object", show(from.String()))
	}
	return nil
}

func (c *copying) tasks(ctx context.Context, from []location) iter.Seq2[task, error] {
	return func(yield func(task, error) bool) {
		for _, l := range from {
			for t, err := range c.of(ctx, l) {
				if !yield(t, err) {
					return
				}
			}
		}
	}
}

// of yields what one source stands for.
func (c *copying) of(ctx context.Context, from location) iter.Seq2[task, error] {
	switch {
	case from.stream():
		return one(c.upload(entry{at: from}, c.to), nil)
	case from.remote() && (c.recursive || from.folder()):
		return c.under(c.engine.objects(ctx, from, from.prefix(), true))
	case from.remote():
		return c.object(ctx, from)
	}
	st, err := os.Stat(from.path)
	if err != nil { // the other sources are not to blame
		err = exit.New(exit.NotFound, "", "%w", err)
		return one(task{item: Item{Action: "upload", Source: from.path}, do: func(context.Context) (Item, error) {
			return Item{}, err
		}}, nil)
	}
	if !st.IsDir() {
		to := c.to
		if to.folder() {
			to = to.under(filepath.Base(from.path))
		}
		return one(c.upload(entry{at: from, size: st.Size()}, to), nil)
	}
	if !c.recursive {
		return one(task{}, usage("-r for all that is in it", "%s is a directory", show(from.path)))
	}
	return c.under(walk(from.path, c.engine.report.walking(c.linking)))
}

func one(t task, err error) iter.Seq2[task, error] {
	return func(yield func(task, error) bool) { yield(t, err) }
}

// object yields the download or copy of one object.
func (c *copying) object(ctx context.Context, from location) iter.Seq2[task, error] {
	o, err := c.engine.stat(ctx, from, c.version)
	if err != nil {
		return one(task{}, err)
	}
	e := entry{at: from, size: o.size, etag: o.etag, modified: o.modified, version: o.version}
	if c.to.remote() {
		to := c.to
		if to.folder() {
			to = to.under(lastPart(from.key))
		}
		return one(c.copy(e, to), nil)
	}
	dir, name := filepath.Split(c.to.path)
	if isDirectory(c.to.path) {
		dir = c.to.path
		if name, err = localName(lastPart(from.key)); err != nil {
			return one(task{}, err)
		}
	}
	root, err := c.openRoot(firstOf(dir, "."))
	if err != nil {
		return one(task{}, err)
	}
	return one(c.download(e, root, name), nil)
}

// openRoot opens a directory as one that nothing that is written below it can leave.
func (c *copying) openRoot(dir string) (*os.Root, error) {
	root, err := openRoot(dir, c.dryRun)
	if root != nil {
		c.roots = append(c.roots, root)
	}
	return root, err
}

func openRoot(dir string, dryRun bool) (*os.Root, error) {
	if dryRun {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, exit.New(exit.Failed, "another target", "%w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, exit.New(exit.Failed, "another target", "%w", err)
	}
	return root, nil
}

// under yields the copies of all entries to below the target.
func (c *copying) under(list iter.Seq2[entry, error]) iter.Seq2[task, error] {
	return func(yield func(task, error) bool) {
		var root *os.Root
		if !c.to.remote() {
			var err error
			if root, err = c.openRoot(c.to.path); err != nil {
				yield(task{}, err)
				return
			}
		}
		for e, err := range list {
			if err != nil {
				yield(task{}, err)
				return
			}
			if e.rel == "" || !c.match(e.rel) {
				continue
			}
			if !yield(c.entry(e, root), nil) {
				return
			}
		}
	}
}

func (c *copying) entry(e entry, root *os.Root) task {
	switch {
	case !e.at.remote():
		return c.upload(e, c.to.under(e.rel))
	case c.to.remote():
		return c.copy(e, c.to.under(e.rel))
	}
	return c.download(e, root, e.rel)
}

func (c *copying) action(name string) string {
	if c.move {
		return "move"
	}
	return name
}

func (c *copying) upload(e entry, to location) task {
	t := c.engine.uploading(e, to, c.how)
	return c.finish(t, e)
}

func (c *copying) copy(e entry, to location) task {
	return c.finish(c.engine.copying(e, to), e)
}

func (c *copying) download(e entry, root *os.Root, rel string) task {
	return c.finish(c.engine.downloading(e, root, rel, c.to, &c.opening), e)
}

// finish makes of a copy what the flags say: a move, or only its announcement.
func (c *copying) finish(t task, e entry) task {
	t.item.Action = c.action(t.item.Action)
	if c.dryRun {
		return announced(t)
	}
	if !c.move {
		return t
	}
	run := t.do
	t.do = func(ctx context.Context) (Item, error) {
		done, err := run(ctx)
		if err == nil {
			err = c.engine.removeSource(ctx, e)
		}
		done.Action = c.action(done.Action)
		return done, err
	}
	return t
}

// announced is a task that only says what it would do.
func announced(t task) task {
	t.item.DryRun = true
	item := t.item
	t.do = func(context.Context) (Item, error) { return item, nil }
	return t
}

// uploading, copying and downloading are the three ways of a copy, as tasks.

func (e *engine) uploading(from entry, to location, how sending) task {
	item := Item{Action: "upload", Source: from.at.String(), Target: to.String(), Bytes: from.size}
	return task{item: item, do: func(ctx context.Context) (Item, error) {
		done := item
		var err error
		if from.at.stream() {
			done.ETag, done.Bytes, err = e.uploadStream(ctx, e.In, to, how)
		} else {
			done.ETag, done.Bytes, err = e.upload(ctx, from.at.path, to, how)
		}
		return done, err
	}}
}

// AWS S3 API, CopyObject: objects up to 5 GiB; larger ones are copied in parts.
const maxCopy = 5 << 30

func (e *engine) copying(from entry, to location) task {
	item := Item{Action: "copy", Source: from.at.String(), Target: to.String(), Bytes: from.size, Version: from.version}
	return task{item: item, do: func(ctx context.Context) (Item, error) {
		done := item
		if err := checkKey(to.key); err != nil {
			return done, err
		}
		if err := e.acquire(ctx); err != nil {
			return done, err
		}
		defer e.release()
		src := minio.CopySrcOptions{
			Bucket: from.at.bucket, Object: from.at.key, MatchETag: from.etag,
			VersionID: from.version,
		}
		dst := minio.CopyDestOptions{Bucket: to.bucket, Object: to.key}
		var r minio.UploadInfo
		var err error
		if from.size <= maxCopy {
			r, err = e.CopyObject(ctx, dst, src)
		} else {
			r, err = e.ComposeObject(ctx, dst, src)
		}
		e.report.bar.move(from.size)
		done.ETag = r.ETag
		return done, err
	}}
}

func (e *engine) downloading(from entry, root *os.Root, rel string, to location, how *opening) task {
	target := to.path
	if from.rel != "" || isDirectory(to.path) {
		target = filepath.Join(to.path, filepath.FromSlash(rel))
	}
	item := Item{
		Action: "download", Source: from.at.String(), Target: target, Bytes: from.size, ETag: from.etag,
		Version: from.version,
	}
	name, err := localName(rel)
	if from.rel == "" { // a path of the user's own
		name, err = rel, nil
	}
	return task{item: item, do: func(ctx context.Context) (Item, error) {
		if err != nil {
			return item, err
		}
		if from.rel != "" && from.at.folder() {
			return item, makeFolder(root, rel)
		}
		return item, e.download(ctx, from.object(), root, name, how)
	}}
}

// removeSource removes what was moved, unless it is no longer what was copied.
func (e *engine) removeSource(ctx context.Context, from entry) error {
	if !from.at.remote() {
		return os.Remove(from.at.path)
	}
	now, err := e.stat(ctx, from.at, "")
	if err != nil {
		return err
	}
	if now.etag != from.etag {
		return exit.New(exit.Conflict, "the same command again", "%s was changed while it was copied: it stays",
			show(from.at.String()))
	}
	return e.RemoveObject(ctx, from.at.bucket, from.at.key, minio.RemoveObjectOptions{})
}

// completeLocations completes names of buckets; paths are the shell's own business.
func (e *Env) completeLocations(c *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	return e.bucketWords(c, word), cobra.ShellCompDirectiveDefault | cobra.ShellCompDirectiveNoSpace
}

func (e *Env) completeObjects(c *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
	return e.bucketWords(c, word), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (e *Env) bucketWords(c *cobra.Command, word string) []string {
	for _, s := range []string{scheme, schemeOfAWS} {
		if len(word) < len(s) && len(word) > 0 && s[:len(word)] == word || word == "" && s == scheme {
			word = s
		}
		if len(word) < len(s) || word[:len(s)] != s {
			continue
		}
		var out []string
		for _, b := range e.Buckets(c, word[len(s):]) {
			out = append(out, fmt.Sprintf("%s%s/", s, b))
		}
		return out
	}
	return nil
}
