package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/document"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

type apply struct {
	*session
	write
	files           []string
	wait            bool
	unchanged       uint64
	atomic, replace bool
	prune           bool
	selector        string
}

// Apply makes resources be as documents say.
func Apply(s *session) *cobra.Command {
	a := &apply{session: s}
	c := &cobra.Command{
		Use:   "apply -f FILE|DIR|-",
		Short: "make resources be as documents say",
		Long: `Make resources be as documents say, in one transaction: all or none.

A document has a kind, a name, labels and a spec; several stand in a file, parted by ---.
A directory means all its .yaml, .yml and .json files. --dry-run shows the difference that
apply then makes; --if-unchanged-since the revision it prints makes sure of that.

More than 2,000 documents, or 400,000 octets, go in several transactions, which is said
before the first. A refusal stops there and names what is done; the same command goes on.
--atomic refuses what one transaction does not take.

--replace ends what cannot stand beside a document: the addresses of a name that gets a
CNAME. --prune -l KEY=VALUE ends resources that have the label and no document. It looks at
the kinds that the documents are of, and for record sets in each zone that is a document or
has a record set among them.`,
		Example: "  dark apply -f zone.yaml --dry-run\n  dark apply -f zones/ --wait --reason 'new office'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exit.New(exit.Usage, "dark apply -f "+args[0], "%q: documents are given with -f", args[0])
		},
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context()) },
	}
	c.Flags().StringArrayVarP(&a.files, "file", "f", nil, "file, directory or - for standard input; may be repeated")
	c.Flags().BoolVar(&a.wait, "wait", false, "follow the change to every edge and print how long each took")
	c.Flags().Uint64Var(&a.unchanged, "if-unchanged-since", 0, "refuse where a resource changed after this revision")
	c.Flags().BoolVar(&a.atomic, "atomic", false, "refuse what does not go in one transaction")
	c.Flags().BoolVar(&a.replace, "replace", false,
		"end what cannot stand beside a document, such as addresses beside a CNAME")
	c.Flags().BoolVar(&a.prune, "prune", false, "end what has the label of -l and no document")
	c.Flags().StringVarP(&a.selector, "selector", "l", "", "the label that --prune goes by, `KEY=VALUE`")
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
	gone, err := a.unwanted(ctx, docs)
	if err != nil {
		return err
	}
	parts, err := a.split(docs, gone)
	if err != nil {
		return err
	}
	r, err := a.applyParts(ctx, parts)
	if err != nil {
		return err
	}
	a.warnRecords(docs, r)
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
	if !slices.ContainsFunc(r.Changes, func(c *resourcev1.Change) bool {
		return c.Action != resourcev1.Change_ACTION_UNCHANGED
	}) {
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
			return ctx, exit.New(exit.Usage, "without -O, or with -O "+o,
				"%s: the document names organization %q, and -O %q", d.At("organization"), o, named)
		default:
			return ctx, exit.New(exit.Usage, "a file for each organization",
				"%s: organization %q, but %q at %s; one transaction is of one organization", d.At("organization"), o,
				named, by.At("organization"))
		}
	}
	return client.ForOrganization(ctx, named), nil
}
