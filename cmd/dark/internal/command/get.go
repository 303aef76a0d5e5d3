package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	identityv1 "github.com/dark-ecosystem/dark/proto/dark/identity/v1"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// at is how old an answer may be.
type at struct {
	revision uint64
	stale    bool
}

func (a *at) flags(c *cobra.Command) {
	c.Flags().Uint64Var(&a.revision, "revision", 0, "read at this revision instead of the current one")
	c.Flags().BoolVar(&a.stale, "stale", false, "accept what the member that answers has, however old")
}

// Get lists resources of a kind, or shows one.
func Get(s *session) *cobra.Command {
	var a at
	var parent string
	c := &cobra.Command{
		Use:   "get KIND [NAME]",
		Short: "list the resources of a kind, or show one",
		Example: "  dark get zones\n  dark get zone example.com -o yaml\n  dark get records example.com\n" +
			"  dark get record example.com www A --revision 120\n  dark get kinds",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return nil
			}
			return exit.New(exit.Usage, "dark get kinds, which lists them; dark get zones", "a KIND is missing")
		},
		ValidArgsFunction: s.completeResources,
		RunE: func(c *cobra.Command, args []string) error {
			if strings.EqualFold(args[0], "kinds") && len(args) == 1 {
				return s.listKinds(c.Context())
			}
			to, err := s.resolve(c.Context(), args)
			if err != nil {
				return err
			}
			if to.name != "" {
				return s.getOne(c.Context(), to, a)
			}
			if parent != "" {
				to.parent = parent
			}
			return s.list(c.Context(), to, a)
		},
	}
	a.flags(c)
	c.Flags().StringVar(&parent, "parent", "", "list what is in this resource, such as zones/example.com")
	_ = c.RegisterFlagCompletionFunc("parent", s.completeNames("Zone"))
	return c
}

func (s *session) fetch(ctx context.Context, to address, a at) (map[string]any, error) {
	var doc map[string]any
	err := s.call(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.Resources.GetResource(ctx, &resourcev1.GetResourceRequest{
			Kind: to.kind.FullName, Name: to.name,
			Revision: a.revision, Stale: a.stale,
		})
		doc = r.GetDocument().AsMap()
		return err
	})
	return doc, err
}

func (s *session) getOne(ctx context.Context, to address, a at) error {
	doc, err := s.fetch(ctx, to, a)
	if err != nil {
		return err
	}
	if s.output == "name" {
		fmt.Fprintln(s.Out, doc["name"])
		return nil
	}
	return s.value(doc, func() error {
		t := tableOf(to.kind)
		t.Row(rowOf(to.kind, doc)...)
		return t.Flush(s.Out)
	})
}

func tableOf(k *resourcev1.KindInfo) *render.Table {
	titles := []string{"NAME"}
	for _, c := range k.Columns {
		titles = append(titles, strings.ToUpper(c.Title))
	}
	if len(k.Columns) == 0 {
		titles = append(titles, "REVISION", "UPDATED")
	}
	return render.NewTable(titles...)
}

func rowOf(k *resourcev1.KindInfo, doc map[string]any) []string {
	row := []string{unescape(render.Value(doc, "name"))}
	for _, c := range k.Columns {
		row = append(row, render.Word(c.Path, render.Value(doc, c.Path)))
	}
	if len(k.Columns) == 0 {
		row = append(row, render.Value(doc, "revision"), render.Value(doc, "updateTime"))
	}
	return row
}

// pageSize is the most that the server gives at once.
const pageSize = 1000

// pages calls each for every page of a list; all pages are of one revision.
func (s *session) pages(ctx context.Context, to address, a at, each func([]map[string]any) error) error {
	q := &resourcev1.ListResourcesRequest{
		Kind: to.kind.FullName, Parent: to.parent, PageSize: pageSize,
		Revision: a.revision, Stale: a.stale,
	}
	for {
		var r *resourcev1.ListResourcesResponse
		err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
			r, err = c.Resources.ListResources(ctx, q)
			return err
		})
		if err != nil {
			return err
		}
		docs := make([]map[string]any, 0, len(r.Documents))
		for _, d := range r.Documents {
			docs = append(docs, d.AsMap())
		}
		if err := each(docs); err != nil {
			return err
		}
		if q.PageToken = r.NextPageToken; q.PageToken == "" {
			return nil
		}
	}
}

// list prints all resources page by page, so that a large zone takes no more memory
// than a page. JSON is one list.
func (s *session) list(ctx context.Context, to address, a at) error {
	p := &listing{session: s, table: tableOf(to.kind), kind: to.kind}
	if err := s.pages(ctx, to, a, p.page); err != nil {
		return err
	}
	if err := p.end(to); err != nil || p.n > 0 || s.output != "table" {
		return err
	}
	s.firstOrganization(ctx)
	return nil
}

// firstOrganization says how to make one where there is none but that of the operators, and where that may be known.
func (s *session) firstOrganization(ctx context.Context) {
	var r *identityv1.ListOrganizationsResponse
	err := s.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Organizations.ListOrganizations(ctx, &identityv1.ListOrganizationsRequest{PageSize: 2})
		return err
	})
	if err == nil && len(r.Organizations) == 1 && r.Organizations[0].Name == "organizations/system" {
		fmt.Fprintln(s.Err, "there is no organization yet but that of the operators; to make one and work in it: "+
			"dark organizations create NAME, and -O NAME")
	}
}

type listing struct {
	*session
	kind  *resourcev1.KindInfo
	table *render.Table
	n     int
}

func (l *listing) page(docs []map[string]any) error {
	for _, d := range docs {
		if err := l.one(d); err != nil {
			return err
		}
		l.n++
	}
	if l.output == "table" && l.n > 0 {
		return l.table.Flush(l.Out)
	}
	return nil
}

func (l *listing) one(d map[string]any) error {
	switch l.output {
	case "json":
		sep := ",\n  "
		if l.n == 0 {
			sep = "[\n  "
		}
		fmt.Fprint(l.Out, sep)
		return render.Element(l.Out, d)
	case "yaml":
		fmt.Fprintln(l.Out, "---")
		return render.YAML(l.Out, d)
	case "name":
		_, err := fmt.Fprintln(l.Out, d["name"])
		return err
	}
	l.table.Row(rowOf(l.kind, d)...)
	return nil
}

func (l *listing) end(to address) error {
	switch {
	case l.output == "json" && l.n == 0:
		fmt.Fprintln(l.Out, "[]")
	case l.output == "json":
		fmt.Fprintln(l.Out, "\n]")
	case l.output == "table" && l.n == 0:
		where := ""
		if to.parent != "" {
			where = " in " + to.parent
		}
		fmt.Fprintf(l.Err, "no %s%s\n", collection(to.kind), where)
	}
	return nil
}

// listKinds shows what kinds there are.
func (s *session) listKinds(ctx context.Context) error {
	kinds, err := s.allKinds(ctx)
	if err != nil {
		return err
	}
	var out []any
	t := render.NewTable("KIND", "PLURAL", "NAMES", "LANE")
	for _, k := range kinds {
		m, err := render.Sparse(k)
		if err != nil {
			return err
		}
		out = append(out, m)
		t.Row(k.Kind, k.Plural, k.Pattern, k.Lane)
	}
	if s.output == "name" {
		for _, k := range kinds {
			fmt.Fprintln(s.Out, k.Kind)
		}
		return nil
	}
	return s.value(out, func() error { return t.Flush(s.Out) })
}

// needName refuses a list where one resource must be named.
func needName(to address) error {
	if to.name == "" {
		return exit.New(exit.Usage, "dark get "+to.kind.Plural+" lists the names", "which %s? its name has the form %s",
			to.kind.Kind, to.kind.Pattern)
	}
	return nil
}
