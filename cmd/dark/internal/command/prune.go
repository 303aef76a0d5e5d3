package command

import (
	"context"
	"strings"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/document"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// unwanted lists what --prune ends: resources of the documents' kinds that have the label and no
// document. Record sets are looked for in each zone that is a document, or has a record set among
// the documents.
func (a *apply) unwanted(ctx context.Context, docs []*document.Document) ([]*resourcev1.ResourceReference, error) {
	key, value, ok := strings.Cut(a.selector, "=")
	switch {
	case !a.prune && a.selector == "":
		return nil, nil
	case !a.prune || !ok || key == "":
		return nil, exit.New(exit.Usage, "--prune -l team=web", "--prune goes by a label, and needs -l KEY=VALUE")
	}
	wanted := map[string]bool{}
	var lists []address
	seen := map[string]bool{}
	look := func(to address) {
		if id := to.kind.FullName + " " + to.parent; !seen[id] {
			seen[id] = true
			lists = append(lists, to)
		}
	}
	for _, d := range docs {
		wanted[a.fullName(d)] = true
		k := findKind(a.kinds, d.Text("kind"))
		look(address{kind: k, parent: a.parentOf(d)})
		// Of a zone's last record set no document is left: the zone's own document leads to it.
		for _, below := range a.kinds {
			if parentPattern(below) == k.Pattern {
				look(address{kind: below, parent: a.fullName(d)})
			}
		}
	}
	var gone []*resourcev1.ResourceReference
	for _, to := range lists {
		err := a.pages(ctx, to, at{}, func(page []map[string]any) error {
			for _, doc := range page {
				labels, _ := doc["labels"].(map[string]any)
				name, _ := doc["name"].(string)
				if labels[key] == value && !wanted[strings.ToLower(name)] {
					gone = append(gone, &resourcev1.ResourceReference{Kind: to.kind.FullName, Name: name})
				}
			}
			return nil
		})
		if e := exit.Of(err); e != nil && e.Code != exit.NotFound { // a zone that the documents make has nothing yet
			return nil, err
		}
	}
	return gone, nil
}
