package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/document"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// maxDocuments is what one transaction takes (resource.proto, ApplyRequest).
const maxDocuments = 2000

type apply struct {
	*session
	write
	files     []string
	wait      bool
	unchanged uint64
}

// Apply makes resources be as documents say.
func Apply(s *session) *cobra.Command {
	a := &apply{session: s}
	c := &cobra.Command{
		Use:   "apply -f FILE|DIR|-",
		Short: "make resources be as documents say, all or none",
		Long: `Make resources be as documents say, in one transaction: all or none.

A document has a kind, a name, labels and a spec; several stand in a file, parted by ---.
A directory means all its .yaml, .yml and .json files. --dry-run shows the difference that
apply then makes; --if-unchanged-since the revision it prints makes sure of that.`,
		Example: "  dark apply -f zone.yaml --dry-run\n  dark apply -f zones/ --wait --reason 'new office'",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.run(c.Context()) },
	}
	c.Flags().StringArrayVarP(&a.files, "file", "f", nil, "file, directory or - for standard input; may be repeated")
	c.Flags().BoolVar(&a.wait, "wait", false, "follow the change to every edge and print how long each took")
	c.Flags().Uint64Var(&a.unchanged, "if-unchanged-since", 0, "refuse where a resource changed after this revision")
	a.flags(c)
	return c
}

func (a *apply) run(ctx context.Context) error {
	if len(a.files) == 0 {
		return exit.New(exit.Usage, "dark apply -f zone.yaml", "apply needs -f with a file, a directory or -")
	}
	docs, err := a.read(ctx, a.files)
	if err != nil {
		return err
	}
	if ctx, err = a.inOrganization(ctx, docs); err != nil {
		return err
	}
	q := &resourcev1.ApplyRequest{DryRun: a.dryRun, RequestId: a.id(), Reason: a.reason, IfUnchangedSince: a.unchanged}
	for _, d := range docs {
		s, err := structpb.NewStruct(writable(d.Value))
		if err != nil {
			return exit.New(exit.Failed, "", "%s: %w", d.At(""), err)
		}
		q.Documents = append(q.Documents, s)
	}
	var r *resourcev1.ApplyResponse
	err = a.call(ctx, func(ctx context.Context, c *client.Client) error {
		r, err = c.Resources.Apply(ctx, q)
		return err
	})
	if err != nil {
		return located(err, docs)
	}
	return a.report(ctx, r)
}

func (a *apply) report(ctx context.Context, r *resourcev1.ApplyResponse) error {
	// Nothing changed: what is asked for is as old as the revision that was read.
	waits := a.wait && !a.dryRun
	if a.output == "table" {
		if err := a.style().Changes(a.Out, r.Changes); err != nil {
			return err
		}
		fmt.Fprintln(a.Out, a.outcome(r))
		if waits {
			_, err := a.follow(ctx, r.Revision, true)
			return err
		}
		return nil
	}
	if a.output == "name" {
		for _, ch := range r.Changes {
			fmt.Fprintln(a.Out, ch.Name)
		}
	}
	v, err := render.Sparse(r)
	if err != nil {
		return err
	}
	var failed error
	if waits {
		v["edges"], failed = a.follow(ctx, r.Revision, false)
	}
	return errors.Join(a.value(v, func() error { return nil }), failed)
}

func (a *apply) outcome(r *resourcev1.ApplyResponse) string {
	if a.dryRun {
		return "dry run at revision " + strconv.FormatUint(r.Revision, 10) + "; nothing was changed"
	}
	if !slices.ContainsFunc(r.Changes, func(c *resourcev1.Change) bool { return c.Action != resourcev1.Change_ACTION_UNCHANGED }) {
		return "revision " + strconv.FormatUint(r.Revision, 10) + " is so already"
	}
	return "revision " + strconv.FormatUint(r.Revision, 10)
}

// read reads documents and checks what can be checked with the list of kinds alone.
func (s *session) read(ctx context.Context, files []string) ([]*document.Document, error) {
	docs, err := document.Read(files, s.In)
	if err != nil {
		return nil, fileError(err)
	}
	if len(docs) == 0 {
		return nil, exit.New(exit.Failed, mendFile, "%s: no document in it", strings.Join(files, ", "))
	}
	if len(docs) > maxDocuments {
		return nil, exit.New(exit.Failed, "apply in parts; records of a large zone go by dark zones import", "%d documents, and one transaction takes %d", len(docs), maxDocuments)
	}
	kinds, err := s.allKinds(ctx)
	if err != nil {
		return nil, err
	}
	return docs, check(docs, kinds)
}

const mendFile = "-f takes YAML or JSON documents with kind, name and spec; dark get KIND NAME -o yaml shows one"

// fileError gives each bad file a line.
func fileError(err error) error {
	lines := strings.Split(err.Error(), "\n")
	if len(lines) == 1 {
		return exit.New(exit.Failed, mendFile, "%w", err)
	}
	return &exit.Error{Code: exit.Failed, Text: "these files cannot be read", Details: lines, Next: mendFile}
}

// serverSet are fields that dark get shows and only the server writes, so that what get
// prints can be edited and applied.
var serverSet = []string{"revision", "createTime", "create_time", "updateTime", "update_time", "status"}

func writable(doc map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range doc {
		if !slices.Contains(serverSet, k) {
			out[k] = v
		}
	}
	return out
}

// inOrganization names the organization that the documents name, where no flag does.
func (s *session) inOrganization(ctx context.Context, docs []*document.Document) (context.Context, error) {
	named, by := s.organization, (*document.Document)(nil)
	for _, d := range docs {
		o := d.Text("organization")
		switch {
		case o == "" || o == named:
		case named == "":
			named, by = o, d
		case by == nil:
			return ctx, exit.New(exit.Usage, "without -O, or with -O "+o, "%s: the document names organization %q, and -O %q", d.At("organization"), o, named)
		default:
			return ctx, exit.New(exit.Usage, "a file for each organization", "%s: organization %q, but %q at %s; one transaction is of one organization", d.At("organization"), o, named, by.At("organization"))
		}
	}
	return client.ForOrganization(ctx, named), nil
}
