// Package zone holds compiled zones: what admission compiles, what edges answer from.
// It is pure: no clock, no network, no randomness.
//
// A Zone is immutable. Its names are in a persistent tree (package tree) in the
// canonical order of RFC 4034 6.1, so that the neighbours of a name, zone cuts, empty
// non-terminals (which are not stored: a name exists when a stored name is below it)
// and wildcards are each one search; a change copies one path of the tree. A name
// costs about 150 octets with one A record, 65 more with a second RRset, 40 for each
// further one, and the records' own octets. A name with one small RRset, which nearly
// all are, is two allocations: the node with the set's head, and key, labels and records
// in one string, so that a search meets few cache lines.
//
// A Node's sets are the type set that answers today. Steering will put variants (other
// contents of one RRset, and other type sets) beside them without touching the tree:
// a Node stays the unit that a change replaces.
package zone

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
	"github.com/dark-ecosystem/dark/internal/tree"
)

// SOA is what a zone's SOA record says but for the serial. Names are absolute in
// presentation format, with or without the last dot.
type SOA struct {
	MName, RName                    string
	Refresh, Retry, Expire, Minimum uint32
	TTL                             uint32
}

// Zone is a compiled zone.
type Zone struct {
	apex   string // presentation, without the last dot
	wire   string // the apex in wire format
	key    string // and its key
	labels int

	soa      SOA
	serial   uint32
	soaSet   wire.Set // the SOA as an answer
	negative wire.Set // the SOA as RFC 2308 3 puts it in negative answers

	number uint32 // for counting; 0 when none was given

	nodes tree.Tree[*Node]
	sets  int
	cuts  int // names below the apex with NS, and names with DNAME
	wilds int // names with a label "*"
}

// Node is a name that owns records.
type Node struct {
	key    string // relative to the apex
	labels string // wire format relative to the apex, case kept
	sets   []wire.Set
	one    [1]wire.Set // where sets is when there is one: beside the node, in its cache lines
}

// TreeKey is the node's key within its zone.
func (n *Node) TreeKey() string { return n.key }

// Owner is the node's name relative to the apex in presentation format.
func (n *Node) Owner() string { return rdata.FormatLabels(n.labels) }

// Set returns the RRset of a type.
func (n *Node) Set(typ uint16) (wire.Set, bool) {
	for i := range n.sets {
		if n.sets[i].Type == typ {
			return n.sets[i], true
		}
	}
	return wire.Set{}, false
}

// Sets are the node's RRsets in order of type; not to be changed.
func (n *Node) Sets() []wire.Set { return n.sets }

func (n *Node) has(typ uint16) bool {
	_, ok := n.Set(typ)
	return ok
}

// New returns a zone without records but its SOA.
func New(apex string, soa SOA, serial uint32) (*Zone, error) {
	z := &Zone{apex: apex}
	var err error
	if z.wire, err = apexToWire(apex); err != nil {
		return nil, fmt.Errorf("zone %s: %w", apex, err)
	}
	z.key = string(wire.AppendKey(nil, z.wire))
	z.labels = strings.Count(z.key, "\x00")
	z.nodes = z.nodes.Put(new(tree.Edit), &Node{})
	return z.WithSOA(soa, serial)
}

// WithSOA returns the zone with another SOA.
func (z *Zone) WithSOA(soa SOA, serial uint32) (*Zone, error) {
	next := *z
	if err := next.setSOA(soa, serial); err != nil {
		return nil, fmt.Errorf("zone %s: %w", z.apex, err)
	}
	return &next, nil
}

func (z *Zone) setSOA(soa SOA, serial uint32) error {
	rr := &dns.SOA{
		Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET},
		Ns:  dns.Fqdn(soa.MName), Mbox: dns.Fqdn(soa.RName), Serial: serial,
		Refresh: soa.Refresh, Retry: soa.Retry, Expire: soa.Expire, Minttl: soa.Minimum,
	}
	rd, err := packRData(rr)
	if err != nil {
		return fmt.Errorf("SOA: %w", err)
	}
	set := RRset{Type: dns.TypeSOA, TTL: soa.TTL, RData: [][]byte{rd}}
	if z.soaSet, err = makeSet(set); err != nil {
		return fmt.Errorf("SOA: %w", err)
	}
	set.TTL = min(soa.TTL, soa.Minimum) // RFC 2308 5
	if z.negative, err = makeSet(set); err != nil {
		return fmt.Errorf("SOA: %w", err)
	}
	z.soa, z.serial = soa, serial
	return nil
}

// Numbered returns the zone with a number, by which servers count its queries.
func (z *Zone) Numbered(n uint32) *Zone {
	next := *z
	next.number = n
	return &next
}

// Number is the number that Numbered gave.
func (z *Zone) Number() uint32 { return z.number }

// Apex is the zone's name without the last dot.
func (z *Zone) Apex() string { return z.apex }

// Wire is the zone's name in wire format.
func (z *Zone) Wire() string { return z.wire }

// TreeKey is the zone's key among zones.
func (z *Zone) TreeKey() string { return z.key }

// Labels is the number of labels of the apex.
func (z *Zone) Labels() int { return z.labels }

// Serial is the SOA's serial.
func (z *Zone) Serial() uint32 { return z.serial }

// Settings are what the SOA says but for the serial.
func (z *Zone) Settings() SOA { return z.soa }

// SOA returns the zone's SOA as an answer.
func (z *Zone) SOA() wire.Set { return z.soaSet }

// Negative returns the zone's SOA with the TTL of negative answers (RFC 2308 5).
func (z *Zone) Negative() wire.Set { return z.negative }

// Names is the number of names that own records, the apex included.
func (z *Zone) Names() int { return z.nodes.Len() }

// RRsets is the number of RRsets, the SOA not counted.
func (z *Zone) RRsets() int { return z.sets }

// Ascend calls f with each name in canonical order until f returns false.
func (z *Zone) Ascend(f func(*Node) bool) { z.nodes.Ascend("", f) }

// RRset returns a node's set as an RRset of its own, for export.
func (n *Node) RRset(set wire.Set) RRset {
	rr := RRset{Owner: n.Owner(), Type: set.Type, TTL: set.TTL}
	for i := 0; ; {
		rd, next, ok := set.Next(i)
		if !ok {
			return rr
		}
		rr.RData = append(rr.RData, []byte(rd))
		i = next
	}
}

// Change replaces one RRset, or deletes it when RRset is nil.
type Change struct {
	Owner string
	Type  uint16
	RRset *RRset
}

// Refusal says why the change at Index was left out.
type Refusal struct {
	Index  int
	Reason string
}

// With returns the zone after changes, in order, sharing with z all that they do not
// touch. A change that cannot be compiled leaves what was there.
func (z *Zone) With(serial uint32, changes []Change) (*Zone, []Refusal) {
	next := *z
	var bad []Refusal
	if serial != z.serial {
		if err := next.setSOA(z.soa, serial); err != nil {
			return z, []Refusal{{-1, err.Error()}}
		}
	}
	ed := next.Edit()
	for i, c := range changes {
		if err := ed.apply(c); err != nil {
			bad = append(bad, Refusal{i, err.Error()})
		}
	}
	return ed.Zone(), bad
}

func (ed *Editor) apply(c Change) error {
	if c.RRset == nil {
		return ed.Delete(c.Owner, c.Type)
	}
	rr := *c.RRset
	rr.Owner, rr.Type = c.Owner, c.Type
	return ed.Put(rr)
}

// besideKey is the most octets of an RRset that are put beside its owner's key.
const besideKey = 128

// node returns a node without sets for a relative owner; n is scratch. A small set that
// the node will hold moves its octets beside the key, into the cache line that a search
// has just read.
func (z *Zone) node(owner string, n *wire.Name, set *wire.Set) (*Node, error) {
	var room [wire.MaxName + 64]byte
	name, err := appendOwner(room[:0], owner, z.wire)
	if err != nil {
		return nil, err
	}
	if n.Parse(name) == 0 {
		return nil, errors.New("owner " + owner + " is not a name")
	}
	key := n.Key()[len(z.key):]
	labels := name[:len(name)-len(z.wire)]
	beside := ""
	if len(set.Wire) <= besideKey {
		beside = set.Wire
	}
	all := make([]byte, 0, len(key)+len(labels)+len(beside)) // one allocation holds all
	all = append(append(append(all, key...), labels...), beside...)
	s := stringOf(all)
	if beside != "" {
		set.Wire = s[len(key)+len(labels):]
	}
	fresh := &Node{key: s[:len(key)], labels: s[len(key) : len(key)+len(labels)]}
	fresh.sets = fresh.one[:0]
	return fresh, nil
}

// replace puts set in the place of typ, or nothing when set is the zero Set.
func (n *Node) replace(typ uint16, set wire.Set) {
	i, ok := slices.BinarySearchFunc(n.sets, typ, func(s wire.Set, t uint16) int { return int(s.Type) - int(t) })
	switch {
	case ok && set.Count == 0:
		n.sets = slices.Delete(n.sets, i, i+1)
	case ok:
		n.sets[i] = set
	case set.Count > 0:
		n.sets = slices.Insert(n.sets, i, set)
	}
}

// count adds by times the node's part in the zone's counts.
func (z *Zone) count(n *Node, by int) {
	z.sets += by * len(n.sets)
	if n.key != "" && n.has(wire.TypeNS) || n.has(wire.TypeDNAME) {
		z.cuts += by
	}
	if strings.HasPrefix(n.key, "*\x00") || strings.Contains(n.key, "\x00*\x00") {
		z.wilds += by
	}
}

// stringOf is b as a string without a copy; b must not be changed afterwards.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
