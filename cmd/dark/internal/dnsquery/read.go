package dnsquery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// Message is an answer as it is shown.
type Message struct {
	Header   dnsmessage.Header
	RCode    int // with the bits of EDNS
	EDNS     *EDNS
	Question []Record // without data and TTL
	// Sections are answer, authority and additional, without the OPT record.
	Sections [3][]Record
}

// Record is a resource record.
type Record struct {
	Name, Class, Type, Data string
	TTL                     uint32
}

// EDNS is what the OPT record says (RFC 6891).
type EDNS struct {
	Version  int
	UDPSize  int
	DNSSEC   bool
	NSID     string
	Subnet   string // as it was sent, and the prefix that the answer is good for
	Extended []ExtendedError
}

// ExtendedError says why (RFC 8914).
type ExtendedError struct {
	Code int
	Text string // the server's
}

// Read reads a message.
func Read(b []byte) (*Message, error) {
	var p dnsmessage.Parser
	h, err := p.Start(b)
	if err != nil {
		return nil, err
	}
	m := &Message{Header: h, RCode: int(h.RCode)}
	questions, err := p.AllQuestions()
	if err != nil {
		return nil, err
	}
	for _, q := range questions {
		m.Question = append(m.Question, Record{Name: text(q.Name), Class: className(q.Class), Type: TypeName(q.Type)})
	}
	for i, next := range []func() (dnsmessage.ResourceHeader, error){
		p.AnswerHeader, p.AuthorityHeader,
		p.AdditionalHeader,
	} {
		for {
			h, err := next()
			if errors.Is(err, dnsmessage.ErrSectionDone) {
				break
			}
			if err == nil {
				err = m.record(&p, i, h)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return m, nil
}

func (m *Message) record(p *dnsmessage.Parser, section int, h dnsmessage.ResourceHeader) error {
	if h.Type == dnsmessage.TypeOPT {
		return m.opt(p, h)
	}
	data, err := rdata(p, h.Type)
	if err != nil {
		return fmt.Errorf("%s %s: %w", text(h.Name), TypeName(h.Type), err)
	}
	m.Sections[section] = append(m.Sections[section], Record{
		Name: text(h.Name), Class: className(h.Class), Type: TypeName(h.Type), TTL: h.TTL, Data: data,
	})
	return nil
}

func (m *Message) opt(p *dnsmessage.Parser, h dnsmessage.ResourceHeader) error {
	r, err := p.OPTResource()
	if err != nil {
		return err
	}
	m.RCode = int(h.ExtendedRCode(m.Header.RCode))
	e := &EDNS{Version: int(h.TTL >> 16 & 0xff), UDPSize: int(h.Class), DNSSEC: h.DNSSECAllowed()}
	for _, o := range r.Options {
		switch {
		case o.Code == optionNSID:
			e.NSID = escape(string(o.Data), "")
		case o.Code == optionSubnet:
			e.Subnet = subnetText(o.Data)
		case o.Code == optionExtended && len(o.Data) >= 2:
			e.Extended = append(e.Extended, ExtendedError{
				int(binary.BigEndian.Uint16(o.Data)),
				escape(string(o.Data[2:]), ""),
			})
		}
	}
	m.EDNS = e
	return nil
}

func subnetText(b []byte) string {
	if len(b) < 4 {
		return fmt.Sprintf("%x", b)
	}
	var a netip.Addr
	switch {
	case b[1] == 1 && len(b) <= 8:
		var v [4]byte
		copy(v[:], b[4:])
		a = netip.AddrFrom4(v)
	case b[1] == 2 && len(b) <= 20:
		var v [16]byte
		copy(v[:], b[4:])
		a = netip.AddrFrom16(v)
	default:
		return fmt.Sprintf("%x", b)
	}
	return fmt.Sprintf("%s/%d, good for /%d", a, b[2], b[3])
}
