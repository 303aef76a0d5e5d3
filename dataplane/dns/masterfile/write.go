package masterfile

import (
	"bufio"
	"fmt"
	"io"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// Writer writes a zone file that Knot, NSD and BIND load: absolute names in RDATA,
// every TTL and class written, types that some of them do not know in the form of
// RFC 3597 5. It is owned by one goroutine.
type Writer struct {
	w    *bufio.Writer
	apex string
}

// NewWriter begins a file of the zone apex. Call SOA first, Flush last.
func NewWriter(w io.Writer, apex string) *Writer {
	return &Writer{bufio.NewWriterSize(w, 64<<10), apex}
}

// SOA writes the head of the file.
func (w *Writer) SOA(soa zone.SOA, serial uint32) error {
	_, err := fmt.Fprintf(w.w, "$ORIGIN %s.\n@ %d IN SOA %s %s %d %d %d %d %d\n", w.apex, soa.TTL,
		dns.Fqdn(soa.MName), dns.Fqdn(soa.RName), serial, soa.Refresh, soa.Retry, soa.Expire, soa.Minimum)
	return err
}

// RRset writes the records of a set.
func (w *Writer) RRset(rr zone.RRset) error {
	generic := !widelyKnown[rr.Type]
	typ := rdata.FormatType(rr.Type)
	if generic {
		typ = fmt.Sprintf("TYPE%d", rr.Type)
	}
	for _, rd := range rr.RData {
		var text string
		if generic {
			text = rdata.Generic(rd)
		} else {
			text = rdata.Format(rr.Type, rd)
		}
		if _, err := fmt.Fprintf(w.w, "%s %d IN %s %s\n", rr.Owner, rr.TTL, typ, text); err != nil {
			return err
		}
	}
	return nil
}

// Zone writes a whole compiled zone.
func (w *Writer) Zone(z *zone.Zone) error {
	if err := w.SOA(z.Settings(), z.Serial()); err != nil {
		return err
	}
	var err error
	z.Ascend(func(n *zone.Node) bool {
		for _, s := range n.Sets() {
			if err = w.RRset(n.RRset(s)); err != nil {
				return false
			}
		}
		return true
	})
	return err
}

// Flush ends the file.
func (w *Writer) Flush() error { return w.w.Flush() }

// widelyKnown are the types whose mnemonic and format every server of the day reads.
var widelyKnown = map[uint16]bool{
	dns.TypeA: true, dns.TypeNS: true, dns.TypeCNAME: true, dns.TypeSOA: true, dns.TypePTR: true,
	dns.TypeHINFO: true, dns.TypeMINFO: true, dns.TypeMX: true, dns.TypeTXT: true, dns.TypeRP: true,
	dns.TypeAFSDB: true, dns.TypeRT: true, dns.TypeKEY: true, dns.TypeAAAA: true, dns.TypeLOC: true,
	dns.TypeSRV: true, dns.TypeNAPTR: true, dns.TypeKX: true, dns.TypeCERT: true, dns.TypeDNAME: true,
	dns.TypeAPL: true, dns.TypeDS: true, dns.TypeSSHFP: true, dns.TypeIPSECKEY: true, dns.TypeDNSKEY: true,
	dns.TypeDHCID: true, dns.TypeTLSA: true, dns.TypeSMIMEA: true, dns.TypeCDS: true, dns.TypeCDNSKEY: true,
	dns.TypeOPENPGPKEY: true, dns.TypeCSYNC: true, dns.TypeZONEMD: true, dns.TypeSVCB: true, dns.TypeHTTPS: true,
	dns.TypeSPF: true, dns.TypeNID: true, dns.TypeL32: true, dns.TypeL64: true, dns.TypeLP: true,
	dns.TypeEUI48: true, dns.TypeEUI64: true, dns.TypeURI: true, dns.TypeCAA: true,
}
