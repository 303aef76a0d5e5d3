package serve

import (
	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// referral answers with a delegation. Only as the first step is it without authority:
// AA is about the first owner in the answer (RFC 1035 4.1.1).
func (x *exchange) referral(z *zone.Zone, r zone.Result, first bool) {
	if first {
		x.flags &^= wire.FlagAA
	}
	ns, _ := r.Node.Set(wire.TypeNS)
	if !x.put(wire.Authority, r.Depth, ns) {
		return
	}
	cut := x.name.KeyOf(r.Depth)
	x.glue(z, cut, ns, true)
	x.glue(z, cut, ns, false)
}

// glue adds the addresses of the servers below the cut, without which the referral is
// useless (RFC 9471 3.1: all of them, or TC), then those of the zone's other names,
// as far as they fit (3.2).
func (x *exchange) glue(z *zone.Zone, cut string, ns wire.Set, below bool) {
	for i := 0; ; {
		target, next, ok := ns.Next(i)
		if !ok {
			return
		}
		i = next
		if x.aside.ParseString(target) == 0 || x.under(cut) != below {
			continue
		}
		n, ok := z.Glue(&x.aside)
		if !ok {
			continue
		}
		if !x.addresses(target, n) && below {
			x.full = true
			return
		}
	}
}

// under reports whether the name in x.aside is at or below the cut.
func (x *exchange) under(cut string) bool {
	k := x.aside.Key()
	return len(k) >= len(cut) && k[:len(cut)] == cut
}

func (x *exchange) addresses(owner string, n *zone.Node) bool {
	for _, typ := range [...]uint16{wire.TypeA, wire.TypeAAAA} {
		if set, ok := n.Set(typ); ok && !x.b.AddAt(wire.Additional, owner, set) {
			return false
		}
	}
	return true
}
