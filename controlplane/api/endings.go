package api

import (
	"context"
	"slices"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// ending is one resource that ends in an apply.
type ending struct {
	k    *kind.Kind
	name string
}

// endings ends what an apply names, and with replace what cannot stand beside its documents;
// children before parents, and all before the documents are written.
func (s *resources) endings(ctx context.Context, tx *admit.Tx, q *resourcev1.ApplyRequest,
	items []*item,
) ([]admit.Change, error) {
	written := map[ending]bool{}
	for _, it := range items {
		name, err := admit.Canonical(it.k, admit.Text(it.m, "name"))
		if err == nil { // what is no name is told with the documents
			written[ending{it.k, name}] = true
		}
	}
	todo, err := s.asked(q, written)
	if err != nil {
		return nil, err
	}
	if q.Replace {
		for e := range written {
			more, err := displaced(ctx, tx, e)
			if err != nil {
				return nil, err
			}
			todo = append(todo, more...)
		}
	}
	slices.SortFunc(todo, func(a, b ending) int {
		if d := admit.Depth(b.k) - admit.Depth(a.k); d != 0 {
			return d
		}
		return compareNames(a, b)
	})
	var made []admit.Change
	for _, e := range slices.Compact(todo) {
		if written[e] {
			continue // displaced by one document and written by another: that is refused by name
		}
		ch, err := tx.Delete(ctx, e.k, e.name, admit.Options{})
		if err == nil && q.IfUnchangedSince > 0 {
			err = unchanged(ctx, tx, ch, q.IfUnchangedSince)
		}
		if err != nil {
			return nil, err
		}
		made = append(made, ch)
	}
	return made, nil
}

func compareNames(a, b ending) int {
	switch {
	case a.k.FullName()+"/"+a.name < b.k.FullName()+"/"+b.name:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// asked are the resources that the request names to end.
func (s *resources) asked(q *resourcev1.ApplyRequest, written map[ending]bool) ([]ending, error) {
	var out []ending
	for _, d := range q.Deletions {
		k, err := s.find(d.Kind)
		if err != nil {
			return nil, err
		}
		name, err := admit.Canonical(k, d.Name)
		if err != nil {
			return nil, err
		}
		if written[ending{k, name}] {
			return nil, errs.Bad(errs.Field{Name: "deletions", Text: name + " is a document, too"})
		}
		out = append(out, ending{k, name})
	}
	return out, nil
}

// displaced are what cannot stand beside a resource.
func displaced(ctx context.Context, tx *admit.Tx, e ending) ([]ending, error) {
	if e.k.Displaces == nil || e.k.Locate == nil {
		return nil, nil
	}
	org := tx.OrganizationOf(e.k)
	stored, _, err := e.k.Locate(ctx, tx.Reader(), org, e.name)
	if errs.Is(err, errs.NotFound) {
		return nil, nil // its parent is made by the same documents
	}
	if err != nil {
		return nil, err
	}
	names, err := e.k.Displaces(ctx, tx.Reader(), org, stored)
	out := make([]ending, len(names))
	for i, n := range names {
		out[i] = ending{e.k, n}
	}
	return out, err
}
