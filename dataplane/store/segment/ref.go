package segment

import (
	"errors"
	"fmt"
)

// RefSize is the size of an encoded Ref.
const RefSize = 20

// Ref is where an extent lies. It holds until its segment is recycled.
type Ref struct {
	Generation uint64
	Segment    uint32
	Page       uint32 // of 4 KiB, at which the header stands
	Sealed     uint32 // sealed octets
}

// String names the place, for errors.
func (r Ref) String() string { return fmt.Sprintf("%08d.seg at %d", r.Segment, r.at()) }

func (r Ref) at() int64 { return int64(r.Page) * page }

func (r Ref) pages() int64 { return pagesOf(int64(r.Sealed)) }

func pagesOf(sealed int64) int64 { return (HeaderSize + sealed + page - 1) / page }

// Append appends the encoded Ref.
func (r Ref) Append(dst []byte) []byte {
	dst = le.AppendUint32(dst, r.Segment)
	dst = le.AppendUint32(dst, r.Page)
	dst = le.AppendUint32(dst, r.Sealed)
	return le.AppendUint64(dst, r.Generation)
}

// ParseRef reads what Append wrote.
func ParseRef(b []byte) (Ref, error) {
	if len(b) != RefSize {
		return Ref{}, errors.New("segment: a reference has another length")
	}
	return Ref{
		Segment: le.Uint32(b), Page: le.Uint32(b[4:]), Sealed: le.Uint32(b[8:]),
		Generation: le.Uint64(b[12:]),
	}, nil
}
