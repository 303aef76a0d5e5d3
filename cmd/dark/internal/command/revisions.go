package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// part narrows a command to some resources.
type part struct{ kind, prefix string }

func (p *part) flags(s *session, c *cobra.Command) {
	c.Flags().StringVar(&p.kind, "kind", "", "only this kind")
	c.Flags().StringVar(&p.prefix, "prefix", "", "only names that begin so, such as zones/example.com")
	_ = c.RegisterFlagCompletionFunc("kind", s.completeKinds)
}

// fullKind turns what someone typed into the kind's full name; "" stays "".
func (s *session) fullKind(ctx context.Context, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	k, err := s.kind(ctx, name)
	return k.GetFullName(), err
}

func revision(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, exit.New(exit.Usage, "dark history or dark audit tells revisions",
			"%q is not a revision; a revision is a number", text)
	}
	return n, nil
}

// Diff shows what differs between two revisions.
func Diff(s *session) *cobra.Command {
	var p part
	c := &cobra.Command{
		Use: "diff REVISION [REVISION]", Short: "show what differs between two revisions, or from one to now",
		Example: "  dark diff 120\n  dark diff 120 130 --kind zone",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error { return s.diff(c.Context(), args, p) },
	}
	p.flags(s, c)
	return c
}

func (s *session) diff(ctx context.Context, args []string, p part) error {
	q := &resourcev1.DiffRequest{NamePrefix: p.prefix}
	var err error
	if q.FromRevision, err = revision(args[0]); err != nil {
		return err
	}
	if len(args) > 1 {
		if q.ToRevision, err = revision(args[1]); err != nil {
			return err
		}
	}
	if q.Kind, err = s.fullKind(ctx, p.kind); err != nil {
		return err
	}
	var r *resourcev1.DiffResponse
	err = s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Resources.Diff(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	if len(r.Changes) == 0 {
		if err := s.nothingNamed(ctx, p.prefix, q.Kind, q.FromRevision, q.ToRevision); err != nil {
			return err
		}
	}
	if r.Truncated {
		fmt.Fprintln(s.Err, "more differs than is shown; narrow it with --kind or --prefix")
	}
	return s.message(r, func() error { return s.style().Changes(s.Out, r.Changes) })
}

// nothingNamed says where nothing differs because no name begins so, at neither revision; 0 is now.
func (s *session) nothingNamed(ctx context.Context, prefix, kind string, revisions ...uint64) error {
	if prefix == "" {
		return nil
	}
	for _, n := range revisions {
		var r *resourcev1.DiffResponse // from the beginning, where nothing was
		err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
			r, err = c.Resources.Diff(ctx, &resourcev1.DiffRequest{ToRevision: n, NamePrefix: prefix, Kind: kind})
			return err
		})
		if err != nil || len(r.Changes) > 0 {
			return err
		}
	}
	return exit.New(exit.NotFound, "a name as dark get has it, such as --prefix zones/example.com",
		"nothing has a name that begins with %q, now or then", prefix)
}

// Watch follows changes.
func Watch(s *session) *cobra.Command {
	var prefix string
	var since uint64
	var most int
	c := &cobra.Command{
		Use: "watch [KIND]", Short: "follow changes as they happen, without gaps",
		Long: "Follow changes as they happen, without gaps. It goes on by itself where it was when the control node " +
			"that\n" +
			"it asks goes away and comes back, and says at its start and at its end which revision to give to " +
			"--since, to go on from there.",
		Example: "  dark watch\n  dark watch records --prefix zones/example.com --since 120 -o json",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: s.completeKinds,
		RunE: func(c *cobra.Command, args []string) error {
			q := &resourcev1.WatchRequest{NamePrefix: prefix, AfterRevision: since}
			if len(args) > 0 {
				var err error
				if q.Kind, err = s.fullKind(c.Context(), args[0]); err != nil {
					return err
				}
			}
			return s.watch(c.Context(), q, most)
		},
	}
	c.Flags().StringVar(&prefix, "prefix", "", "only names that begin so")
	c.Flags().Uint64Var(&since, "since", 0, "begin after this revision (default: with what comes next)")
	c.Flags().IntVar(&most, "count", 0, "end after so many changes (default: never)")
	return c
}

// watch follows changes until there were most of them, or ctx ends. Where the control node goes away it asks
// again, from the revision up to which it has heard all.
func (s *session) watch(ctx context.Context, q *resourcev1.WatchRequest, most int) error {
	w := watching{session: s, q: q, most: most}
	err := w.follow(ctx)
	for wait := watchAgain; w.again(ctx, err); wait = min(2*wait, watchAgainMost) {
		if w.heard {
			fmt.Fprintf(s.Err, "the control node went away (%s); going on from revision %d\n", exit.Of(err).Text,
				q.AfterRevision)
			w.heard, wait = false, watchAgain
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		err = w.follow(ctx)
	}
	if q.AfterRevision > 0 {
		fmt.Fprintf(s.Err, "watched up to revision %d; to go on from there: --since %[1]d\n", q.AfterRevision)
	}
	return err
}

// A watch whose control node is away asks again after such a time, which doubles.
const (
	watchAgain     = 100 * time.Millisecond
	watchAgainMost = 5 * time.Second
)

// watching is one run of the command watch.
type watching struct {
	*session
	q     *resourcev1.WatchRequest // AfterRevision is up to where all was heard
	most  int
	seen  int
	began bool // the first message came, which says where the watch begins
	heard bool // something, since the stream was opened last
}

// again reports whether a watch that ended so should go on. One that never began does not: then
// the address or the token is wrong.
func (w *watching) again(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && w.q.AfterRevision > 0 && exit.Of(err).Code == exit.Unavailable
}

// follow is one stream.
func (w *watching) follow(ctx context.Context) error {
	c, err := w.dial()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Resources.Watch(ctx, w.q)
	if err != nil {
		return err
	}
	for w.most == 0 || w.seen < w.most {
		r, err := stream.Recv()
		if isEOF(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if !w.began {
			w.began = true
			fmt.Fprintf(w.Err, "watching what comes after revision %d\n", r.Revision)
		}
		w.heard, w.q.AfterRevision = true, max(w.q.AfterRevision, r.Revision)
		if r.Change == nil {
			continue // a sign of life
		}
		w.seen++
		if err := w.watched(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) watched(r *resourcev1.WatchResponse) error {
	switch s.output {
	case "name":
		_, err := fmt.Fprintln(s.Out, r.Change.Name)
		return err
	case "table":
		_, err := fmt.Fprintf(s.Out, "%-9d %-7s %s %s\n", r.Change.Revision, render.Action(r.Change.Action),
			r.Change.Kind, r.Change.Name)
		return err
	}
	v, err := render.Sparse(r)
	if err != nil {
		return err
	}
	if s.output == "yaml" {
		fmt.Fprintln(s.Out, "---")
		return render.YAML(s.Out, v)
	}
	return render.JSONLine(s.Out, v)
}
