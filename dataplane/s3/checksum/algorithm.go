package checksum

import (
	"crypto/sha1" //nolint:gosec // one of S3's algorithms
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/minio/crc64nvme"
)

// Algorithm is one of S3's.
type Algorithm uint8

// The algorithms; the zero value is none.
const (
	None Algorithm = iota
	CRC32
	CRC32C
	CRC64NVME
	SHA1
	SHA256
)

// MaxSize is the longest checksum, in octets.
const MaxSize = sha256.Size

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// algorithms in the order of their numbers.
var algorithms = [...]struct {
	name   string
	header string // canonical
	size   int
	make   func() hash.Hash
	// The type that multipart objects have when none is asked for, and whether the other
	// is possible ("Checksum types" of the User Guide).
	multipart Type
	both      bool
}{
	None:  {},
	CRC32: {"CRC32", "X-Amz-Checksum-Crc32", 4, func() hash.Hash { return crc32.NewIEEE() }, Composite, true},
	CRC32C: {"CRC32C", "X-Amz-Checksum-Crc32c", 4, func() hash.Hash {
		return crc32.New(castagnoli)
	}, Composite, true},
	CRC64NVME: {"CRC64NVME", "X-Amz-Checksum-Crc64nvme", 8, func() hash.Hash {
		return crc64nvme.New()
	}, FullObject, false},
	SHA1:   {"SHA1", "X-Amz-Checksum-Sha1", sha1.Size, sha1.New, Composite, false},
	SHA256: {"SHA256", "X-Amz-Checksum-Sha256", sha256.Size, sha256.New, Composite, false},
}

// Algorithms are all of them, without None.
func Algorithms() []Algorithm { return []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256} }

// ParseAlgorithm reads a name as x-amz-checksum-algorithm has it, whatever its case.
func ParseAlgorithm(name string) (Algorithm, bool) {
	for _, a := range Algorithms() {
		if strings.EqualFold(name, algorithms[a].name) {
			return a, true
		}
	}
	return None, false
}

// ofHeader is the algorithm of an x-amz-checksum-* name, whatever its case.
func ofHeader(name string) (Algorithm, bool) {
	for _, a := range Algorithms() {
		if strings.EqualFold(name, algorithms[a].header) {
			return a, true
		}
	}
	return None, false
}

// String is the name, such as CRC64NVME; empty for None.
func (a Algorithm) String() string { return algorithms[a].name }

// Header is the name of the header with its value, in canonical form.
func (a Algorithm) Header() string { return algorithms[a].header }

// Size of a checksum in octets.
func (a Algorithm) Size() int { return algorithms[a].size }

// New makes a hash, whose Sum is as S3 has it: big-endian for the CRCs. It must not be
// called of None.
func (a Algorithm) New() hash.Hash { return algorithms[a].make() }

// Sum is the checksum of b.
func (a Algorithm) Sum(b []byte) []byte {
	h := a.New()
	h.Write(b)
	return h.Sum(nil)
}

// Type says what the checksum of a multipart object is of.
type Type uint8

// The types. An object of one piece always has FullObject.
const (
	// FullObject is the checksum of the object's bytes.
	FullObject Type = iota
	// Composite is the checksum of the parts' checksums, written with "-N".
	Composite
)

// String is the value of x-amz-checksum-type.
func (t Type) String() string {
	if t == Composite {
		return "COMPOSITE"
	}
	return "FULL_OBJECT"
}

// ParseType reads x-amz-checksum-type.
func ParseType(text string) (Type, bool) {
	switch text {
	case "COMPOSITE":
		return Composite, true
	case "FULL_OBJECT":
		return FullObject, true
	}
	return 0, false
}

// Multipart is the type that a multipart object has when none is asked for.
func (a Algorithm) Multipart() Type { return algorithms[a].multipart }

// Allows says whether a multipart object may have the type.
func (a Algorithm) Allows(t Type) bool {
	return a != None && (algorithms[a].both || algorithms[a].multipart == t)
}
