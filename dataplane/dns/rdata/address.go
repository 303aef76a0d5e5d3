package rdata

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ipv4 is an address of four octets.
func ipv4(what string) field { return address(what, 4) }

// ipv6 is an address of sixteen octets.
func ipv6(what string) field { return address(what, 16) }

func address(what string, size int) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			b, err := parseAddress(w, size)
			if err != nil {
				return p.bad("%v", err)
			}
			p.out = append(p.out, b...)
			return nil
		},
		func(o *output) bool {
			b, ok := o.take(size)
			if !ok {
				return false
			}
			a, _ := netip.AddrFromSlice(b)
			return o.put(a.String())
		},
	}
}

func parseAddress(w string, size int) ([]byte, error) {
	a, err := netip.ParseAddr(w)
	if err == nil && a.Zone() == "" && len(a.AsSlice()) == size {
		return a.AsSlice(), nil
	}
	family, example, other := "IPv4", "192.0.2.1", "AAAA"
	if size == 16 {
		family, example, other = "IPv6", "2001:db8::1", "A"
	}
	if err == nil && a.Zone() == "" {
		return nil, fmt.Errorf("%s is not an %s address; it belongs into a record of type %s", w, family, other)
	}
	return nil, fmt.Errorf("%s is not an %s address such as %s", w, family, example)
}

// gateway is an address or a name as a number at an earlier octet says: of IPSECKEY
// (RFC 4025 2.5) and AMTRELAY (RFC 8777 4.2.4).
func gateway(what string, kindAt int) field {
	kinds := [4]field{none(what), ipv4(what), ipv6(what), domain(what)}
	of := func(rd []byte) int {
		if kindAt >= len(rd) {
			return len(kinds)
		}
		return int(rd[kindAt] & 0x7f)
	}
	return field{
		func(p *input) error {
			k := of(p.out)
			if k >= len(kinds) {
				return p.bad("the type of the %s is a number from 0 to 3", what)
			}
			return kinds[k].read(p)
		},
		func(o *output) bool {
			k := of(o.all)
			return k < len(kinds) && kinds[k].show(o)
		},
	}
}

// none is "." for nothing.
func none(what string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err == nil && w != "." {
				err = p.bad("a %s of type 0 is written .", what)
			}
			return err
		},
		func(o *output) bool { return o.put(".") },
	}
}

// relayKind is the D bit and the type of an AMTRELAY in one octet (RFC 8777 4.2).
func relayKind() field {
	return field{
		func(p *input) error {
			d, err := p.next("D bit")
			if err != nil {
				return err
			}
			if d != "0" && d != "1" {
				return p.bad("the D bit is 0 or 1, not %s", d)
			}
			w, err := p.next("type of the relay")
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(w, 10, 7)
			if err != nil {
				return p.bad("the type of the relay is a number from 0 to 3, not %s", w)
			}
			p.out = append(p.out, (d[0]-'0')<<7|byte(n))
			return nil
		},
		func(o *output) bool {
			n, ok := o.number(1)
			return ok && o.put(strconv.Itoa(int(n>>7))) && o.put(strconv.Itoa(int(n&0x7f)))
		},
	}
}

// prefixes are the items of APL to the end, none being allowed (RFC 3123 5).
func prefixes() field {
	return field{
		func(p *input) error {
			for p.at < len(p.words) {
				w, _ := p.next("prefix")
				b, err := parsePrefix(w)
				if err != nil {
					return p.bad("%s is not a prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32: %v", w, err)
				}
				p.out = append(p.out, b...)
			}
			return nil
		},
		func(o *output) bool {
			for len(o.rest) > 0 {
				if !showPrefix(o) {
					return false
				}
			}
			return true
		},
	}
}

func parsePrefix(w string) ([]byte, error) {
	rest, negated := strings.CutPrefix(w, "!")
	family, rest, ok := strings.Cut(rest, ":")
	sizes := map[string]int{"1": 4, "2": 16}
	size := sizes[family]
	if !ok || size == 0 {
		return nil, fmt.Errorf("the family is 1 or 2")
	}
	pre, err := netip.ParsePrefix(rest)
	if err != nil || len(pre.Addr().AsSlice()) != size {
		return nil, fmt.Errorf("it is not an address and a length")
	}
	a := pre.Addr().AsSlice()
	for len(a) > 0 && a[len(a)-1] == 0 {
		a = a[:len(a)-1]
	}
	n := byte(len(a))
	if negated {
		n |= 0x80
	}
	return append([]byte{0, family[0] - '0', byte(pre.Bits()), n}, a...), nil
}

func showPrefix(o *output) bool {
	h, ok := o.take(4)
	if !ok || h[0] != 0 {
		return false
	}
	a, ok := o.take(int(h[3] & 0x7f))
	size := map[byte]int{1: 4, 2: 16}[h[1]]
	if !ok || len(a) > size || len(a) > 0 && a[len(a)-1] == 0 || int(h[2]) > 8*size {
		return false
	}
	addr, ok := netip.AddrFromSlice(append(append([]byte{}, a...), make([]byte, size-len(a))...))
	if !ok {
		return false
	}
	not := ""
	if h[3]&0x80 != 0 {
		not = "!"
	}
	return o.put(fmt.Sprintf("%s%d:%s/%d", not, h[1], addr, h[2]))
}

// services are the ports of WKS to the end (RFC 1035 3.4.2).
func services() field {
	return field{
		func(p *input) error {
			var bits [8192]byte
			n := 0
			for p.at < len(p.words) {
				w, _ := p.next("port")
				port, ok := wellKnown[strings.ToLower(w)]
				if !ok {
					v, err := strconv.ParseUint(w, 10, 16)
					if err != nil {
						return p.bad("%s is not the number of a port", w)
					}
					port = int(v)
				}
				bits[port/8] |= 0x80 >> (port % 8)
				n = max(n, port/8+1)
			}
			p.out = append(p.out, bits[:n]...)
			return nil
		},
		func(o *output) bool {
			b, _ := o.take(len(o.rest))
			if len(b) > 8192 || len(b) > 0 && b[len(b)-1] == 0 {
				return false
			}
			for i := range len(b) * 8 {
				if b[i/8]&(0x80>>(i%8)) != 0 {
					o.put(strconv.Itoa(i))
				}
			}
			return true
		},
	}
}

var wellKnown = map[string]int{
	"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "time": 37, "domain": 53, "finger": 79, "http": 80, "pop3": 110,
	"sunrpc": 111, "nntp": 119, "ntp": 123, "imap": 143, "snmp": 161, "https": 443,
}

// suffix is the address and name of A6 (RFC 2874 3.1): of 128 bits, those after the prefix.
func suffix() field {
	return field{
		func(p *input) error {
			bits := int(p.out[0])
			if bits > 128 {
				return p.bad("the length of the prefix is at most 128")
			}
			if bits < 128 {
				w, err := p.next("suffix")
				if err != nil {
					return err
				}
				a, err := parseAddress(w, 16)
				if err != nil {
					return p.bad("%v", err)
				}
				a = a[bits/8:]
				a[0] &= 0xff >> (bits % 8)
				p.out = append(p.out, a...)
			}
			if bits == 0 {
				return nil
			}
			return domain("prefix name").read(p)
		},
		func(o *output) bool {
			bits := int(o.all[0])
			if bits > 128 {
				return false
			}
			a, ok := o.take((128 - bits + 7) / 8)
			if !ok {
				return false
			}
			if bits < 128 {
				addr, _ := netip.AddrFromSlice(append(make([]byte, 16-len(a)), a...))
				o.put(addr.String())
			}
			return bits == 0 || showDomain(o)
		},
	}
}
