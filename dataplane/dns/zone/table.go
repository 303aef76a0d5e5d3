package zone

import (
	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
	"github.com/dark-ecosystem/dark/internal/tree"
)

// Table is an immutable set of zones. The zero Table is empty.
type Table struct{ zones tree.Tree[*Zone] }

// With returns the table with a zone, in the place of the one of the same apex.
func (t Table) With(z *Zone) Table { return t.WithEdit(nil, z) }

// WithEdit is With as a part of a batch.
func (t Table) WithEdit(e *tree.Edit, z *Zone) Table {
	return Table{t.zones.Put(e, z)}
}

// Without returns the table without the zone of an apex.
func (t Table) Without(apex string) Table {
	w, err := apexToWire(apex)
	if err != nil {
		return t
	}
	zones, _ := t.zones.Delete(nil, string(wire.AppendKey(nil, w)))
	return Table{zones}
}

// Len is the number of zones.
func (t Table) Len() int { return t.zones.Len() }

// Zone returns the zone of an apex.
func (t Table) Zone(apex string) (*Zone, bool) {
	w, err := apexToWire(apex)
	if err != nil {
		return nil, false
	}
	return t.zones.Get(string(wire.AppendKey(nil, w)))
}

// Ascend calls f with each zone in canonical order until f returns false.
func (t Table) Ascend(f func(*Zone) bool) { t.zones.Ascend("", f) }

// Find returns the zone nearest above the name, or the zone of the name itself, which
// is passed over when parent is set (the parent's side of a cut answers for DS).
func (t Table) Find(name *wire.Name, parent bool) *Zone {
	full := name.Labels()
	if parent {
		full--
	}
	for full >= 0 {
		key := name.KeyOf(full)
		p := t.zones.Seek(key)
		if p.Has {
			return p.At
		}
		if !p.HasPrev {
			return nil
		}
		// The nearest zone at or before the key either contains the name, or shares
		// with it fewer labels, beyond which no zone of ours contains it.
		n := common(key, p.Prev.key)
		if n == len(p.Prev.key) {
			return p.Prev
		}
		d := name.DepthWithin(n)
		if d >= full {
			d = full - 1
		}
		full = d
	}
	return nil
}
