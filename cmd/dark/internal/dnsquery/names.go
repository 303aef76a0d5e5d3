package dnsquery

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// types are the mnemonics that may be asked for by name; others are TYPEn (RFC 3597 5).
var types = map[string]dnsmessage.Type{
	"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "AAAA": 28, "LOC": 29,
	"SRV":   33,
	"NAPTR": 35, "DNAME": 39, "DS": 43, "SSHFP": 44, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "NSEC3": 50,
	"NSEC3PARAM": 51,
	"TLSA":       52, "CDS": 59, "CDNSKEY": 60, "OPENPGPKEY": 61, "CSYNC": 62, "ZONEMD": 63, "SVCB": 64, "HTTPS": 65,
	"ANY": 255, "URI": 256, "CAA": 257,
}

var typeNames = func() map[dnsmessage.Type]string {
	m := map[dnsmessage.Type]string{}
	for name, t := range types {
		m[t] = name
	}
	return m
}()

// ParseType reads a type's mnemonic or TYPEn.
func ParseType(s string) (dnsmessage.Type, error) {
	up := strings.ToUpper(s)
	if t, ok := types[up]; ok {
		return t, nil
	}
	if digits, ok := strings.CutPrefix(up, "TYPE"); ok {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil {
			return dnsmessage.Type(n), nil
		}
	}
	return 0, fmt.Errorf("%q is not a type of records; A, AAAA, MX … or TYPE65280", s)
}

// TypeName is the mnemonic.
func TypeName(t dnsmessage.Type) string {
	if n, ok := typeNames[t]; ok {
		return n
	}
	return fmt.Sprintf("TYPE%d", t)
}

func className(c dnsmessage.Class) string {
	switch c {
	case dnsmessage.ClassINET:
		return "IN"
	case dnsmessage.ClassCHAOS:
		return "CH"
	}
	return fmt.Sprintf("CLASS%d", c)
}

// RCodeName is RFC 6895 2.3's.
func RCodeName(n int) string {
	names := map[int]string{
		0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
		6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 16: "BADVERS", 23: "BADCOOKIE",
	}
	if s, ok := names[n]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", n)
}

// extended are RFC 8914 4's.
var extended = [...]string{
	"Other", "Unsupported DNSKEY Algorithm", "Unsupported DS Digest Type", "Stale Answer", "Forged Answer",
	"DNSSEC Indeterminate", "DNSSEC Bogus", "Signature Expired", "Signature Not Yet Valid", "DNSKEY Missing",
	"RRSIGs Missing", "No Zone Key Bit Set", "NSEC Missing", "Cached Error", "Not Ready", "Blocked", "Censored",
	"Filtered", "Prohibited", "Stale NXDOMAIN Answer", "Not Authoritative", "Not Supported",
	"No Reachable Authority", "Network Error", "Invalid Data",
}

// ExtendedName says what an extended error's code means.
func ExtendedName(code int) string {
	if code < len(extended) {
		return extended[code]
	}
	return "unassigned"
}
