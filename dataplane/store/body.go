package store

// extentRef is a piece of a body.
type extentRef struct {
	id     ID
	length int64  // octets in the clear
	slot   uint32 // which of the space's holds opens it
}

// freshExtent is an extent, or a further hold of one, that the cell does not know yet.
type freshExtent struct{ extentRef }

// Len is the body's length in the clear.
func (b Body) Len() (n int64) {
	for _, e := range b.extents {
		n += e.length
	}
	return n
}

// Join is the bodies one after the other; no octet moves.
func Join(bodies ...Body) (all Body) {
	for _, b := range bodies {
		all.extents = append(all.extents, b.extents...)
		all.fresh = append(all.fresh, b.fresh...)
	}
	return all
}
