package dnsquery

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// Codes of EDNS options.
const (
	optionNSID     = 3  // RFC 5001
	optionSubnet   = 8  // RFC 7871
	optionExtended = 15 // RFC 8914
)

// Prefix is the network that a client is told as: what RFC 7871 11.1 recommends, so that
// it names no one.
func Prefix(address string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(address); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a prefix", address)
	}
	bits := 56
	if a = a.Unmap().WithZone(""); a.Is4() {
		bits = 24
	}
	return a.Prefix(bits)
}

func (q Query) pack(id uint16) ([]byte, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(q.Name, ".") + ".")
	if err != nil {
		return nil, fmt.Errorf("name %q: %w", q.Name, err)
	}
	options := []dnsmessage.Option{{Code: optionNSID}}
	if q.From.IsValid() {
		options = append(options, dnsmessage.Option{Code: optionSubnet, Data: subnet(q.From)})
	}
	var h dnsmessage.ResourceHeader
	if err := h.SetEDNS0(udpSize, dnsmessage.RCodeSuccess, q.DNSSEC); err != nil {
		return nil, err
	}
	m := dnsmessage.Message{
		Header:      dnsmessage.Header{ID: id},
		Questions:   []dnsmessage.Question{{Name: name, Type: q.Type, Class: dnsmessage.ClassINET}},
		Additionals: []dnsmessage.Resource{{Header: h, Body: &dnsmessage.OPTResource{Options: options}}},
	}
	b, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("name %q: %w", q.Name, err)
	}
	return b, nil
}

// subnet is the option's content, RFC 7871 6: family, source and scope prefix lengths,
// and as many octets of the address as the prefix covers.
func subnet(p netip.Prefix) []byte {
	family := byte(1)
	if p.Addr().Is6() {
		family = 2
	}
	return append([]byte{0, family, byte(p.Bits()), 0}, p.Masked().Addr().AsSlice()[:(p.Bits()+7)/8]...)
}
