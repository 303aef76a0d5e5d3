package zone

import "github.com/dark-ecosystem/dark/dataplane/dns/wire"

// Found is what a search met.
type Found uint8

const (
	// Missing: neither the name nor a wildcard for it exists.
	Missing Found = iota
	// Exact: the name owns records.
	Exact
	// Empty: the name exists only because names below it do (RFC 4592 2.2.2).
	Empty
	// Wild: a wildcard answers for the name (RFC 4592 3.3); Node is nil when the
	// wildcard is itself an empty non-terminal.
	Wild
	// Cut: the name is at or below a delegation.
	Cut
	// Redirect: a DNAME above the name stands for it (RFC 6672 3.2).
	Redirect
)

// Result is the end of a search.
type Result struct {
	Found Found
	Node  *Node
	// Depth is the number of labels of the name that Node owns (for Wild, of the
	// closest encloser), counted from the right end of the name asked.
	Depth int
}

// Search finds the name within the zone that contains it, as RFC 1034 4.3.2 step 3
// does. parent says that the question belongs to the parent's side of a cut (DS, RFC
// 4035 3.1.4.1): a cut at the name itself is then no cut.
func (z *Zone) Search(name *wire.Name, parent bool) Result {
	if z.cuts > 0 {
		if r, ok := z.above(name, parent); ok {
			return r
		}
	}
	full := name.Labels()
	key := name.Key()[len(z.key):]
	p := z.nodes.Seek(key)
	if p.Has {
		return Result{Exact, p.At, full}
	}
	ce := z.labels
	if p.HasPrev {
		ce = max(ce, name.DepthWithin(len(z.key)+common(key, p.Prev.key)))
	}
	if p.HasNext {
		ce = max(ce, name.DepthWithin(len(z.key)+common(key, p.Next.key)))
	}
	if ce == full {
		return Result{Found: Empty, Depth: full}
	}
	return z.wildcard(name, ce)
}

// above looks from the apex down for a delegation or DNAME that the name is under. It
// stops where nothing is stored further down, so that long names of no meaning cost
// no more than others.
func (z *Zone) above(name *wire.Name, parent bool) (Result, bool) {
	full := name.Labels()
	for d := z.labels; d <= full; d++ {
		key := name.KeyOf(d)[len(z.key):]
		p := z.nodes.Seek(key)
		if p.Has {
			if d > z.labels && !(parent && d == full) && p.At.has(wire.TypeNS) {
				return Result{Cut, p.At, d}, true
			}
			if d < full && p.At.has(wire.TypeDNAME) {
				return Result{Redirect, p.At, d}, true
			}
		}
		if !p.HasNext || common(key, p.Next.key) < len(key) {
			break
		}
	}
	return Result{}, false
}

// wildcard answers for a name whose closest encloser has ce labels.
func (z *Zone) wildcard(name *wire.Name, ce int) Result {
	if z.wilds == 0 {
		return Result{Found: Missing, Depth: ce}
	}
	key := name.WildcardKey(ce)[len(z.key):]
	p := z.nodes.Seek(key)
	if p.Has {
		return Result{Wild, p.At, ce}
	}
	if p.HasNext && common(key, p.Next.key) == len(key) {
		return Result{Found: Wild, Depth: ce}
	}
	return Result{Found: Missing, Depth: ce}
}

// Glue returns the name's node whatever cut it is under, for additional sections.
func (z *Zone) Glue(name *wire.Name) (*Node, bool) {
	if !z.Contains(name) {
		return nil, false
	}
	return z.nodes.Get(name.Key()[len(z.key):])
}

// Contains reports whether the name is the apex or below it.
func (z *Zone) Contains(name *wire.Name) bool {
	k := name.Key()
	return len(k) >= len(z.key) && k[:len(z.key)] == z.key
}

// common is the length of the prefix that a and b share.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
