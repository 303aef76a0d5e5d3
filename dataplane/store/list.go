package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// A row of more than inRow extents keeps them beside it, in lists of perList: who asks for the
// row alone reads none of them, and who reads its body one at a time. The row has a hash of each
// list, which its seal covers.
const (
	inRow   = 64
	perList = 4096
)

// listHead is what a row says of one of its lists.
type listHead struct {
	n      int   // extents
	length int64 // octets in the clear
	hash   [sha256.Size]byte
}

// minHead is the least that a head takes.
const minHead = 1 + 1 + sha256.Size

func (h *listHead) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(h.n))
	return append(binary.AppendUvarint(dst, uint64(h.length)), h.hash[:]...)
}

// head reads what append wrote.
func (p *parser) head() (h listHead) {
	h.n, h.length = int(p.atMost(perList)), int64(p.atMost(maxExtents*maxExtentLen))
	copy(h.hash[:], p.bytes(len(h.hash)))
	return h
}

// heads are those of a row's lists.
func (r *row) heads() []listHead {
	p := parser{b: r.lists}
	out := make([]listHead, 0, r.listed)
	for range r.listed {
		out = append(out, p.head())
	}
	return out
}

// apart takes the extents out of a row that has too many for one, and gives the lists.
func (r *row) apart() (lists [][]byte) {
	if r.n <= inRow {
		return nil
	}
	p := parser{b: r.extents}
	for left := r.n; left > 0; left -= perList {
		h := listHead{n: min(left, perList)}
		list := p.b
		for range h.n {
			h.length += p.extent().length
		}
		list = list[:len(list)-len(p.b)]
		h.hash = sha256.Sum256(list)
		r.lists = h.append(r.lists)
		lists = append(lists, list)
	}
	r.listed, r.extents = len(lists), nil
	return lists
}

// parseLists reads what a row has in place of its extents.
func (r *row) parseLists(p *parser) {
	r.listed = p.length(minHead)
	r.lists = p.b
	for i := range r.listed {
		h := p.head()
		r.n += h.n
		p.refuse(h.n == 0 || i+1 < r.listed && h.n != perList)
	}
	r.lists = r.lists[:len(r.lists)-len(p.b)]
	p.refuse(r.n <= inRow || r.n > maxExtents)
}

// listKey is where a list lies of the row that a key of the database is of.
func listKey(row []byte, i int) []byte {
	k := bytes.Clone(row)
	k[0] = tagList
	return binary.BigEndian.AppendUint32(k, uint32(i))
}

var (
	errNoList = errors.New("a list of its extents is not there")
	errList   = errors.New("the hash of a list of its extents is another")
)

// readList reads a list of the row that a key is of.
func readList(db pebble.Reader, row []byte, i int, h *listHead) ([]extentRef, error) {
	v, err := get(db, listKey(row, i))
	switch {
	case err != nil:
		return nil, err
	case v == nil:
		return nil, errNoList
	case sha256.Sum256(v) != h.hash:
		return nil, errList
	}
	p := parser{b: v}
	refs := make([]extentRef, 0, h.n)
	for range h.n {
		refs = append(refs, p.extent())
	}
	if p.bad || len(p.b) != 0 {
		return nil, errList
	}
	return refs, nil
}

// eachRef goes over the extents of a row, whose key in the database is given. What cannot be read
// of its lists is a *Damaged, after all else was gone over.
func eachRef(db pebble.Reader, k []byte, r *row, f func(extentRef)) (err error) {
	r.each(f)
	for i, h := range r.heads() {
		refs, lerr := readList(db, k, i, &h)
		if lerr != nil && (errors.Is(lerr, errNoList) || errors.Is(lerr, errList)) {
			escaped, v, _ := rowKey(k)
			lerr = damagedRow(ID(k[1:spaceLen]), unescape(nil, escaped), v, lerr)
		}
		err = firstOf(err, lerr)
		for _, e := range refs {
			f(e)
		}
	}
	return err
}

// farList is a list that a body has and that was not read yet.
type farList struct {
	listHead
	at  int    // the body's extents that come before it
	row []byte // the row's key in the database
	i   int    // which of its lists
}

// far gives the lists of a row that is stored under a key.
func (r *row) far(k []byte) (far []farList) {
	if r.listed == 0 {
		return nil
	}
	k = bytes.Clone(k)
	for i, h := range r.heads() {
		far = append(far, farList{listHead: h, row: k, i: i})
	}
	return far
}

// load reads the list. ErrGone where the row was deleted meanwhile.
func (s *Store) load(f *farList) ([]extentRef, error) {
	refs, err := readList(s.db, f.row, f.i, &f.listHead)
	escaped, v, _ := rowKey(f.row)
	key := unescape(nil, escaped)
	switch {
	case errors.Is(err, errNoList) && s.ledger.gapAt(listKey(f.row, f.i)) == nil:
		return nil, fmt.Errorf("row %.200q version %d: %w", key, v, ErrGone)
	case errors.Is(err, errNoList), errors.Is(err, errList):
		return nil, damagedRow(ID(f.row[1:spaceLen]), key, v, err)
	}
	return refs, err
}

// bodyPart is some extents of a body, or a list of some.
type bodyPart struct {
	refs []extentRef
	far  *farList
}

func (p *bodyPart) length() (n int64) {
	if p.far != nil {
		return p.far.length
	}
	for _, e := range p.refs {
		n += e.length
	}
	return n
}

// parts are the body in its order.
func (b *Body) parts() (parts []bodyPart) {
	at := 0
	for i := range b.far {
		f := &b.far[i]
		if f.at > at {
			parts = append(parts, bodyPart{refs: b.extents[at:f.at]})
			at = f.at
		}
		parts = append(parts, bodyPart{far: f})
	}
	if at < len(b.extents) {
		parts = append(parts, bodyPart{refs: b.extents[at:]})
	}
	return parts
}

// all reads what extents a body has.
func (s *Store) all(b *Body) ([]extentRef, error) {
	if len(b.far) == 0 {
		return b.extents, nil
	}
	refs := make([]extentRef, 0, b.count())
	for _, part := range b.parts() {
		more := part.refs
		if part.far != nil {
			var err error
			if more, err = s.load(part.far); err != nil {
				return nil, err
			}
		}
		refs = append(refs, more...)
	}
	return refs, nil
}

// count is how many extents a body has.
func (b *Body) count() int {
	n := len(b.extents)
	for i := range b.far {
		n += b.far[i].n
	}
	return n
}
