package serve

import (
	"hash/maphash"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// maxChain is the most CNAME and DNAME steps that one answer follows.
const maxChain = 16

// resolve follows the question through our zones, as RFC 1034 4.3.2 does.
func (x *exchange) resolve() {
	x.name, x.nseen, x.ndnames = &x.q.Name, 0, 0
	for x.step() {
		if x.nseen > maxChain || x.looped() {
			return
		}
	}
}

// step answers for one name; it reports whether an alias leads on, x.name then being
// its target.
func (x *exchange) step() bool {
	first := x.nseen == 0
	x.see()
	parent := x.q.Type == wire.TypeDS
	z := x.view.Zones.Find(x.name, parent)
	if z == nil && parent {
		z = x.view.Zones.Find(x.name, false) // the child's side says no such data
	}
	if z == nil {
		if first {
			x.refuse(edeNotAuthoritative)
		}
		return false
	}
	if first {
		x.zone = z
		x.flags |= wire.FlagAA
	}
	r := z.Search(x.name, parent)
	switch r.Found {
	case zone.Exact, zone.Wild:
		return x.data(z, r)
	case zone.Empty:
		x.negative(z)
	case zone.Missing:
		x.rcode = wire.NXDomain
		x.negative(z)
	case zone.Cut:
		x.referral(z, r, first)
	case zone.Redirect:
		return x.redirect(r)
	}
	return false
}

// data answers from the sets of a node.
func (x *exchange) data(z *zone.Zone, r zone.Result) bool {
	n := r.Node
	if n == nil { // a wildcard that is an empty non-terminal
		x.negative(z)
		return false
	}
	if set, ok := x.pick(z, n); ok {
		x.put(wire.Answer, x.name.Labels(), set)
		return false
	}
	alias, ok := n.Set(wire.TypeCNAME)
	if !ok {
		x.negative(z)
		return false
	}
	return x.put(wire.Answer, x.name.Labels(), alias) && x.follow(alias)
}

// pick is the set that answers the type asked.
func (x *exchange) pick(z *zone.Zone, n *zone.Node) (wire.Set, bool) {
	apex := n.TreeKey() == ""
	switch {
	case x.q.Type == wire.TypeSOA && apex:
		return z.SOA(), true
	case x.q.Type != wire.TypeANY:
		return n.Set(x.q.Type)
	case len(n.Sets()) > 0:
		return n.Sets()[0], true // RFC 8482 4.1: one RRset of those there are
	}
	return z.SOA(), apex
}

// put appends a set owned by the depth rightmost labels of the name in question.
func (x *exchange) put(s wire.Section, depth int, set wire.Set) bool {
	var ok bool
	if x.name == &x.q.Name {
		ok = x.b.Add(s, wire.Question(x.name, depth), set)
	} else {
		ok = x.b.AddAt(s, x.name.WireString()[x.name.Offset(depth):], set)
	}
	if !ok {
		x.full = true
	}
	return ok
}

// follow makes the target of an alias the name in question.
func (x *exchange) follow(alias wire.Set) bool {
	rd, _, ok := alias.Next(0)
	next := x.other()
	if !ok || next.ParseString(rd) == 0 {
		return false
	}
	x.name = next
	return true
}

// other is the target's place that the name in question does not use.
func (x *exchange) other() *wire.Name {
	if x.name == &x.targets[0] {
		return &x.targets[1]
	}
	return &x.targets[0]
}

// redirect answers with a DNAME and the CNAME made from it (RFC 6672 3.1).
func (x *exchange) redirect(r zone.Result) bool {
	set, _ := r.Node.Set(wire.TypeDNAME)
	switch before, ok := x.usedDNAME(r.Node); {
	case ok && before < len(x.name.WireString()):
		return false // it leads below itself: each round is longer, and none is the last
	case !ok && !x.put(wire.Answer, r.Depth, set):
		return false
	case !ok:
		x.dnames[x.ndnames] = dnameStep{r.Node, len(x.name.WireString())}
		x.ndnames++
	}
	rd, _, _ := set.Next(0)
	next := x.other()
	if !next.Rebase(x.name, r.Depth, rd) {
		x.rcode = wire.YXDomain // RFC 6672 2.2: the new name is too long
		return false
	}
	if !x.b.AddCNAME(x.name.WireString(), set.TTL, next) {
		x.full = true
		return false
	}
	if x.q.Type == wire.TypeCNAME || x.q.Type == wire.TypeANY {
		return false // the CNAME is the answer
	}
	x.name = next
	return true
}

// dnameStep is a DNAME that an answer has, and the length of the name that first met it.
type dnameStep struct {
	node   *zone.Node
	length int
}

// usedDNAME tells whether a DNAME is in the answer already: each is there once, however many
// names it renames.
func (x *exchange) usedDNAME(n *zone.Node) (length int, ok bool) {
	for _, d := range x.dnames[:x.ndnames] {
		if d.node == n {
			return d.length, true
		}
	}
	return 0, false
}

// negative adds the SOA of RFC 2308 2.
func (x *exchange) negative(z *zone.Zone) {
	x.put(wire.Authority, z.Labels(), z.Negative())
}

// see remembers the name in question; looped reports whether it was there before.
func (x *exchange) see() {
	x.seen[x.nseen] = maphash.String(x.seed, x.name.Key())
	x.nseen++
}

func (x *exchange) looped() bool {
	h := maphash.String(x.seed, x.name.Key())
	for _, s := range x.seen[:x.nseen] {
		if s == h {
			return true
		}
	}
	return false
}
