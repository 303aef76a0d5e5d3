// Package wire reads DNS queries into a caller's struct and appends answers to a
// caller's buffer (RFC 1035 4, RFC 6891), without allocating. It is the one writer
// of every tier: answers are put together from parts that package zone prepared when
// the zone was compiled.
//
// Nothing here is shared: a Query, a Name and a Builder belong to the goroutine that
// uses them, and are used again for the next message.
package wire

import "unsafe"

// MaxName is the most octets of a name in wire format, RFC 1035 2.3.4.
const MaxName = 255

// Name is a parsed name: its wire format, case kept, and its key.
//
// The key orders names as RFC 4034 6.1 does, by comparing bytes: labels from the
// right, lower-case, each ended by a zero octet; the octets 0 and 1 within a label
// become 1,1 and 1,2. The key of a name is a prefix of the keys of all names below
// it: "www.Example." is "example" 0 "www" 0.
type Name struct {
	n      int // octets in wire, the root's zero included
	labels int
	wire   [MaxName]byte
	off    [128]uint8  // where each label begins in wire, left to right
	end    [129]uint16 // end[d] is the length of the key of the d rightmost labels
	key    [2*MaxName + 2]byte

	scratch [2*MaxName + 4]byte // WildcardKey
}

// Parse reads an uncompressed name at the start of b and returns its length, or 0
// when it is none: too long, cut short, or with a compression pointer.
func (n *Name) Parse(b []byte) int {
	i, labels := 0, 0
	for {
		if i >= len(b) || i >= MaxName {
			return 0
		}
		l := int(b[i])
		if l == 0 {
			break
		}
		if l > 63 {
			return 0
		}
		n.off[labels] = uint8(i)
		labels++
		i += l + 1
	}
	n.n = i + 1
	n.labels = labels
	copy(n.wire[:], b[:i+1])
	n.makeKey()
	return i + 1
}

// ParseString is Parse of a string.
func (n *Name) ParseString(s string) int {
	return n.Parse(unsafe.Slice(unsafe.StringData(s), len(s)))
}

func (n *Name) makeKey() {
	k := 0
	n.end[0] = 0
	for d := 1; d <= n.labels; d++ {
		o := int(n.off[n.labels-d])
		l := int(n.wire[o])
		for _, c := range n.wire[o+1 : o+1+l] {
			if c <= 1 {
				n.key[k] = 1
				k++
				c++
			} else if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			n.key[k] = c
			k++
		}
		n.key[k] = 0
		k++
		n.end[d] = uint16(k)
	}
}

// Wire is the name in wire format, valid until the Name is used again.
func (n *Name) Wire() []byte { return n.wire[:n.n] }

// Len is the length of Wire.
func (n *Name) Len() int { return n.n }

// Labels is the number of labels, the root not counted.
func (n *Name) Labels() int { return n.labels }

// Key is the name's key, valid until the Name is used again.
func (n *Name) Key() string { return n.KeyOf(n.labels) }

// KeyOf is the key of the name's depth rightmost labels.
func (n *Name) KeyOf(depth int) string {
	return unsafe.String(&n.key[0], int(n.end[depth]))
}

// Depth is the number of labels whose key is the first length octets of the key, or
// -1 when no number of whole labels is.
func (n *Name) Depth(length int) int {
	for d := 0; d <= n.labels; d++ {
		if int(n.end[d]) == length {
			return d
		}
	}
	return -1
}

// Offset is where in Wire the name's depth rightmost labels begin.
func (n *Name) Offset(depth int) int {
	if depth == 0 {
		return n.n - 1
	}
	return int(n.off[n.labels-depth])
}

// DepthWithin is the most rightmost labels whose key is within the first length
// octets of the name's key.
func (n *Name) DepthWithin(length int) int {
	d := 0
	for d < n.labels && int(n.end[d+1]) <= length {
		d++
	}
	return d
}

// WildcardKey is the key of "*" under the name's depth rightmost labels, valid until
// the next call.
func (n *Name) WildcardKey(depth int) string {
	b := append(n.scratch[:0], n.key[:n.end[depth]]...)
	b = append(b, '*', 0)
	return unsafe.String(&b[0], len(b))
}

// Rebase makes n the name a with its suffix of depth labels replaced by the name of
// suffix, as DNAME does (RFC 6672 2.2), and reports whether the result fits.
func (n *Name) Rebase(a *Name, depth int, suffix string) bool {
	head := a.Offset(depth)
	if head+len(suffix) > MaxName {
		return false
	}
	var b [MaxName]byte
	copy(b[:], a.wire[:head])
	copy(b[head:], suffix)
	return n.Parse(b[:head+len(suffix)]) > 0
}

// AppendKey appends the key of a name in wire format.
func AppendKey(dst []byte, name string) []byte {
	var n Name
	if n.ParseString(name) == 0 {
		return dst
	}
	return append(dst, n.Key()...)
}
