// Package dns is the edge side of authoritative DNS: it compiles published records
// into the View that the servers (package serve) answer from. A View is immutable;
// Compile makes the next one and shares with the last what did not change.
package dns

import (
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
	"github.com/dark-ecosystem/dark/internal/tree"
)

// View is what this edge answers from.
type View struct {
	// Zones are the zones that are served.
	Zones zone.Table
	// all is what is known of each zone, served or not.
	all tree.Tree[*known]
	// numbers is the last number given to a zone for counting.
	numbers uint32
}

// known is what this edge was told of one apex. It is immutable.
type known struct {
	apex   string
	number uint32
	served *settings    // nil until the zone itself is published
	gens   []generation // by rising number
}

// settings are what a published zone says of itself.
type settings struct {
	generation uint64
	serial     uint32
	soa        zone.SOA
	ended      []uint64
}

// generation is the record sets of one generation, kept beside the active one until
// the zone's settings name it.
type generation struct {
	number uint64
	zone   *zone.Zone
}

// TreeKey is the apex: order does not matter here.
func (k *known) TreeKey() string { return k.apex }

// active is the zone to serve, nil when there is none.
func (k *known) active() (*zone.Zone, error) {
	if k.served == nil {
		return nil, nil
	}
	for _, g := range k.gens {
		if g.number == k.served.generation {
			return k.numbered(g.zone.WithSOA(k.served.soa, k.served.serial))
		}
	}
	return k.numbered(zone.New(k.apex, k.served.soa, k.served.serial))
}

func (k *known) numbered(z *zone.Zone, err error) (*zone.Zone, error) {
	if err != nil {
		return nil, err
	}
	return z.Numbered(k.number), nil
}
