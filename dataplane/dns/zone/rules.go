package zone

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
)

// single reports whether an RRset of the type has one record only: CNAME (RFC 2181
// 10.1), DNAME (RFC 6672 2.4), SOA.
func single(typ uint16) bool {
	return typ == dns.TypeCNAME || typ == dns.TypeDNAME || typ == dns.TypeSOA
}

// CheckOwner refuses types that cannot be at one owner together, and says which of them
// is too many; apex says that the owner is the zone's. types are all that the owner has after
// the change.
func CheckOwner(apex bool, types []uint16) (culprit uint16, err error) {
	has := func(t uint16) bool { return slices.Contains(types, t) }
	switch {
	case has(dns.TypeCNAME) && apex:
		return dns.TypeCNAME, errors.New("a CNAME cannot be at the apex, which has SOA and NS (RFC 1034 3.6.2)")
	case has(dns.TypeCNAME) && len(types) > 1:
		return dns.TypeCNAME, fmt.Errorf("a CNAME cannot be beside other records, here %s (RFC 1034 3.6.2)",
			others(types, dns.TypeCNAME))
	case has(dns.TypeDNAME) && has(dns.TypeNS) && !apex:
		return dns.TypeDNAME, errors.New("a DNAME cannot be beside NS but at the apex (RFC 6672 2.3)")
	case has(dns.TypeDS) && apex:
		return dns.TypeDS, errors.New("a DS belongs to the parent zone, not to the apex (RFC 4035 2.4)")
	}
	return 0, nil
}

func others(types []uint16, but uint16) string {
	var s []string
	for _, t := range types {
		if t != but {
			s = append(s, rdata.FormatType(t))
		}
	}
	return strings.Join(s, ", ")
}

// checkPlace refuses types that no one may write, and places where a type means
// nothing that servers agree on.
func checkPlace(owner string, typ uint16) error {
	wild := owner == "*" || strings.HasPrefix(owner, "*.")
	switch {
	case typ == dns.TypeSOA:
		return errors.New("the SOA belongs to the zone itself; set it there")
	case typ == dns.TypeRRSIG || typ == dns.TypeNSEC || typ == dns.TypeNSEC3 || typ == dns.TypeNSEC3PARAM ||
		typ == dns.TypeSIG || typ == dns.TypeNXT:
		return fmt.Errorf("records of type %s are made by signing", rdata.FormatType(typ))
	case typ == 0 || typ == dns.TypeOPT || typ >= 128 && typ <= 255:
		return fmt.Errorf("%s is a type of questions, not of records (RFC 6895 3.1)", rdata.FormatType(typ))
	case wild && typ == dns.TypeNS:
		return errors.New("NS at a wildcard has no agreed meaning (RFC 4592 4.2)")
	case wild && typ == dns.TypeDNAME:
		return errors.New("DNAME at a wildcard has no agreed meaning (RFC 6672 3.3)")
	}
	return nil
}
