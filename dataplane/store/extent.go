package store

// What the cell knows of an extent (x):
//
//	format (1) = 1
//	bits (1)    1 inline
//	length      uvarint, octets in the clear
//	writer      8
//	sequence    uvarint
//	hash        8, XXH64 of the sealed octets
//	index       8, only if inline: the command that brought it
//	number      4, only if inline: which of that command's extents it was
//	holds       uvarint count; each:
//	  space (16) | slot (4) | references uvarint | epoch (4) | bits (1): 1 customer
//	  key name: uvarint length, octets | wrapped key: uvarint length, octets
//
// An epoch key (e):
//
//	format (1) = 1 | holds that need it (8) | key version (4)
//	tenant: uvarint length, octets | wrapped key: uvarint length, octets
//
// Usage (u): format (1) = 1 | rows (8) | bytes (8) | others (8).

import (
	"encoding/binary"
	"errors"
	"math"
)

const (
	recordFormat = 1
	bitInline    = 1
	bitCustomer  = 1
)

var errRecord = errors.New("the record is not one")

type extent struct {
	length   int64
	writer   uint64
	sequence uint64
	hash     uint64
	inline   bool
	index    uint64 // of an inline one: where its octets lie (inlineKey)
	number   uint32
	holds    []hold
}

// hold is one space's claim on an extent.
type hold struct {
	space      ID
	slot       uint32
	references int64
	epoch      uint32
	customer   bool
	name       string
	wrapped    []byte
}

// minHold is the least that a hold takes.
const minHold = len(ID{}) + 4 + 1 + 4 + 1 + 1 + 1

func (x *extent) hold(space ID, slot uint32) *hold {
	for i := range x.holds {
		if h := &x.holds[i]; h.slot == slot && h.space == space {
			return h
		}
	}
	return nil
}

func (x *extent) append(dst []byte) []byte {
	var bits byte
	if x.inline {
		bits = bitInline
	}
	dst = binary.AppendUvarint(append(dst, recordFormat, bits), uint64(x.length))
	dst = binary.BigEndian.AppendUint64(dst, x.writer)
	dst = binary.AppendUvarint(dst, x.sequence)
	dst = binary.BigEndian.AppendUint64(dst, x.hash)
	if x.inline {
		dst = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, x.index), x.number)
	}
	dst = binary.AppendUvarint(dst, uint64(len(x.holds)))
	for i := range x.holds {
		dst = x.holds[i].append(dst)
	}
	return dst
}

func (h *hold) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, h.space[:]...), h.slot)
	dst = binary.AppendUvarint(dst, uint64(h.references))
	dst = binary.BigEndian.AppendUint32(dst, h.epoch)
	var bits byte
	if h.customer {
		bits = bitCustomer
	}
	dst = append(dst, bits)
	dst = append(binary.AppendUvarint(dst, uint64(len(h.name))), h.name...)
	return append(binary.AppendUvarint(dst, uint64(len(h.wrapped))), h.wrapped...)
}

// parse reads an extent; wrapped keys share b's octets.
func (x *extent) parse(b []byte) error {
	p := parser{b: b}
	if p.byte() != recordFormat {
		return errRecord
	}
	x.inline = p.flag()
	x.length = int64(p.atMost(maxExtentLen))
	x.writer = p.uint64()
	x.sequence = p.uvarint()
	x.hash = p.uint64()
	if x.inline {
		x.index, x.number = p.uint64(), p.uint32()
	}
	for range p.length(minHold) {
		var h hold
		h.space, h.slot = p.id(), p.uint32()
		h.references, h.epoch = int64(p.atMost(math.MaxInt64)), p.uint32()
		h.customer = p.flag()
		h.name = string(p.bytes(p.length(1)))
		h.wrapped = p.bytes(p.length(1))
		x.holds = append(x.holds, h)
	}
	if p.bad || len(p.b) != 0 {
		return errRecord
	}
	return nil
}

// flag reads an octet of which the first bit is used: bitInline or bitCustomer.
func (p *parser) flag() bool {
	b := p.byte()
	p.refuse(b > 1)
	return b == 1
}

// epoch is the key of one day, under which extents' keys are wrapped.
type epoch struct {
	holds      int64
	keyVersion uint32
	tenant     string
	wrapped    []byte
}

func (e *epoch) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, recordFormat), uint64(e.holds))
	dst = binary.BigEndian.AppendUint32(dst, e.keyVersion)
	dst = append(binary.AppendUvarint(dst, uint64(len(e.tenant))), e.tenant...)
	return append(binary.AppendUvarint(dst, uint64(len(e.wrapped))), e.wrapped...)
}

func (e *epoch) parse(b []byte) error {
	p := parser{b: b}
	format := p.byte()
	e.holds = int64(p.uint64())
	e.keyVersion = p.uint32()
	e.tenant = string(p.bytes(p.length(1)))
	e.wrapped = append([]byte(nil), p.bytes(p.length(1))...)
	if p.bad || format != recordFormat || len(p.b) != 0 {
		return errRecord
	}
	return nil
}

func (u *Usage) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, recordFormat), u.Rows)
	dst = binary.BigEndian.AppendUint64(dst, u.Bytes)
	return binary.BigEndian.AppendUint64(dst, u.Others)
}

func (u *Usage) parse(b []byte) error {
	p := parser{b: b}
	format := p.byte()
	u.Rows, u.Bytes, u.Others = p.uint64(), p.uint64(), p.uint64()
	if p.bad || format != recordFormat || len(p.b) != 0 {
		return errRecord
	}
	return nil
}
