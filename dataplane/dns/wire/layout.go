package wire

import "errors"

// Types and classes that this package treats apart. Others are numbers.
const (
	TypeA     = 1
	TypeNS    = 2
	TypeCNAME = 5
	TypeSOA   = 6
	TypeAAAA  = 28
	TypeDNAME = 39
	TypeOPT   = 41
	TypeDS    = 43
	TypeRRSIG = 46
	TypeNSEC  = 47
	TypeTSIG  = 250
	TypeIXFR  = 251
	TypeAXFR  = 252
	TypeANY   = 255

	ClassIN   = 1
	ClassCH   = 3
	ClassNONE = 254
	ClassANY  = 255
)

// layout says how the RDATA of a type holds names: a digit is that many octets, n a
// name, s a character string; what follows the last is opaque. Types without a
// layout are opaque (RFC 3597).
func layout(typ uint16) string {
	switch typ {
	case 2, 3, 4, 5, 7, 8, 9, 12, 39: // NS MD MF CNAME MB MG MR PTR DNAME
		return "n"
	case TypeSOA:
		return "nn" // and 20 octets
	case 14, 17: // MINFO RP
		return "nn"
	case 15, 18, 21, 36: // MX AFSDB RT KX
		return "2n"
	case 26: // PX
		return "2nn"
	case 33: // SRV
		return "6n"
	case 35: // NAPTR
		return "4sssn"
	}
	return ""
}

// Compressible reports whether names in the RDATA of a type may be compressed: only
// in those of RFC 1035 (RFC 3597 4).
func Compressible(typ uint16) bool {
	switch typ {
	case 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15:
		return true
	}
	return false
}

var errLayout = errors.New("RDATA does not have the form of its type")

// CheckRData reports an error when RDATA lacks the names that its type has, so that
// what reads them later need not check.
func CheckRData(typ uint16, rdata []byte) error {
	rest := 0
	switch typ {
	case TypeSOA:
		rest = 20
	case TypeA:
		if len(rdata) != 4 {
			return errLayout
		}
		return nil
	case TypeAAAA:
		if len(rdata) != 16 {
			return errLayout
		}
		return nil
	}
	l := layout(typ)
	i := 0
	for _, c := range []byte(l) {
		n := fieldLen(c, rdata[min(i, len(rdata)):])
		if n == 0 {
			return errLayout
		}
		i += n
	}
	if l != "" && i+rest != len(rdata) {
		return errLayout
	}
	return nil
}

// fieldLen is the length of one field of a layout at the start of b, 0 when broken.
func fieldLen(c byte, b []byte) int {
	var n int
	switch c {
	case 'n':
		return NameLen(b)
	case 's':
		if len(b) == 0 {
			return 0
		}
		n = int(b[0]) + 1
	default:
		n = int(c - '0')
	}
	if n > len(b) {
		return 0
	}
	return n
}

// NameLen is the length of the uncompressed name at the start of b, 0 when broken.
func NameLen(b []byte) int {
	i := 0
	for i < len(b) && i < MaxName {
		l := int(b[i])
		if l == 0 {
			return i + 1
		}
		if l > 63 {
			return 0
		}
		i += l + 1
	}
	return 0
}

// CanonicalRData appends RDATA in canonical form: its names in lower case (RFC 4034
// 6.2). The RDATA must have passed CheckRData.
func CanonicalRData(dst []byte, typ uint16, rdata []byte) []byte {
	base := len(dst)
	dst = append(dst, rdata...)
	i := base
	for _, c := range []byte(layout(typ)) {
		n := fieldLen(c, dst[i:])
		if c == 'n' {
			lower(dst[i : i+n])
		}
		i += n
	}
	return dst
}

// lower folds a name in wire format; length octets are below 'A'.
func lower(name []byte) {
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			name[i] = c + 'a' - 'A'
		}
	}
}
