package rdata

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

// field is one part of a type's form.
type field struct {
	read func(*input) error // appends to out
	show func(*output) bool // takes from rest; false when rest does not begin with it
}

// unsigned is a number of some octets in network order.
func unsigned(what string, octets int) field { return mnemonic(what, octets, nil) }

// mnemonic is a number that may be written as a name.
func mnemonic(what string, octets int, names map[string]uint64) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			n, known := names[strings.ToUpper(w)]
			if !known {
				if n, err = strconv.ParseUint(w, 10, 8*octets); err != nil {
					return p.bad("the %s is a number from 0 to %d, not %s", what, uint64(1)<<(8*octets)-1, w)
				}
			}
			p.out = append(p.out, bigEndian(n)[8-octets:]...)
			return nil
		},
		func(o *output) bool {
			n, ok := o.number(octets)
			return ok && o.put(strconv.FormatUint(n, 10))
		},
	}
}

func bigEndian(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func (o *output) number(octets int) (n uint64, ok bool) {
	b, ok := o.take(octets)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n, ok
}

// timer is 32 bits of seconds, also with units as BIND, Knot and NSD read them.
func timer(what string) field {
	f := unsigned(what, 4)
	f.read = func(p *input) error {
		w, err := p.next(what)
		if err != nil {
			return err
		}
		n, ok := ParseSeconds(w)
		if !ok {
			return p.bad("the %s is a number of seconds, or such as 1d12h, not %s", what, w)
		}
		p.out = binary.BigEndian.AppendUint32(p.out, n)
		return nil
	}
	return f
}

// moment is 32 bits of seconds since 1970 as YYYYMMDDHHmmSS (RFC 4034 3.2).
func moment(what string) field {
	const form = "20060102150405"
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			if len(w) == len(form) {
				t, err := time.Parse(form, w)
				if err != nil {
					return p.bad("the %s is a time such as %s, not %s", what, form, w)
				}
				p.out = binary.BigEndian.AppendUint32(p.out, uint32(t.Unix()))
				return nil
			}
			n, err := strconv.ParseUint(w, 10, 32)
			if err != nil {
				return p.bad("the %s is a time such as %s, not %s", what, form, w)
			}
			p.out = binary.BigEndian.AppendUint32(p.out, uint32(n))
			return nil
		},
		func(o *output) bool {
			n, ok := o.number(4)
			return ok && o.put(time.Unix(int64(n), 0).UTC().Format(form))
		},
	}
}

// typeCode is a type by its mnemonic, in two octets.
func typeCode(what string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			t, err := ParseType(w)
			if err != nil {
				return p.bad("%v", err)
			}
			p.out = binary.BigEndian.AppendUint16(p.out, t)
			return nil
		},
		func(o *output) bool {
			n, ok := o.number(2)
			return ok && o.put(Mnemonic(uint16(n)))
		},
	}
}

// domain is a name, uncompressed.
func domain(what string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			n, err := parseDomain(w, p.origin)
			if err != nil {
				return p.bad("the %s %v", what, err)
			}
			p.out, p.names = append(p.out, n...), append(p.names, p.at-1)
			return nil
		},
		showDomain,
	}
}

// parseDomain reads a name in a value. ";", which would begin a comment in a master file, needs
// an escape there, and so it does everywhere.
func parseDomain(w, origin string) (string, error) {
	for i := 0; i < len(w); i++ {
		switch w[i] {
		case '\\':
			i++
		case ';', '"', '(', ')':
			return "", fmt.Errorf(`%s has a %c; a value has no comments, and in a name it is written \%c`, w, w[i],
				w[i])
		}
	}
	return ParseName(w, origin)
}

func showDomain(o *output) bool {
	b, ok := o.take(wire.NameLen(o.rest))
	return ok && len(b) > 0 && o.put(FormatName(string(b)))
}

// domains are names to the end.
func domains(what string) field {
	one := domain(what)
	return field{
		func(p *input) error {
			for p.at < len(p.words) {
				if err := one.read(p); err != nil {
					return err
				}
			}
			return nil
		},
		func(o *output) bool {
			for len(o.rest) > 0 {
				if !one.show(o) {
					return false
				}
			}
			return true
		},
	}
}

// text is a character string of at most 255 octets (RFC 1035 3.3).
func text(what string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			b, err := Unquote(w)
			if err != nil {
				return p.bad("the %s %v", what, err)
			}
			if len(b) > 255 {
				return p.bad("the %s has %d octets, more than 255", what, len(b))
			}
			p.out = append(append(p.out, byte(len(b))), b...)
			return nil
		},
		func(o *output) bool {
			b, ok := o.counted()
			return ok && o.put(Quote(b))
		},
	}
}

// counted takes octets that have their number, in one octet, before them.
func (o *output) counted() ([]byte, bool) {
	n, ok := o.number(1)
	if !ok {
		return nil, false
	}
	return o.take(int(n))
}

// texts are character strings to the end, at least one. One that is longer than 255 octets
// goes on in the next (RFC 6376 3.6.2.2 and RFC 7208 3.3 join them).
func texts(what string) field {
	return field{
		func(p *input) error {
			for first := true; first || p.at < len(p.words); first = false {
				w, err := p.next(what)
				if err != nil {
					return err
				}
				b, err := Unquote(w)
				if err != nil {
					return p.bad("the %s %v", what, err)
				}
				for len(b) > 255 {
					p.out = append(append(p.out, 255), b[:255]...)
					b = b[255:]
				}
				p.out = append(append(p.out, byte(len(b))), b...)
			}
			return nil
		},
		func(o *output) bool {
			for first := true; first || len(o.rest) > 0; first = false {
				b, ok := o.counted()
				if !ok {
					return false
				}
				o.put(Quote(b))
			}
			return true
		},
	}
}

// optionalText is a character string that may be missing.
func optionalText(what string) field {
	one := text(what)
	return field{
		func(p *input) error {
			if p.at == len(p.words) {
				return nil
			}
			return one.read(p)
		},
		func(o *output) bool { return len(o.rest) == 0 || one.show(o) },
	}
}

// octets is a string to the end of the data, of any length (RFC 7553 4.4, RFC 8659 4.1.1).
func octets(what string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			b, err := Unquote(w)
			if err != nil {
				return p.bad("the %s %v", what, err)
			}
			p.out = append(p.out, b...)
			return nil
		},
		func(o *output) bool {
			b, _ := o.take(len(o.rest))
			return o.put(Quote(b))
		},
	}
}

// tag is a property of CAA: letters and digits (RFC 8659 4.1).
func tag(what string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			if !alphanumeric([]byte(w)) || len(w) > 255 {
				return p.bad("the %s is of letters and digits, not %s", what, w)
			}
			p.out = append(append(p.out, byte(len(w))), w...)
			return nil
		},
		func(o *output) bool {
			b, ok := o.counted()
			return ok && alphanumeric(b) && o.put(string(b))
		},
	}
}

func alphanumeric(b []byte) bool {
	for _, c := range b {
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return len(b) > 0
}
