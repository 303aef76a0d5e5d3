package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/document"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

const (
	// maxDocuments is what one transaction takes (resource.proto, ApplyRequest).
	maxDocuments = 2000
	// maxOctets is what one transaction takes of documents, beside what the server adds of
	// names and conditions.
	maxOctets = 400_000
)

// batch is what goes in one transaction.
type batch struct {
	docs   []*document.Document
	values []*structpb.Struct
	above  int // of the documents, the first so many are of an earlier part, for a dry run
	gone   []*resourcev1.ResourceReference
	octets int
}

// split parts the documents, parents before what is below them. What ends goes with the
// documents of the same owner, which take its place, or else with the last part.
func (a *apply) split(docs []*document.Document, gone []*resourcev1.ResourceReference) ([]*batch, error) {
	docs = slices.Clone(docs)
	slices.SortStableFunc(docs, func(x, y *document.Document) int { return a.depth(x) - a.depth(y) })
	most, octets := maxDocuments, maxOctets
	if a.dryRun && !a.atomic && len(docs) > maxDocuments {
		most, octets = most/2, octets/2 // room for the zones of earlier parts
	}
	parts := []*batch{{}}
	owners := map[string]*batch{}
	for _, d := range docs {
		v, err := structpb.NewStruct(writable(d.Value))
		if err != nil {
			return nil, exit.New(exit.Failed, "", "%s: %w", d.At(""), err)
		}
		p := parts[len(parts)-1]
		size := proto.Size(v) + 4*len(d.Text("name"))
		if len(p.docs) == most || len(p.docs) > 0 && p.octets+size > octets {
			p = &batch{}
			parts = append(parts, p)
		}
		p.docs, p.values, p.octets = append(p.docs, d), append(p.values, v), p.octets+size
		owners[ownerOf(a.fullName(d))] = p
	}
	for _, g := range gone {
		p := owners[ownerOf(strings.ToLower(g.Name))]
		if p == nil {
			p = parts[len(parts)-1]
		}
		if len(p.gone) == maxDocuments {
			return nil, exit.New(exit.Failed, "prune in parts, by label",
				"more than %d resources end in one transaction", maxDocuments)
		}
		p.gone = append(p.gone, g)
	}
	if len(parts) > 1 && a.atomic {
		return nil, exit.New(exit.Failed, "without --atomic they go in "+fmt.Sprint(len(parts))+" transactions",
			"%d documents are more than one transaction takes (%d documents, %d octets)", len(docs), maxDocuments,
			maxOctets)
	}
	return parts, nil
}

// ownerOf is a name without its last part: what record sets of one owner have in common.
func ownerOf(name string) string { return name[:max(strings.LastIndexByte(name, '/'), 0)] }

func (a *apply) depth(d *document.Document) int {
	if k := findKind(a.kinds, d.Text("kind")); k != nil {
		return variables(k.Pattern)
	}
	return 0
}

// fullName is a document's name with all parts of its kind's pattern, in lower case.
func (a *apply) fullName(d *document.Document) string {
	name := d.Text("name")
	k := findKind(a.kinds, d.Text("kind"))
	if k == nil || matches(k.Pattern, name) {
		return strings.ToLower(name)
	}
	if full := spread(k.Pattern, name); full != "" {
		return strings.ToLower(full)
	}
	if values := strings.Split(name, "/"); len(values) == variables(k.Pattern) {
		return strings.ToLower(fill(k.Pattern, values))
	}
	return strings.ToLower(name)
}

// applyParts sends the parts in order and joins the answers. What the server finds too large
// for a transaction goes in halves.
func (a *apply) applyParts(ctx context.Context, parts []*batch) (*resourcev1.ApplyResponse, error) {
	if len(parts) > 1 && !a.dryRun {
		fmt.Fprintf(a.Err, "%d documents go in %d transactions; a refusal stops between two of them, and the same "+
			"command goes on\n", count(parts), len(parts))
	}
	id := a.id()
	out := &resourcev1.ApplyResponse{}
	done := 0
	for n := 0; n < len(parts); n++ {
		r, err := a.send(ctx, a.withParents(parts, n), id, len(parts) > 1, n)
		if exit.TooLarge(err) && len(parts[n].docs) > 1 && !a.atomic {
			parts = slices.Replace(parts, n, n+1, parts[n].halves()...)
			n--
			continue
		}
		if err != nil {
			return nil, a.stopped(ctx, err, parts, n, out.Revision)
		}
		out.Revision, out.Changes = r.Revision, append(out.Changes, r.Changes...)
		if done += len(parts[n].docs); len(parts) > 1 && !a.dryRun {
			fmt.Fprintf(a.Err, "%d of %d documents, revision %d\n", done, count(parts), r.Revision)
		}
	}
	return out, nil
}

func count(parts []*batch) (n int) {
	for _, p := range parts {
		n += len(p.docs)
	}
	return n
}

// halves parts a part that is too large for a transaction after all.
func (p *batch) halves() []*batch {
	m := len(p.docs) / 2
	return []*batch{{docs: p.docs[:m], values: p.values[:m]}, {docs: p.docs[m:], values: p.values[m:], gone: p.gone}}
}

// withParents adds to a part that is only tried the zones that earlier parts would have
// made by then.
func (a *apply) withParents(parts []*batch, n int) *batch {
	p := parts[n]
	if !a.dryRun || n == 0 {
		return p
	}
	needed := map[string]bool{}
	for _, d := range p.docs {
		needed[a.parentOf(d)] = true
	}
	tried := &batch{gone: p.gone}
	for _, earlier := range parts[:n] {
		for i, d := range earlier.docs {
			if needed[a.fullName(d)] {
				tried.docs, tried.values = append(tried.docs, d), append(tried.values, earlier.values[i])
			}
		}
	}
	tried.above = len(tried.docs)
	tried.docs, tried.values = append(tried.docs, p.docs...), append(tried.values, p.values...)
	return tried
}

// parentOf is the name of what a document's resource is in, "" for none.
func (a *apply) parentOf(d *document.Document) string {
	k := findKind(a.kinds, d.Text("kind"))
	if k == nil || parentPattern(k) == "" {
		return ""
	}
	parts := strings.Split(a.fullName(d), "/")
	n := len(strings.Split(parentPattern(k), "/"))
	return strings.Join(parts[:min(n, len(parts))], "/")
}

func (a *apply) send(ctx context.Context, p *batch, id string, several bool, n int) (*resourcev1.ApplyResponse, error) {
	if several {
		id = fmt.Sprintf("%s/%d", id, n+1)
	}
	q := &resourcev1.ApplyRequest{
		Documents: p.values, DryRun: a.dryRun, RequestId: id, Reason: a.reason, IfUnchangedSince: a.unchanged,
		Replace: a.replace, Deletions: p.gone,
	}
	var r *resourcev1.ApplyResponse
	err := a.call(ctx, func(ctx context.Context, c *client.Client) (err error) {
		r, err = c.Resources.Apply(ctx, q)
		return err
	})
	if err != nil {
		e := *exit.Of(located(err, p.docs))
		if !a.replace && strings.Contains(e.Error(), besideOthers) {
			e.Next = nextReplace
		}
		return nil, &e
	}
	r.Changes = slices.Delete(r.Changes, 0, min(p.above, len(r.Changes)))
	return r, nil
}

// stopped adds to a refusal what is done already, and for a conflict what is there now.
func (a *apply) stopped(ctx context.Context, err error, parts []*batch, n int, revision uint64) error {
	e := *exit.Of(err)
	if e.Code == exit.Conflict {
		a.bothSides(ctx, a.withParents(parts, n))
	}
	if n == 0 || a.dryRun {
		return &e
	}
	d := parts[n].docs[0]
	e.Details = append(e.Details, fmt.Sprintf("done: %d of %d documents, up to revision %d; not done: from %s on",
		count(parts[:n]), count(parts), revision, d.At("")))
	if e.Next == "" {
		e.Next = "mend that and run the same command: it goes on from there"
	}
	return &e
}

// bothSides shows a conflict: what is there now against what the documents say.
func (a *apply) bothSides(ctx context.Context, p *batch) {
	q := &resourcev1.ApplyRequest{DryRun: true, Replace: a.replace, Deletions: p.gone}
	for _, v := range p.values {
		v = proto.Clone(v).(*structpb.Struct)
		delete(v.Fields, "etag")
		q.Documents = append(q.Documents, v)
	}
	err := a.call(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.Resources.Apply(ctx, q)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.Err, "what is there now (-) and what the documents say (+):")
		return a.style().Changes(a.Err, r.Changes)
	})
	if err != nil {
		fmt.Fprintf(a.Err, "what is there now cannot be shown: %v\n", err)
	}
}
