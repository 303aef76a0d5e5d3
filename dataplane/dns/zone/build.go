package zone

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
	"github.com/dark-ecosystem/dark/internal/tree"
)

// Editor makes the zone that follows another by a batch of changes. On a zone without
// records it gathers what is put and sorts once, as a snapshot wants it: the order
// does not matter, canonical order is fastest. Else each change copies one path of
// the tree, once a batch. An Editor is owned by one goroutine and is spent by Zone.
type Editor struct {
	z      Zone
	e      *tree.Edit
	bulk   []*Node // nil when not gathering
	owner  string  // of the last node in bulk
	sorted bool
	name   wire.Name // scratch
}

// Edit begins a batch of changes to z, which itself stays.
func (z *Zone) Edit() *Editor {
	ed := &Editor{z: *z, e: new(tree.Edit)}
	if z.sets == 0 {
		ed.bulk, ed.owner, ed.sorted = []*Node{{}}, "@", true
	}
	return ed
}

// Put sets an RRset in the place of the one of its owner and type. What cannot be
// compiled is an error and leaves what was there.
func (ed *Editor) Put(rr RRset) error {
	set, err := makeSet(rr)
	if err != nil {
		return fmt.Errorf("%s %s: %w", rr.Owner, rdata.FormatType(rr.Type), err)
	}
	if ed.bulk == nil {
		return ed.replace(rr.Owner, rr.Type, set)
	}
	last := ed.bulk[len(ed.bulk)-1]
	if rr.Owner == ed.owner {
		last.replace(rr.Type, set)
		return nil
	}
	n, err := ed.z.node(rr.Owner, &ed.name, &set)
	if err != nil {
		return err
	}
	n.replace(rr.Type, set)
	ed.sorted = ed.sorted && last.key < n.key
	ed.bulk = append(ed.bulk, n)
	ed.owner = rr.Owner
	return nil
}

// Delete removes an RRset; one that is not there is no error.
func (ed *Editor) Delete(owner string, typ uint16) error {
	ed.settle()
	return ed.replace(owner, typ, wire.Set{})
}

// Zone returns the zone after the batch.
func (ed *Editor) Zone() *Zone {
	ed.settle()
	return &ed.z
}

// settle ends the gathering.
func (ed *Editor) settle() {
	if ed.bulk == nil {
		return
	}
	if !ed.sorted {
		ed.bulk = merge(ed.bulk)
	}
	for _, n := range ed.bulk {
		ed.z.count(n, 1)
	}
	ed.z.nodes = tree.Build(ed.bulk)
	ed.bulk = nil
}

func (ed *Editor) replace(owner string, typ uint16, set wire.Set) error {
	z := &ed.z
	fresh, err := z.node(owner, &ed.name, &set)
	if err != nil {
		return err
	}
	if old, ok := z.nodes.Get(fresh.key); ok {
		fresh.sets = append(fresh.sets, old.sets...)
		z.count(old, -1)
	} else if set.Count == 0 {
		return nil
	}
	fresh.replace(typ, set)
	if len(fresh.sets) == 0 && fresh.key != "" {
		z.nodes, _ = z.nodes.Delete(ed.e, fresh.key)
		return nil
	}
	z.count(fresh, 1)
	z.nodes = z.nodes.Put(ed.e, fresh)
	return nil
}

// merge sorts nodes and joins those of one name, the later ones' sets prevailing.
func merge(nodes []*Node) []*Node {
	slices.SortStableFunc(nodes, func(a, b *Node) int { return strings.Compare(a.key, b.key) })
	out := nodes[:0]
	for _, n := range nodes {
		if len(out) == 0 || out[len(out)-1].key != n.key {
			out = append(out, n)
			continue
		}
		for _, s := range n.sets {
			out[len(out)-1].replace(s.Type, s)
		}
	}
	clear(nodes[len(out):])
	return out
}
