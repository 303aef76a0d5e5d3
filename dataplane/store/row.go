package store

// A row's value in the database: a header in the clear, then the sealed value.
//
//	format (1) = 1, or 2 where the extents are in lists beside the row (list.go)
//	bits (1)      1 marker, 2 null, 4 counts
//	flags         uvarint
//	size          uvarint
//	time          8, Unix nanoseconds
//	amended       uvarint, less the version
//	tag           length (1), octets
//	extents       uvarint count; each: id (16), length uvarint, slot (4)
//	lists         in their place in format 2: uvarint count; each: extents uvarint, length in the clear
//	              uvarint, SHA-256 of the list (32)
//	sealed value  uvarint length; key version (4), seal.Values of the value
//
// The seal's associated data is everything that the proposer knew: the row's space and
// key, bits without null, flags, size, tag and extents, or lists. A row whose header was changed
// does not open.

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

const (
	rowFormat       = 1
	rowFormatListed = 2

	bitMarker = 1
	bitNull   = 2
	bitCounts = 4
)

var errRow = errors.New("the row's header is not one")

// row is a row's value, parsed; slices share the value's octets.
type row struct {
	bits    byte
	flags   uint32
	size    uint64
	time    int64
	amended uint64 // less the version
	tag     []byte
	extents []byte // n of them, as stored; none where they are in lists
	lists   []byte // their heads, as stored
	listed  int    // how many lists there are
	n       int
	sealed  []byte
}

func (r *row) is(bit byte) bool { return r.bits&bit != 0 }

func (r *row) append(dst []byte) []byte {
	format := byte(rowFormat)
	if r.listed > 0 {
		format = rowFormatListed
	}
	dst = append(dst, format, r.bits)
	dst = binary.AppendUvarint(dst, uint64(r.flags))
	dst = binary.AppendUvarint(dst, r.size)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.time))
	dst = binary.AppendUvarint(dst, r.amended)
	dst = append(append(dst, byte(len(r.tag))), r.tag...)
	if r.listed > 0 {
		dst = append(binary.AppendUvarint(dst, uint64(r.listed)), r.lists...)
	} else {
		dst = append(binary.AppendUvarint(dst, uint64(r.n)), r.extents...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.sealed)))
	return append(dst, r.sealed...)
}

// parse reads a row's value.
func (r *row) parse(v []byte) error {
	p := parser{b: v}
	format := p.byte()
	if format != rowFormat && format != rowFormatListed {
		return errRow
	}
	r.bits = p.byte()
	p.refuse(r.bits&^(bitMarker|bitNull|bitCounts) != 0)
	r.flags = uint32(p.atMost(math.MaxUint32))
	r.size = p.atMost(math.MaxInt64)
	r.time = int64(p.uint64())
	r.amended = p.uvarint()
	r.tag = p.bytes(int(p.byte()))
	r.n, r.listed, r.extents, r.lists = 0, 0, nil, nil
	if format == rowFormatListed {
		r.parseLists(&p)
	} else {
		r.parseExtents(&p)
	}
	r.sealed = p.bytes(p.length(1))
	if p.bad || len(p.b) != 0 {
		return errRow
	}
	return nil
}

func (r *row) parseExtents(p *parser) {
	r.n = p.length(minExtent)
	r.extents = p.b
	for range r.n {
		p.extent()
	}
	r.extents = r.extents[:len(r.extents)-len(p.b)]
}

// each goes over the extents that are in the row itself; eachRef over all.
func (r *row) each(f func(extentRef)) {
	p := parser{b: r.extents}
	for len(p.b) > 0 {
		f(p.extent())
	}
}

func (r *row) refs(dst []extentRef) []extentRef {
	r.each(func(e extentRef) { dst = append(dst, e) })
	return dst
}

// maxExtentLen bounds what is believed of an extent's length; ExtentSize is what they have.
const maxExtentLen = 1 << 30

// minExtent is the least that an extent takes in a row.
const minExtent = len(ID{}) + 1 + 4

func appendExtentRef(dst []byte, e extentRef) []byte {
	dst = binary.AppendUvarint(append(dst, e.id[:]...), uint64(e.length))
	return binary.BigEndian.AppendUint32(dst, e.slot)
}

func appendRefs(dst []byte, refs []*storev1.ExtentRef) []byte {
	for _, e := range refs {
		dst = appendExtentRef(dst, extentRef{id: ID(e.Id), length: e.Length, slot: e.Slot})
	}
	return dst
}

// public is the row as services see it, but for Current and Value.
func (r *row) public(key []byte, v Version, refs []extentRef, far []farList) Row {
	return Row{
		Key: key, Version: v, Amended: v + Version(r.amended),
		Null: r.is(bitNull), Marker: r.is(bitMarker),
		Tag: r.tag, Size: int64(r.size), Flags: r.flags, Time: time.Unix(0, r.time).UTC(),
		Body: Body{extents: refs, far: far},
	}
}

// bound is what a row's value is bound to.
func (r *row) bound(space ID, key []byte) []byte {
	dst := make([]byte, 0, 128+len(key)+len(r.extents)+len(r.lists))
	title, extents := "dark store row 1", r.extents
	if r.listed > 0 {
		title, extents = "dark store row 2", r.lists
	}
	dst = append(append(dst, title...), space[:]...)
	dst = append(dst, r.bits&^bitNull, byte(len(r.tag)))
	dst = append(dst, r.tag...)
	dst = binary.BigEndian.AppendUint32(dst, r.flags)
	dst = binary.BigEndian.AppendUint64(dst, r.size)
	dst = binary.BigEndian.AppendUint32(dst, uint32(r.n))
	return append(append(dst, extents...), key...)
}

// parser reads octets; after the first that are missing, or that append would not have
// written, it is bad and gives zeros.
type parser struct {
	b   []byte
	bad bool
}

func (p *parser) bytes(n int) []byte {
	if p.bad || n < 0 || n > len(p.b) {
		p.bad, p.b = true, nil
		return nil
	}
	b := p.b[:n:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) byte() byte {
	if b := p.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) uint32() uint32 {
	if b := p.bytes(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (p *parser) uint64() uint64 {
	if b := p.bytes(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (p *parser) id() (id ID) {
	copy(id[:], p.bytes(len(id)))
	return id
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 || n > 1 && p.b[n-1] == 0 { // missing, or longer than it need be
		p.bad, p.b = true, nil
		return 0
	}
	p.b = p.b[n:]
	return v
}

// atMost reads a number that is no greater.
func (p *parser) atMost(most uint64) uint64 {
	v := p.uvarint()
	p.refuse(v > most)
	return v
}

func (p *parser) refuse(what bool) {
	if what {
		p.bad, p.b = true, nil
	}
}

// length reads a count of things of at least size octets each, which must be there.
func (p *parser) length(size int) int {
	n := p.uvarint()
	if n > uint64(len(p.b)/size) {
		p.bad, p.b = true, nil
		return 0
	}
	return int(n)
}

func (p *parser) extent() (e extentRef) {
	e.id = p.id()
	e.length = int64(p.atMost(maxExtentLen))
	e.slot = p.uint32()
	return e
}
