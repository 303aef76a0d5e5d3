package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// takesMuch are the kinds whose deletion takes much with it: all that is in them.
var takesMuch = []string{"Zone", "Organization"}

type remove struct {
	*session
	write
	files []string
	etag  string
	yes   bool
	force string
	wait  bool
}

// Delete ends resources.
func Delete(s *session) *cobra.Command {
	d := &remove{session: s}
	c := &cobra.Command{
		Use: "delete KIND NAME | delete -f FILE", Short: "end resources",
		Long: "End a resource, or those that documents name, the last first. A zone or an organization\n" +
			"takes all that is in it along and therefore needs --yes. A bucket that holds objects is\n" +
			"refused, unless its name is given again with --force, and --yes: its objects are gone then,\n" +
			"and no rollback brings them back. Stop what writes to a bucket before you delete it: an\n" +
			"object that is written meanwhile is lost.",
		Example: "  dark delete record example.com www A\n  dark delete zone example.com --yes\n  dark " +
			"delete -f zone.yaml --dry-run",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: s.completeResources,
		RunE:              func(c *cobra.Command, args []string) error { return d.run(c.Context(), args) },
	}
	c.Flags().StringArrayVarP(&d.files, "file", "f", nil, "file, directory or - for standard input; may be repeated")
	c.Flags().StringVar(&d.etag, "etag", "", "delete only what has this etag")
	c.Flags().BoolVar(&d.yes, "yes", false, "delete what takes much with it")
	c.Flags().StringVar(&d.force, "force", "", "`NAME` of a bucket again: delete it with the objects that it holds")
	c.Flags().BoolVar(&d.wait, "wait", false, "follow the deletion to every edge")
	d.flags(c)
	return c
}

func (d *remove) run(ctx context.Context, args []string) error {
	if (len(args) > 0) == (len(d.files) > 0) {
		return exit.New(exit.Usage, "dark delete KIND NAME, or dark delete -f FILE",
			"delete needs either a kind and a name, or -f")
	}
	if len(args) > 0 {
		to, err := d.resolve(ctx, args)
		if err == nil {
			err = needName(to)
		}
		if err != nil {
			return err
		}
		return d.all(ctx, []address{to})
	}
	docs, err := d.read(ctx, d.files)
	if err != nil {
		return err
	}
	if ctx, err = d.inOrganization(ctx, docs); err != nil {
		return err
	}
	var list []address
	for _, doc := range docs {
		to, err := d.resolve(ctx, []string{doc.Text("kind"), doc.Text("name")})
		if err == nil {
			err = needName(to)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", doc.At("name"), err)
		}
		list = append(list, to)
	}
	slices.Reverse(list) // what stands later may be in what stands before
	return d.all(ctx, list)
}

func (d *remove) all(ctx context.Context, list []address) error {
	if err := d.forced(list); err != nil {
		return err
	}
	if err := d.confirm(ctx, list); err != nil {
		return err
	}
	var last uint64
	for i, to := range list {
		q := &resourcev1.DeleteResourceRequest{
			Kind: to.kind.FullName, Name: to.name, Etag: d.etag, RequestId: d.id(),
			Reason: d.reason, Force: d.force, ValidateOnly: d.dryRun,
		}
		if i > 0 && d.requestID != "" { // each deletion is a request of its own
			q.RequestId = fmt.Sprintf("%s-%d", d.requestID, i)
		}
		var r *resourcev1.DeleteResourceResponse
		err := d.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
			r, err = c.Resources.DeleteResource(ctx, q)
			return err
		})
		if err != nil {
			return err
		}
		if err := d.report(to, r.Revision); err != nil {
			return err
		}
		last = r.Revision
	}
	if !d.wait || d.dryRun {
		return nil
	}
	_, err := d.follow(ctx, last, d.output == "table")
	return err
}

func (d *remove) report(to address, revision uint64) error {
	if d.output == "name" {
		fmt.Fprintln(d.Out, to.name)
		return nil
	}
	v := map[string]any{"kind": to.kind.Kind, "name": to.name, "revision": fmt.Sprint(revision), "dryRun": d.dryRun}
	return d.value(v, func() error {
		if d.dryRun {
			fmt.Fprintf(d.Out, "%s %s would be deleted; nothing was changed\n", to.kind.Kind, unescape(to.name))
			return nil
		}
		fmt.Fprintf(d.Out, "%s %s deleted at revision %d\n", to.kind.Kind, unescape(to.name), revision)
		return nil
	})
}

// forced compares the name of --force before --yes is asked for: a wrong one deletes nothing.
func (d *remove) forced(list []address) error {
	for _, to := range list {
		if d.force != "" && to.kind.Kind == "Bucket" && !strings.EqualFold(bucketName(d.force), to.name) {
			return exit.New(exit.Usage, "--force "+shortName(to.name),
				"--force %s is not the name of what is deleted, which is %s", d.force, to.name)
		}
	}
	return nil
}

// confirm asks for --yes where much would go, and says how much.
func (d *remove) confirm(ctx context.Context, list []address) error {
	if d.yes || d.dryRun {
		return nil
	}
	var lines []string
	if d.force != "" {
		lines = append(lines, d.force+" and all that it holds, for ever")
	}
	for _, to := range list {
		if !slices.Contains(takesMuch, to.kind.Kind) {
			continue
		}
		if _, err := d.fetch(ctx, to, at{}); err != nil {
			return err
		}
		line, err := d.within(ctx, to)
		if err != nil {
			return err
		}
		lines = append(lines, line)
	}
	if lines == nil {
		return nil
	}
	return &exit.Error{
		Code: exit.NeedsYes, Text: "this would delete", Details: lines,
		Next: "the same command with --yes",
	}
}

// within counts what is in a resource, kind by kind.
func (d *remove) within(ctx context.Context, to address) (string, error) {
	kinds, err := d.allKinds(ctx)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, k := range kinds {
		in := address{kind: k}
		switch {
		case parentPattern(k) == to.kind.Pattern:
			in.parent = to.name
		case to.kind.Kind == "Organization" && !k.Installation && parentPattern(k) == "":
			ctx = client.ForOrganization(ctx, to.name[strings.LastIndex(to.name, "/")+1:])
		default:
			continue
		}
		n, more, err := d.count(ctx, in)
		if err != nil {
			return "", err
		}
		if n > 0 {
			parts = append(parts, plural(n, more, k))
		}
	}
	line := to.kind.Kind + " " + unescape(to.name)
	if len(parts) > 0 {
		line += " with " + strings.Join(parts, ", ")
	}
	return line, nil
}

// numbered writes "1 warning", "2 warnings".
func numbered(n uint64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// plural writes "1 record", "2 records", "1000+ records".
func plural(n int, more string, k *resourcev1.KindInfo) string {
	word := collection(k)
	if n == 1 {
		word = strings.TrimSuffix(word, "s")
	}
	return fmt.Sprintf("%d%s %s", n, more, word)
}

// count counts up to a page; more is "+" where there are more.
func (d *remove) count(ctx context.Context, to address) (n int, more string, err error) {
	err = d.call(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.Resources.ListResources(ctx, &resourcev1.ListResourcesRequest{
			Kind:   to.kind.FullName,
			Parent: to.parent, PageSize: pageSize,
		})
		n = len(r.GetDocuments())
		if r.GetNextPageToken() != "" {
			more = "+"
		}
		return err
	})
	return n, more, err
}
