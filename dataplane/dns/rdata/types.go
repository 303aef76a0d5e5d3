package rdata

import (
	"fmt"
	"strconv"
	"strings"
)

// mnemonics are the types of the IANA registry by their codes.
var mnemonics = map[uint16]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS",
	12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN", 21: "RT",
	22: "NSAP", 23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC", 30: "NXT", 31: "EID",
	32: "NIMLOC", 33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6", 39: "DNAME", 40: "SINK",
	41: "OPT", 42: "APL",
	43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3",
	51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 56: "NINFO", 57: "RKEY", 58: "TALINK", 59: "CDS",
	60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 66: "DSYNC", 67: "HHIT",
	68: "BRID",
	99: "SPF", 100: "UINFO", 101: "UID", 102: "GID", 103: "UNSPEC", 104: "NID", 105: "L32", 106: "L64", 107: "LP",
	108: "EUI48",
	109: "EUI64", 128: "NXNAME", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA",
	255: "ANY",
	256: "URI", 257: "CAA", 258: "AVC", 259: "DOA", 260: "AMTRELAY", 261: "RESINFO", 262: "WALLET", 263: "CLA",
	264:   "IPN",
	32768: "TA", 32769: "DLV",
}

// numbered are types whose mnemonics came later than the first stored names. Names of
// resources and of what edges are told go on having their numbers: an edge of the version
// before reads those, and a row that somebody wrote as TYPE66 keeps its name.
var numbered = map[uint16]bool{
	11: true, 22: true, 38: true, 40: true, 66: true, 67: true, 68: true, 259: true,
	262: true, 263: true, 264: true,
}

var codes = func() map[string]uint16 {
	m := make(map[string]uint16, len(mnemonics))
	for t, s := range mnemonics {
		m[s] = t
	}
	return m
}()

// ParseType reads a mnemonic or TYPE123 (RFC 3597 5).
func ParseType(s string) (uint16, error) {
	if t, ok := codes[s]; ok {
		return t, nil
	}
	up := strings.ToUpper(s)
	if t, ok := codes[up]; ok {
		return t, nil
	}
	if d, ok := strings.CutPrefix(up, "TYPE"); ok {
		if n, err := strconv.ParseUint(d, 10, 16); err == nil {
			return uint16(n), nil
		}
	}
	return 0, fmt.Errorf("%q is not a record type; unknown ones are written TYPE123", s)
}

// Mnemonic is the name of a type, or TYPE123.
func Mnemonic(t uint16) string {
	if s, ok := mnemonics[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// FormatType is a type as the names of resources have it: its mnemonic, or TYPE123.
func FormatType(t uint16) string {
	if numbered[t] {
		return "TYPE" + strconv.Itoa(int(t))
	}
	return Mnemonic(t)
}
