package rdata

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// place is the whole of LOC (RFC 1876 2 and 3).
func place() field { return field{readPlace, showPlace} }

func readPlace(p *input) error {
	lat, err := p.angle("latitude", 90, "N", "S")
	if err != nil {
		return err
	}
	long, err := p.angle("longitude", 180, "E", "W")
	if err != nil {
		return err
	}
	w, err := p.next("altitude")
	if err != nil {
		return err
	}
	alt, ok := centimetres(w, true)
	if alt += 100000_00; !ok || alt < 0 || alt > 1<<32-1 {
		return p.bad("the altitude is from -100000.00m to 42849672.95m, not %s", w)
	}
	sizes := [3]byte{0x12, 0x16, 0x13} // 1 m, 10 km, 10 m
	for i := range sizes {
		if p.at == len(p.words) {
			break
		}
		w, _ := p.next("size")
		cm, ok := centimetres(w, false)
		if !ok || cm > 90000000_00 {
			return p.bad("a size or precision is from 0m to 90000000.00m, not %s", w)
		}
		sizes[i] = exponent(cm)
	}
	p.out = append(p.out, 0, sizes[0], sizes[1], sizes[2])
	for _, n := range []int64{lat, long, alt} {
		p.out = binary.BigEndian.AppendUint32(p.out, uint32(n))
	}
	return nil
}

// angle reads degrees, minutes and seconds as thousandths of seconds from 2^31.
func (p *input) angle(what string, most int64, plus, minus string) (int64, error) {
	var n [3]int64
	for i := 0; ; i++ {
		w, err := p.next(what)
		if err != nil {
			return 0, err
		}
		sign := int64(1)
		switch strings.ToUpper(w) {
		case minus:
			sign = -1
			fallthrough
		case plus:
			v := (n[0]*60+n[1])*60_000 + n[2]
			if i == 0 || v > most*3_600_000 {
				return 0, p.bad("the %s is at most %d degrees", what, most)
			}
			return 1<<31 + sign*v, nil
		}
		if i == len(n) {
			return 0, p.bad("%s or %s must follow the %s", plus, minus, what)
		}
		v, ok := decimal(w, []int{0, 0, 3}[i])
		if !ok || v > []int64{most, 59, 59_999}[i] {
			return 0, p.bad("%s is not the %s of a %s", w, []string{"degrees", "minutes", "seconds"}[i], what)
		}
		n[i] = v
	}
}

// centimetres reads metres with up to two digits after the point.
func centimetres(w string, signed bool) (int64, bool) {
	w = strings.TrimSuffix(strings.TrimSuffix(w, "m"), "M")
	rest, negative := strings.CutPrefix(w, "-")
	if !negative {
		rest = strings.TrimPrefix(rest, "+")
	}
	n, ok := decimal(rest, 2)
	if negative {
		return -n, ok && signed
	}
	return n, ok
}

// decimal reads a number with up to so many digits after the point, as a multiple of the
// last of them.
func decimal(w string, digits int) (int64, bool) {
	whole, part, point := strings.Cut(w, ".")
	if point && (digits == 0 || len(part) > digits || part == "") || strings.ContainsAny(w, "+-_") {
		return 0, false
	}
	n, err := strconv.ParseInt(whole+part+strings.Repeat("0", digits-len(part)), 10, 64)
	return n, err == nil && whole != ""
}

// exponent is centimetres as a digit and a power of ten (RFC 1876 2).
func exponent(cm int64) byte {
	e := byte(0)
	for ; cm > 9; cm /= 10 {
		e++
	}
	return byte(cm)<<4 | e
}

func showPlace(o *output) bool {
	b, ok := o.take(16)
	if !ok || b[0] != 0 {
		return false
	}
	lat := int64(binary.BigEndian.Uint32(b[4:])) - 1<<31
	long := int64(binary.BigEndian.Uint32(b[8:])) - 1<<31
	if max(lat, -lat) > 90*3_600_000 || max(long, -long) > 180*3_600_000 {
		return false
	}
	o.put(showAngle(lat, "N", "S"))
	o.put(showAngle(long, "E", "W"))
	o.put(showMetres(int64(binary.BigEndian.Uint32(b[12:])) - 100000_00))
	for _, s := range b[1:4] {
		if s>>4 > 9 || s&15 > 9 {
			return false
		}
		n := int64(s >> 4)
		for range s & 15 {
			n *= 10
		}
		o.put(showMetres(n))
	}
	return true
}

func showAngle(v int64, plus, minus string) string {
	side := plus
	if v < 0 {
		v, side = -v, minus
	}
	return fmt.Sprintf("%d %d %d.%03d %s", v/3_600_000, v/60_000%60, v/1000%60, v%1000, side)
}

func showMetres(cm int64) string {
	sign := ""
	if cm < 0 {
		cm, sign = -cm, "-"
	}
	return fmt.Sprintf("%s%d.%02dm", sign, cm/100, cm%100)
}
