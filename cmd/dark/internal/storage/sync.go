package storage

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag is MD5
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

const syncHelp = `Make a folder be like another: a directory and a prefix, either way, or two prefixes. What
is equal is not copied. Two are equal when their sizes are, and then
  - the object's ETag is the MD5 of the file, or that of a multipart upload of this command;
  - where the ETag tells nothing (other multipart uploads, SSE-KMS, SSE-C): when the source
    is not newer than the target. A download takes over the object's time.
With --times sizes and times alone decide and no file is read; with --size-only sizes alone.

With --delete what the source does not have is removed from the target, after everything
is copied. A sync that would remove more than half of the target needs --yes. What
--include and --exclude leave out is neither copied nor removed.`

// syncing is one run of sync.
type syncing struct {
	*Env
	filter
	linking
	describing
	limits
	dryRun, remove, yes, times, sizeOnly bool

	engine   *engine
	from, to location
	root     *os.Root
	raw      opening
}

func syncCommand(env *Env) *cobra.Command {
	s := &syncing{Env: env, raw: opening{raw: true}}
	c := &cobra.Command{
		Use: "sync SOURCE TARGET", Short: "make a folder be like another, copying only what differs", Long: syncHelp,
		Example: "  dark storage sync ./site darkstorage://www/ --delete\n  dark storage sync " +
			"darkstorage://photos/2026/ ./2026 --exclude '*.tmp'",
		Args: cobra.ExactArgs(2), ValidArgsFunction: env.completeLocations,
		RunE: func(c *cobra.Command, args []string) error { return s.run(c.Context(), args) },
	}
	f := c.Flags()
	f.BoolVar(&s.remove, "delete", false, "remove from the target what the source does not have")
	f.BoolVar(&s.yes, "yes", false, "allow that more than half of the target is removed")
	f.BoolVar(&s.dryRun, "dry-run", false, "show what would be done; do nothing")
	f.BoolVar(&s.times, "times", false, "compare sizes and times, without reading files")
	f.BoolVar(&s.sizeOnly, "size-only", false, "compare sizes alone")
	s.limits.flags(c)
	s.filter.flags(c)
	s.linking.flags(f)
	s.describing.flags(f)
	return c
}

func (s *syncing) run(ctx context.Context, args []string) (err error) {
	if s.from, err = parse(args[0]); err != nil {
		return err
	}
	if s.to, err = parse(args[1]); err != nil {
		return err
	}
	if err := errors.Join(s.filter.compile(), s.check()); err != nil {
		return err
	}
	if s.engine, err = s.Env.engine(s.limits); err != nil {
		return err
	}
	defer s.engine.report.bar.end()
	if !s.to.remote() {
		s.engine.waiting = waitingDownloads
		if s.root, err = openRoot(s.to.path, s.dryRun); err != nil {
			return err
		}
	}
	if s.root != nil {
		defer func() { err = errors.Join(err, s.root.Close()) }()
	}
	if s.remove && !s.yes && !s.dryRun {
		if err := s.guard(ctx); err != nil {
			return err
		}
	}
	if err := s.engine.all(ctx, s.tasks(ctx)); err != nil {
		return err
	}
	return s.summary()
}

func (s *syncing) check() error {
	switch {
	case s.from.stream() || s.to.stream():
		return usage("dark storage cp", "sync is for folders, not for streams")
	case !s.from.remote() && !s.to.remote():
		return usage("darkstorage://BUCKET/PREFIX for one of them", "neither %s nor %s is in a bucket",
			show(s.from.String()), show(s.to.String()))
	case s.from.remote() && s.to.remote() && s.from.bucket == s.to.bucket &&
		(strings.HasPrefix(s.to.prefix(), s.from.prefix()) || strings.HasPrefix(s.from.prefix(), s.to.prefix())):
		return usage("another target", "one of the folders is in the other")
	}
	if err := s.describing.check(s.from.remote()); err != nil || s.from.remote() {
		return err
	}
	st, err := os.Stat(s.from.path)
	if err != nil {
		return exit.New(exit.NotFound, "", "%w", err)
	}
	if !st.IsDir() {
		return usage("dark storage cp", "%s is not a directory", show(s.from.path))
	}
	return nil
}

func (s *syncing) summary() error {
	if s.engine.report.format != "table" {
		return nil
	}
	done, same := s.engine.report.counts()
	word := "done"
	if s.dryRun {
		word = "would be done; nothing was changed"
	}
	_, err := fmt.Fprintf(s.Err, "%d unchanged, %d %s\n", same, done, word)
	return err
}

// pair is one name on both sides; an entry without a location is not there.
type pair struct{ from, to entry }

// list yields a folder's entries that the filter lets through, in order of their names.
func (s *syncing) list(ctx context.Context, l location, how walking) iter.Seq2[entry, error] {
	all := func(yield func(entry, error) bool) {}
	switch {
	case l.remote():
		all = s.engine.objects(ctx, l, l.prefix(), true)
	case l != s.to || s.root != nil: // else a target that is not there yet
		all = walk(l.path, how)
	}
	return func(yield func(entry, error) bool) {
		for e, err := range all {
			if err == nil && (e.rel == "" || strings.HasSuffix(e.rel, "/") || !s.match(e.rel)) {
				continue
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// pairs merges both sides, which are in the same order: memory does not grow with them.
func (s *syncing) pairs(ctx context.Context, how walking) iter.Seq2[pair, error] {
	return func(yield func(pair, error) bool) {
		nextFrom, stopFrom := iter.Pull2(s.list(ctx, s.from, how))
		defer stopFrom()
		nextTo, stopTo := iter.Pull2(s.list(ctx, s.to, s.quiet()))
		defer stopTo()
		from, err, more := nextFrom()
		to, terr, moreTo := nextTo()
		for more || moreTo {
			if err = errors.Join(err, terr); err != nil {
				yield(pair{}, err)
				return
			}
			p := pair{from, to}
			order := strings.Compare(from.rel, to.rel)
			switch {
			case !moreTo || more && order < 0:
				p.to = entry{}
			case !more || order > 0:
				p.from = entry{}
			}
			if !yield(p, nil) {
				return
			}
			if p.from.exists() {
				from, err, more = nextFrom()
			}
			if p.to.exists() {
				to, terr, moreTo = nextTo()
			}
		}
	}
}

// quiet walks a second time, when all was told, or the target, of which nothing is told.
func (s *syncing) quiet() walking {
	return walking{follow: s.follow, skipped: func(string, string) {}, failed: func(string, error) {}}
}

func (e entry) exists() bool { return e.at != location{} }

// guard counts what would be removed.
func (s *syncing) guard(ctx context.Context) error {
	var gone, all int
	for p, err := range s.pairs(ctx, s.quiet()) {
		if err != nil {
			return explain(err)
		}
		if p.to.exists() {
			all++
		}
		if !p.from.exists() {
			gone++
		}
	}
	if gone*2 > all {
		return exit.New(exit.NeedsYes, "the same command with --dry-run shows them, with --yes removes them",
			"%d of the %d in %s would be removed", gone, all, show(s.to.String()))
	}
	return nil
}

// tasks yields the copies and, behind them all, the removals.
func (s *syncing) tasks(ctx context.Context) iter.Seq2[task, error] {
	return func(yield func(task, error) bool) {
		how, unread := s.engine.report.walking(s.linking), false
		failed := how.failed
		how.failed = func(path string, err error) {
			unread = true
			failed(path, err)
		}
		for p, err := range s.pairs(ctx, how) {
			if err != nil {
				yield(task{}, err)
				return
			}
			if p.from.exists() && !yield(s.copy(p), nil) {
				return
			}
		}
		if s.remove && unread {
			s.engine.report.note("nothing is removed: a part of %s could not be read", show(s.from.String()))
		}
		if !s.remove || unread {
			return
		}
		for t, err := range s.removals(ctx) {
			if !yield(t, err) || err != nil {
				return
			}
		}
	}
}

// gone yields what the target has and the source has not.
func (s *syncing) gone(ctx context.Context) iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		for p, err := range s.pairs(ctx, s.quiet()) {
			if err == nil && p.from.exists() {
				continue
			}
			if !yield(p.to, err) || err != nil {
				return
			}
		}
	}
}

func (s *syncing) removals(ctx context.Context) iter.Seq2[task, error] {
	if s.to.remote() {
		return s.engine.removals(s.gone(ctx), s.dryRun)
	}
	return func(yield func(task, error) bool) {
		for e, err := range s.gone(ctx) {
			if !yield(s.removal(e), err) || err != nil {
				return
			}
		}
	}
}

func (s *syncing) copy(p pair) task {
	var t task
	switch to := s.to.under(p.from.rel); {
	case !p.from.at.remote():
		t = s.engine.uploading(p.from, to, sending{describing: s.describing})
	case to.remote():
		t = s.engine.copying(p.from, to)
	default:
		t = s.engine.downloading(p.from, s.root, p.from.rel, s.to, &s.raw)
	}
	run := t.do
	if s.dryRun {
		run = announced(t).do
	}
	t.do = func(ctx context.Context) (Item, error) {
		if p.to.exists() {
			same, err := s.same(ctx, p)
			if err != nil {
				return t.item, err
			}
			if same {
				s.engine.report.bar.move(p.from.size)
				return Item{}, nil
			}
		}
		return run(ctx)
	}
	return t
}

// removal removes a file.
func (s *syncing) removal(e entry) task {
	t := task{item: Item{Action: "remove", Source: e.at.String()}}
	t.do = func(context.Context) (Item, error) {
		name, err := localName(e.rel)
		if err != nil {
			return t.item, err
		}
		return t.item, s.root.Remove(name)
	}
	if s.dryRun {
		return announced(t)
	}
	return t
}

// same tells whether source and target are equal, as syncHelp says.
func (s *syncing) same(ctx context.Context, p pair) (bool, error) {
	switch {
	case p.from.size != p.to.size:
		return false, nil
	case s.sizeOnly:
		return true, nil
	case s.times:
		return p.notNewer(), nil
	case p.from.at.remote() && p.to.at.remote():
		return p.from.etag == p.to.etag || !(plainETag(p.from.etag) && plainETag(p.to.etag)) && p.notNewer(), nil
	}
	there, here := p.from, p.to
	if !there.at.remote() {
		there, here = here, there
	}
	equal, known, err := s.engine.sameContent(ctx, there, here.at.path)
	if err != nil || equal {
		return equal, err
	}
	// Another client may have made other parts of the same bytes, which a download, unlike
	// an upload, leaves as they are: it would come again and again.
	if known && (plainETag(there.etag) || !p.from.at.remote()) {
		return false, nil
	}
	return p.notNewer(), nil
}

// notNewer compares times to the second: not every file system and server has more.
func (p pair) notNewer() bool {
	return !p.from.modified.Truncate(time.Second).After(p.to.modified.Truncate(time.Second))
}

// sameContent compares an object's ETag with a file of the same size. known is false
// where the ETag does not tell.
func (e *engine) sameContent(ctx context.Context, of entry, path string) (equal, known bool, err error) {
	if !plainETag(of.etag) && !strings.HasSuffix(of.etag, fmt.Sprintf("-%d", partsOf(of.size))) {
		return false, false, nil
	}
	if err := e.acquire(ctx); err != nil {
		return false, false, err
	}
	defer e.release()
	f, err := os.Open(path)
	if err != nil {
		return false, false, err
	}
	defer f.Close()
	sum, err := etagOfFile(f, of)
	if err != nil || sum == of.etag {
		return err == nil, true, err
	}
	_, header, err := e.head(ctx, of.at, "")
	if err != nil {
		return false, false, err
	}
	opaque := header.Get("X-Amz-Server-Side-Encryption") == "aws:kms" ||
		header.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != ""
	return false, !opaque, nil
}

// etagOfFile is the ETag that a file would have, uploaded as the object was.
func etagOfFile(r io.Reader, of entry) (string, error) {
	if !plainETag(of.etag) {
		return multipartETag(r, of.size)
	}
	sum, err := md5Of(r, of.size)
	return hex.EncodeToString(sum), err
}

// partsOf is how many parts this command makes of so many bytes.
func partsOf(n int64) int64 { return (n + partSizeOf(n) - 1) / partSizeOf(n) }

// multipartETag is the ETag of what this command uploads in parts: the MD5 of the parts'
// MD5s, and their number.
func multipartETag(r io.Reader, n int64) (string, error) {
	all := md5.New() //nolint:gosec // see the import
	for left, part := n, partSizeOf(n); left > 0; left -= part {
		sum, err := md5Of(io.LimitReader(r, part), min(part, left))
		if err != nil {
			return "", err
		}
		all.Write(sum)
	}
	return fmt.Sprintf("%x-%d", all.Sum(nil), partsOf(n)), nil
}
