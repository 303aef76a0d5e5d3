package store

// Keys of the one Pebble database. All numbers are big endian. The replicated keyspaces
// are the same on every member of a cell:
//
//	r | space (16) | key, escaped | 00 01 | ^version (8)   a row (row.go)
//	n | space (16) | key, escaped | 00 01                  version (8) of a null row that is not current
//	o | space (16) | key, escaped | 00 01                  count (4) of a key's rows besides the current one, if any
//	b | space (16) | key, escaped | 00 01 | ^version (8) | list (4)
//	                                                       extents of a row that has many (list.go)
//	x | extent (16)                                        an extent and who holds it (extent.go)
//	i | index (8) | number (4)                             sealed octets of an inline extent: the command that
//	                                                       brought it, and which of its extents it was
//	e | space (16) | key name | 00 | epoch (4)             an epoch key (extent.go)
//	u | space (16)                                         usage (extent.go)
//	z | space (16)                                         the space was erased: 1 being emptied, 2 empty
//	h | writer (8)                                         sweep horizon (8) of a writer
//	a                                                      index (8) of the last command
//
// The local ones are the member's own:
//
//	L | l | extent (16)                                    where an extent lies (index.go)
//	L | w | writer (8)                                     an incarnation of this member
//	L | m                                                  format of the local keyspaces (1), once keys were destroyed
//
// In an escaped key 00 is written 00 FF, so that 00 01 ends it, no key is another's
// beginning, and the order is that of the keys' octets. "a\x00b" in space S at version 5:
//
//	72 S… 61 00 FF 62 00 01 FF FF FF FF FF FF FF FA

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/cockroachdb/pebble/v2"
)

const (
	tagRow     = 'r'
	tagNull    = 'n'
	tagOlder   = 'o'
	tagList    = 'b'
	tagExtent  = 'x'
	tagInline  = 'i'
	tagEpoch   = 'e'
	tagUsage   = 'u'
	tagErased  = 'z'
	tagHorizon = 'h'
	tagApplied = 'a'
	tagLocal   = 'L'

	localExtent = 'l'
	localWriter = 'w'
	localMeta   = 'm'
)

// inlineKey is where the octets of an inline extent lie. They are in the order of commands,
// so that each flush of the database writes a range of its own: see openRows.
func inlineKey(index uint64, number uint32) []byte {
	k := binary.BigEndian.AppendUint64(append(make([]byte, 0, 13), tagInline), index)
	return binary.BigEndian.AppendUint32(k, number)
}

const (
	spaceLen   = 1 + len(ID{}) // tag and space
	versionLen = 8
	endLen     = 2
)

var appliedKey = []byte{tagApplied}

// comparer orders keys by their octets, and splits rows' keys before the version, so that
// Pebble's filters and NextPrefix know which rows are versions of one key.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "dark.store.1"
	c.Split = split
	// Shortened keys need not be keys of ours; whole ones always are.
	c.Separator = func(dst, a, _ []byte) []byte { return append(dst, a...) }
	c.Successor = func(dst, a []byte) []byte { return append(dst, a...) }
	c.ImmediateSuccessor = immediateSuccessor
	return &c
}()

// immediateSuccessor is the first prefix after a. A row's prefix ends in 00 01 and its
// versions, whose first octets are high, follow it: all of them come before 00 02. Where
// a version did not, NextPrefix would stop at it.
func immediateSuccessor(dst, a []byte) []byte {
	dst = append(dst, a...)
	if len(a) >= spaceLen+endLen && a[0] == tagRow && keyEnd(a[spaceLen:]) == len(a)-spaceLen-endLen {
		dst[len(dst)-1]++
		return dst
	}
	return append(dst, 0)
}

func split(k []byte) int {
	if len(k) < spaceLen || k[0] != tagRow {
		return len(k)
	}
	if i := keyEnd(k[spaceLen:]); i >= 0 {
		return spaceLen + i + endLen
	}
	return len(k)
}

// keyEnd is where an escaped key's end mark begins, or -1.
func keyEnd(k []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(k[from:], 0)
		if i < 0 || from+i+1 >= len(k) {
			return -1
		}
		if k[from+i+1] == 1 {
			return from + i
		}
		from += i + 2
	}
}

// appendEscaped appends a key or the beginning of one.
func appendEscaped(dst, key []byte) []byte {
	for {
		i := bytes.IndexByte(key, 0)
		if i < 0 {
			return append(dst, key...)
		}
		dst = append(append(dst, key[:i]...), 0, 0xFF)
		key = key[i+1:]
	}
}

// unescape appends what appendEscaped was given; it shares k where nothing was escaped.
func unescape(dst, k []byte) []byte {
	if bytes.IndexByte(k, 0) < 0 {
		return k
	}
	for {
		i := bytes.IndexByte(k, 0)
		if i < 0 {
			return append(dst, k...)
		}
		dst = append(dst, k[:i+1]...)
		k = k[min(i+2, len(k)):]
	}
}

// beginning is where rows begin whose keys begin with prefix.
func beginning(space ID, prefix []byte) []byte {
	return appendEscaped(append([]byte{tagRow}, space[:]...), prefix)
}

// appendKey is a row's key without its version.
func appendKey(dst []byte, tag byte, space ID, key []byte) []byte {
	return append(appendEscaped(append(append(dst, tag), space[:]...), key), 0, 1)
}

func appendVersion(dst []byte, v Version) []byte {
	return binary.BigEndian.AppendUint64(dst, ^uint64(v))
}

// rowKey takes the database's key of a row apart. key is escaped.
func rowKey(k []byte) (key []byte, v Version, ok bool) {
	if len(k) < spaceLen+endLen+versionLen || k[0] != tagRow {
		return nil, 0, false
	}
	at := len(k) - versionLen
	return k[spaceLen : at-endLen], Version(^binary.BigEndian.Uint64(k[at:])), k[at-2] == 0 && k[at-1] == 1
}

// after is the first key that does not begin with k; nil where there is none.
func after(k []byte) []byte {
	end := bytes.Clone(k)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < math.MaxUint8 {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

func idKey(tag byte, id ID) []byte { return append([]byte{tag}, id[:]...) }

func epochPrefix(space ID) []byte { return idKey(tagEpoch, space) }

func epochKey(space ID, name string, epoch uint32) []byte {
	k := append(epochPrefix(space), name...)
	return binary.BigEndian.AppendUint32(append(k, 0), epoch)
}

// parseEpochKey is the reverse of epochKey.
func parseEpochKey(k []byte) (space ID, name string, epoch uint32, ok bool) {
	if len(k) < spaceLen+1+4 || k[0] != tagEpoch {
		return space, "", 0, false
	}
	copy(space[:], k[1:])
	end := len(k) - 4
	return space, string(k[spaceLen : end-1]), binary.BigEndian.Uint32(k[end:]), k[end-1] == 0
}

func horizonKey(writer uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tagHorizon}, writer)
}

func writerKey(writer uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tagLocal, localWriter}, writer)
}

func placeKey(id ID) []byte { return append([]byte{tagLocal, localExtent}, id[:]...) }
