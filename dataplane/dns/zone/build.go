package zone

import (
	"slices"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/dns/tree"
)

// Builder makes a zone of many records at once, as a snapshot brings them: their
// order does not matter, canonical order is fastest. A Builder is owned by one
// goroutine and is spent by Zone.
type Builder struct {
	z      *Zone
	nodes  []*Node
	owner  string // of the last node
	sorted bool
}

// NewBuilder begins a zone.
func NewBuilder(apex string, soa SOA, serial uint32) (*Builder, error) {
	z, err := New(apex, soa, serial)
	if err != nil {
		return nil, err
	}
	return &Builder{z: z, nodes: []*Node{{}}, owner: "@", sorted: true}, nil
}

// Add adds an RRset; a later one of the same owner and type replaces it. What cannot
// be compiled is left out and returned as an error.
func (b *Builder) Add(rr RRset) error {
	set, err := makeSet(rr)
	if err != nil {
		return err
	}
	last := b.nodes[len(b.nodes)-1]
	if rr.Owner == b.owner {
		last.replace(rr.Type, set)
		return nil
	}
	n, err := b.z.node(rr.Owner)
	if err != nil {
		return err
	}
	n.replace(rr.Type, set)
	b.sorted = b.sorted && last.key < n.key
	b.nodes = append(b.nodes, n)
	b.owner = strings.Clone(rr.Owner)
	return nil
}

// Zone returns the zone of all that was added.
func (b *Builder) Zone() *Zone {
	z := b.z
	if !b.sorted {
		b.nodes = merge(b.nodes)
	}
	for _, n := range b.nodes {
		z.count(n, 1)
	}
	z.nodes = tree.Build(b.nodes)
	b.nodes = nil
	return z
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
