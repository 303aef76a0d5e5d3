package checksum

import (
	"encoding/binary"
	"strconv"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// Part is the checksum of a part and its size in octets.
type Part struct {
	Sum  []byte
	Size int64
}

// CompositeOf is the checksum of the parts' checksums.
func (a Algorithm) CompositeOf(parts []Part) []byte {
	h := a.New()
	for _, p := range parts {
		h.Write(p.Sum)
	}
	return h.Sum(nil)
}

// FullObjectOf is the checksum of the parts one after the other, which the CRCs have
// without the bytes: crc(AB) = crc(A)·x^(8·len(B)) + crc(B) modulo the polynomial.
func (a Algorithm) FullObjectOf(parts []Part) ([]byte, error) {
	f, ok := a.field()
	if !ok {
		return nil, s3xml.Say(s3xml.InvalidRequest, "The FULL_OBJECT checksum type is not possible with "+a.String()+
			".")
	}
	var crc, shift uint64
	size := int64(-1)
	for _, p := range parts {
		if len(p.Sum) != a.Size() || p.Size < 0 {
			return nil, a.invalid()
		}
		if p.Size != size { // nearly all parts are as long as the first
			size, shift = p.Size, f.power(p.Size)
		}
		crc = f.times(shift, crc) ^ number(p.Sum)
	}
	sum := make([]byte, 8)
	binary.BigEndian.PutUint64(sum, crc)
	return sum[8-a.Size():], nil
}

func number(sum []byte) (n uint64) {
	for _, b := range sum {
		n = n<<8 | uint64(b)
	}
	return n
}

// field is GF(2)[x] modulo a CRC's polynomial. Numbers are reflected, as in the CRCs: the
// highest bit is the factor of x^0.
type field struct {
	poly uint64
	one  uint64 // x^0
}

func (a Algorithm) field() (field, bool) {
	switch a {
	case CRC32:
		return field{0xedb88320, 1 << 31}, true
	case CRC32C:
		return field{0x82f63b78, 1 << 31}, true
	case CRC64NVME:
		return field{0x9a6c9329ac4bc9b5, 1 << 63}, true
	}
	return field{}, false
}

// times is a·b.
func (f field) times(a, b uint64) (product uint64) {
	for bit := f.one; a != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
			a ^= bit
		}
		carry := b & 1
		b >>= 1
		b ^= f.poly & -carry
	}
	return product
}

// power is x^(8·n): what n octets of zeros do.
func (f field) power(n int64) uint64 {
	p, square := f.one, f.one>>8
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p = f.times(square, p)
		}
		square = f.times(square, square)
	}
	return p
}

// OfParts computes the checksum of a multipart object from its parts' and compares it
// with the one that the client gave, if it gave one (asked by ReadCompletion); the error
// is a BadDigest.
func (a Algorithm) OfParts(t Type, parts []Part, asked Asked) (sum []byte, err error) {
	if !a.Allows(t) {
		return nil, s3xml.Say(s3xml.InvalidRequest, "The "+t.String()+" checksum type cannot be used with the "+
			a.String()+" checksum algorithm.")
	}
	if t == Composite {
		sum = a.CompositeOf(parts)
	} else if sum, err = a.FullObjectOf(parts); err != nil {
		return nil, err
	}
	if asked.Algorithm == None {
		return sum, nil
	}
	if asked.Algorithm != a || asked.Parts > 0 && (t != Composite || asked.Parts != len(parts)) {
		return nil, s3xml.Say(s3xml.BadDigest, "The checksum given is not of the type "+t.String()+" of "+
			strconv.Itoa(len(parts))+" parts with "+a.String()+".")
	}
	return sum, a.compare(asked.Sum, sum)
}
