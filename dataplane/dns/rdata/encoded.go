package rdata

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// hexadecimal is octets to the end, in words of hexadecimal digits, at least so many.
func hexadecimal(what string, least int) field {
	return field{
		func(p *input) error {
			at := p.at
			b, err := hex.DecodeString(p.rest())
			if err != nil || len(b) < least {
				return p.failAt(at, "the %s is at least %d octets in hexadecimal", what, least)
			}
			p.out = append(p.out, b...)
			return nil
		},
		func(o *output) bool {
			if len(o.rest) < least {
				return false
			}
			b, _ := o.take(len(o.rest))
			return len(b) == 0 || o.put(strings.ToUpper(hex.EncodeToString(b)))
		},
	}
}

// encoded64 is octets to the end in base64, at least so many.
func encoded64(what string, least int) field {
	return field{
		func(p *input) error {
			at := p.at
			b, err := base64.StdEncoding.DecodeString(p.rest())
			if err != nil || len(b) < least {
				return p.failAt(at, "the %s is at least %d octets in base64", what, least)
			}
			p.out = append(p.out, b...)
			return nil
		},
		func(o *output) bool {
			if len(o.rest) < least {
				return false
			}
			b, _ := o.take(len(o.rest))
			o.bare = len(b) == 0
			return o.bare || o.put(base64.StdEncoding.EncodeToString(b))
		},
	}
}

// salt is octets in hexadecimal after their number; "-" is none (RFC 5155 3.3).
func salt(what string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			if w == "-" {
				w = ""
			}
			b, err := hex.DecodeString(w)
			if err != nil || len(b) > 255 {
				return p.bad("the %s is up to 255 octets in hexadecimal, or -", what)
			}
			p.out = append(append(p.out, byte(len(b))), b...)
			return nil
		},
		func(o *output) bool {
			b, ok := o.counted()
			if ok && len(b) == 0 {
				return o.put("-")
			}
			return ok && o.put(strings.ToUpper(hex.EncodeToString(b)))
		},
	}
}

// hashed is octets in base32 after their number (RFC 5155 3.3).
func hashed(what string) field {
	enc := base32.HexEncoding.WithPadding(base32.NoPadding)
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			b, err := enc.DecodeString(strings.ToUpper(w))
			if err != nil || len(b) == 0 || len(b) > 255 {
				return p.bad("the %s is up to 255 octets in base32", what)
			}
			p.out = append(append(p.out, byte(len(b))), b...)
			return nil
		},
		func(o *output) bool {
			b, ok := o.counted()
			return ok && len(b) > 0 && o.put(enc.EncodeToString(b))
		},
	}
}

// bitmap is a set of types to the end (RFC 4034 4.1.2).
func bitmap() field {
	return field{
		func(p *input) error {
			var types []uint16
			for p.at < len(p.words) {
				t, err := ParseType(p.words[p.at])
				if p.at++; err != nil {
					return p.bad("%v", err)
				}
				types = append(types, t)
			}
			slices.Sort(types)
			p.out = appendBitmap(p.out, types)
			return nil
		},
		func(o *output) bool {
			last := -1
			for len(o.rest) > 0 {
				w, _ := o.number(1)
				bits, ok := o.counted()
				if !ok || int(w) <= last || len(bits) == 0 || len(bits) > 32 || bits[len(bits)-1] == 0 {
					return false
				}
				last = int(w)
				for i := range len(bits) * 8 {
					if bits[i/8]&(0x80>>(i%8)) != 0 {
						o.put(Mnemonic(uint16(w)<<8 | uint16(i)))
					}
				}
			}
			return true
		},
	}
}

func appendBitmap(dst []byte, types []uint16) []byte {
	for i := 0; i < len(types); {
		window := types[i] >> 8
		var bits [32]byte
		n := 0
		for ; i < len(types) && types[i]>>8 == window; i++ {
			low := types[i] & 0xff
			bits[low/8] |= 0x80 >> (low % 8)
			n = int(low/8) + 1
		}
		dst = append(append(dst, byte(window), byte(n)), bits[:n]...)
	}
	return dst
}

// groups is so many groups of octets in hexadecimal with a separator between them: EUI-48
// 01-02-03-04-05-06 (RFC 7043), NID 0014:4fff:ff20:ee64 (RFC 6742).
func groups(what string, count, octets int, separator string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			parts := strings.Split(w, separator)
			for _, part := range parts {
				full := strings.Repeat("0", max(0, 2*octets-len(part))) + part
				b, err := hex.DecodeString(full)
				if err != nil || len(b) != octets || len(parts) != count || part == "" || separator == "-" &&
					len(part) != 2 {
					return p.bad("the %s is %d groups of hexadecimal digits with %s between them, not %s", what, count,
						separator, w)
				}
				p.out = append(p.out, b...)
			}
			return nil
		},
		func(o *output) bool {
			b, ok := o.take(count * octets)
			if !ok {
				return false
			}
			var parts []string
			for c := range slices.Chunk(b, octets) {
				parts = append(parts, hex.EncodeToString(c))
			}
			return o.put(strings.Join(parts, separator))
		},
	}
}

// nsap is 0x47.0005.80… (RFC 1706 5).
func nsap(what string) field {
	return field{
		func(p *input) error {
			w, err := p.next(what)
			if err != nil {
				return err
			}
			digits, ok := strings.CutPrefix(strings.ToLower(w), "0x")
			b, err := hex.DecodeString(strings.NewReplacer(".", "", "+", "").Replace(digits))
			if !ok || err != nil || len(b) == 0 {
				return p.bad("the %s is hexadecimal digits after 0x, not %s", what, w)
			}
			p.out = append(p.out, b...)
			return nil
		},
		func(o *output) bool {
			b, _ := o.take(len(o.rest))
			return len(b) > 0 && o.put("0x"+strings.ToUpper(hex.EncodeToString(b)))
		},
	}
}

// hip is the whole of RFC 8005 5: algorithm, HIT in hexadecimal, key in base64, and names.
func hip() field {
	servers := domains("rendezvous server")
	return field{
		func(p *input) error {
			head := [3]string{}
			for i, what := range []string{"algorithm", "HIT", "key"} {
				w, err := p.next(what)
				if err != nil {
					return err
				}
				head[i] = w
			}
			alg, err := strconv.ParseUint(head[0], 10, 8)
			if err != nil {
				return p.failAt(0, "the algorithm is a number from 0 to 255, not %s", head[0])
			}
			hit, err := hex.DecodeString(head[1])
			if err != nil || len(hit) == 0 || len(hit) > 255 {
				return p.failAt(1, "the HIT is 1 to 255 octets in hexadecimal")
			}
			key, err := base64.StdEncoding.DecodeString(head[2])
			if err != nil || len(key) == 0 || len(key) > MaxLength {
				return p.failAt(2, "the key is octets in base64")
			}
			p.out = append(p.out, byte(len(hit)), byte(alg))
			p.out = binary.BigEndian.AppendUint16(p.out, uint16(len(key)))
			p.out = append(append(p.out, hit...), key...)
			return servers.read(p)
		},
		func(o *output) bool {
			n, ok := o.take(4)
			if !ok {
				return false
			}
			hit, ok := o.take(int(n[0]))
			key, ok2 := o.take(int(binary.BigEndian.Uint16(n[2:])))
			if !ok || !ok2 || len(hit) == 0 || len(key) == 0 {
				return false
			}
			o.put(fmt.Sprint(n[1]))
			o.put(strings.ToUpper(hex.EncodeToString(hit)))
			o.put(base64.StdEncoding.EncodeToString(key))
			return servers.show(o)
		},
	}
}

// dash64 is octets to the end in base64; "-" is none.
func dash64(what string) field {
	some := encoded64(what, 1)
	return field{
		func(p *input) error {
			if p.at < len(p.words) && p.words[p.at] == "-" {
				p.at++
				return nil
			}
			return some.read(p)
		},
		func(o *output) bool { return len(o.rest) == 0 && o.put("-") || some.show(o) },
	}
}
