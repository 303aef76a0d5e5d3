package store

import (
	"sync/atomic"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// extentRef is a piece of a body.
type extentRef struct {
	id     ID
	length int64  // octets in the clear
	slot   uint32 // which of the space's holds opens it
}

// freshExtent is an extent, or a further hold of one, that the cell does not know yet. Its
// data key is wrapped when it is committed, under the epoch key of that day. It does not
// change after it was made, but for committed.
type freshExtent struct {
	extentRef
	space    ID // for which it is
	key      seal.Key
	inner    []byte // the data key as the customer's key wraps it
	name     string // of the key that wraps its epoch
	adopt    bool
	writer   uint64
	sequence uint64
	hash     uint64
	inline   []byte
	at       segment.Ref // where it lies, unless it is inline or adopted
	intent   *intent
	// committed: a command that brings it in was proposed and not refused. From then on it
	// is only referred to, so that it cannot come to life again after its deletion.
	committed atomic.Bool
}

// Len is the body's length in the clear.
func (b Body) Len() (n int64) {
	for _, e := range b.extents {
		n += e.length
	}
	for i := range b.far {
		n += b.far[i].length
	}
	return n
}

// Join is the bodies one after the other; no octet moves.
func Join(bodies ...Body) (all Body) {
	for _, b := range bodies {
		for _, f := range b.far {
			f.at += len(all.extents)
			all.far = append(all.far, f)
		}
		all.extents = append(all.extents, b.extents...)
		all.fresh = append(all.fresh, b.fresh...)
	}
	return all
}

// Clone is the row with octets of its own.
func (r Row) Clone() Row {
	r.Key = append([]byte(nil), r.Key...)
	r.Tag = append([]byte(nil), r.Tag...)
	r.Value = append([]byte(nil), r.Value...)
	r.Body.extents = append([]extentRef(nil), r.Body.extents...)
	return r
}
