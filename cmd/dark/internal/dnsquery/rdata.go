package dnsquery

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// rdata is the data of the record whose header was read, as a master file has it; of
// types not known here, in the form for all (RFC 3597 5).
func rdata(p *dnsmessage.Parser, t dnsmessage.Type) (string, error) {
	switch t {
	case dnsmessage.TypeNS:
		r, err := p.NSResource()
		return text(r.NS), err
	case dnsmessage.TypeCNAME:
		r, err := p.CNAMEResource()
		return text(r.CNAME), err
	case dnsmessage.TypePTR:
		r, err := p.PTRResource()
		return text(r.PTR), err
	case dnsmessage.TypeMX:
		r, err := p.MXResource()
		return fmt.Sprintf("%d %s", r.Pref, text(r.MX)), err
	case dnsmessage.TypeSRV:
		r, err := p.SRVResource()
		return fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, text(r.Target)), err
	case dnsmessage.TypeSOA:
		r, err := p.SOAResource()
		return fmt.Sprintf("%s %s %d %d %d %d %d", text(r.NS), text(r.MBox), r.Serial, r.Refresh, r.Retry, r.Expire,
			r.MinTTL), err
	case dnsmessage.TypeA:
		r, err := p.AResource()
		return fmt.Sprintf("%d.%d.%d.%d", r.A[0], r.A[1], r.A[2], r.A[3]), err
	case dnsmessage.TypeAAAA:
		r, err := p.AAAAResource()
		return netip.AddrFrom16(r.AAAA).String(), err
	case dnsmessage.TypeTXT:
		r, err := p.TXTResource()
		return quoted(r.TXT), err
	}
	r, err := p.UnknownResource()
	if err != nil {
		return "", err
	}
	return uncompressed(t, r.Data), nil
}

// uncompressed writes types whose names are never compressed (RFC 3597 4).
func uncompressed(t dnsmessage.Type, b []byte) string {
	var s string
	var err error
	switch t {
	case 39: // DNAME
		s, _, err = nameIn(b)
	case 43, 59: // DS, CDS
		s, err = numbers(b, 2, 1, 1)
	case 48, 60: // DNSKEY, CDNSKEY
		s, err = numbers64(b, 2, 1, 1)
	case 44: // SSHFP, RFC 4255
		s, err = numbers(b, 1, 1)
	case 52: // TLSA
		s, err = numbers(b, 1, 1, 1)
	case 257: // CAA
		s, err = caa(b)
	case 46: // RRSIG
		s, err = rrsig(b)
	default:
		err = errShort
	}
	if err != nil {
		return fmt.Sprintf(`\# %d %X`, len(b), b)
	}
	return s
}

var errShort = errors.New("the data is short")

// numbers writes numbers of the given octets, then the rest in hexadecimal.
func numbers(b []byte, sizes ...int) (string, error) {
	s, rest, err := leading(b, sizes...)
	return s + fmt.Sprintf("%X", rest), err
}

// numbers64 writes the rest in base 64.
func numbers64(b []byte, sizes ...int) (string, error) {
	s, rest, err := leading(b, sizes...)
	return s + base64.StdEncoding.EncodeToString(rest), err
}

func leading(b []byte, sizes ...int) (s string, rest []byte, err error) {
	for _, n := range sizes {
		if len(b) < n {
			return "", nil, errShort
		}
		v := uint64(0)
		for _, c := range b[:n] {
			v = v<<8 | uint64(c)
		}
		s += fmt.Sprintf("%d ", v)
		b = b[n:]
	}
	return s, b, nil
}

// rrsig is RFC 4034 3.2.
func rrsig(b []byte) (string, error) {
	if len(b) < 18 {
		return "", errShort
	}
	signer, n, err := nameIn(b[18:])
	if err != nil {
		return "", err
	}
	u32 := func(i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	moment := func(i int) string { return time.Unix(int64(u32(i)), 0).UTC().Format("20060102150405") }
	return fmt.Sprintf("%s %d %d %d %s %s %d %s %s", TypeName(dnsmessage.Type(binary.BigEndian.Uint16(b))), b[2], b[3],
			u32(4),
			moment(8), moment(12), binary.BigEndian.Uint16(b[16:]), signer,
			base64.StdEncoding.EncodeToString(b[18+n:])),
		nil
}

// caa is RFC 8659 4.1.
func caa(b []byte) (string, error) {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return "", errShort
	}
	tag := 2 + int(b[1])
	return fmt.Sprintf("%d %s %s", b[0], b[2:tag], quoted([]string{string(b[tag:])})), nil
}

// nameIn reads a name without compression and tells its length.
func nameIn(b []byte) (name string, n int, err error) {
	for {
		if n >= len(b) || b[n] > 63 || n+1+int(b[n]) > len(b) {
			return "", 0, errShort
		}
		if b[n] == 0 {
			break
		}
		label := b[n+1 : n+1+int(b[n])]
		name += escape(string(label), `."\`) + "."
		n += 1 + len(label)
	}
	if name == "" {
		name = "."
	}
	return name, n + 1, nil
}

func quoted(texts []string) string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = `"` + escape(t, `"\`) + `"`
	}
	return strings.Join(out, " ")
}

// text is a name without what a terminal would take otherwise.
func text(n dnsmessage.Name) string { return escape(n.String(), `"\\`) }

// escape writes what a terminal or a master file would take otherwise as \DDD or \C.
func escape(s, special string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		case strings.IndexByte(special, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
