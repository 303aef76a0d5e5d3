package segment

import (
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"
)

const (
	page       = 4096
	format     = 1
	fileMagic  = "DARKSEG1"
	fileHeader = 48
	fileCopy   = 2048 // where the second file header stands
	filled     = 1    // flag: each block was written once

	extentMagic = "DARKEXT1"
)

var le = binary.LittleEndian

// HeaderSize is what an extent takes besides its sealed octets, rounding aside.
const HeaderSize = 96

// Header of an extent.
type Header struct {
	ID       [16]byte
	Writer   uint64 // incarnation
	Sequence uint64
	Clear    int64  // octets in the clear
	Sealed   int64  // octets sealed; Finish fills it in
	Hash     uint64 // XXH64 of the sealed octets; Finish fills it in
}

var errHeader = errors.New("no extent header")

// put writes the header of an extent of a segment into b.
func (h Header) put(b []byte, number uint32, generation uint64) {
	copy(b, extentMagic)
	le.PutUint32(b[8:], format)
	le.PutUint32(b[12:], number)
	le.PutUint64(b[16:], generation)
	copy(b[24:], h.ID[:])
	le.PutUint64(b[40:], h.Writer)
	le.PutUint64(b[48:], h.Sequence)
	le.PutUint64(b[56:], uint64(h.Clear))
	le.PutUint64(b[64:], uint64(h.Sealed))
	le.PutUint64(b[72:], h.Hash)
	le.PutUint64(b[80:], 0)
	le.PutUint64(b[88:], xxhash.Sum64(b[:88]))
}

// parseHeader reads an extent's header and says whose it is.
func parseHeader(b []byte) (h Header, number uint32, generation uint64, err error) {
	if len(b) < HeaderSize || string(b[:8]) != extentMagic || le.Uint32(b[8:]) != format ||
		le.Uint64(b[80:]) != 0 || le.Uint64(b[88:]) != xxhash.Sum64(b[:88]) {
		return h, 0, 0, errHeader
	}
	copy(h.ID[:], b[24:])
	h.Writer, h.Sequence = le.Uint64(b[40:]), le.Uint64(b[48:])
	h.Clear, h.Sealed = int64(le.Uint64(b[56:])), int64(le.Uint64(b[64:]))
	h.Hash = le.Uint64(b[72:])
	if h.Clear < 0 || h.Sealed < 0 || h.Sealed > maxSealed {
		return Header{}, 0, 0, errHeader
	}
	return h, le.Uint32(b[12:]), le.Uint64(b[16:]), nil
}

// identity is what a file header says.
type identity struct {
	number     uint32
	generation uint64
	size       int64
	filled     bool
}

// put writes both file headers into the first page.
func (d identity) put(b []byte) {
	clear(b[:page])
	copy(b, fileMagic)
	le.PutUint32(b[8:], format)
	le.PutUint32(b[12:], d.number)
	le.PutUint64(b[16:], d.generation)
	le.PutUint64(b[24:], uint64(d.size))
	if d.filled {
		le.PutUint32(b[32:], filled)
	}
	le.PutUint64(b[40:], xxhash.Sum64(b[:40]))
	copy(b[fileCopy:], b[:fileHeader])
}

// parseIdentity reads the first page: of two headers the one with the greater generation.
func parseIdentity(b []byte) (d identity, ok bool) {
	for _, at := range []int{0, fileCopy} {
		if c, good := parseFileHeader(b[at:]); good && (!ok || c.generation > d.generation) {
			d, ok = c, true
		}
	}
	return d, ok
}

func parseFileHeader(b []byte) (d identity, ok bool) {
	if string(b[:8]) != fileMagic || le.Uint32(b[8:]) != format || le.Uint64(b[40:]) != xxhash.Sum64(b[:40]) {
		return d, false
	}
	d = identity{
		number: le.Uint32(b[12:]), generation: le.Uint64(b[16:]), size: int64(le.Uint64(b[24:])),
		filled: le.Uint32(b[32:])&filled != 0,
	}
	return d, d.size >= 2*page && d.size <= maxSegment && d.size%page == 0
}
