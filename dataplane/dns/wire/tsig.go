package wire

import "encoding/binary"

// Errors of TSIG, RFC 8945 3.
const (
	BadSig  = 16
	BadKey  = 17
	BadTime = 18
)

// TSIG is what the TSIG record of a query says of its key (RFC 8945 4.2).
type TSIG struct {
	key       [MaxName]byte // in wire format
	nkey      int
	algorithm []byte // in wire format; points into the message
	id        uint16 // the original ID
}

// parse reads the record at start of msg, whose type is at typ and which ends at end.
func (t *TSIG) parse(msg []byte, start, typ, end int) bool {
	if t.nkey = expand(&t.key, msg, start); t.nkey == 0 {
		return false
	}
	if binary.BigEndian.Uint16(msg[typ+2:]) != ClassANY || binary.BigEndian.Uint32(msg[typ+4:]) != 0 {
		return false
	}
	rd := msg[typ+10 : end]
	n := plainName(rd)
	if n == 0 {
		return false
	}
	t.algorithm, rd = rd[:n:n], rd[n:]
	// Time, fudge and the MAC's length; the MAC; ID, error and other length; other.
	if len(rd) < 10 {
		return false
	}
	mac := 10 + int(binary.BigEndian.Uint16(rd[8:]))
	if len(rd) < mac+6 {
		return false
	}
	t.id = binary.BigEndian.Uint16(rd[mac:])
	return len(rd) == mac+6+int(binary.BigEndian.Uint16(rd[mac+4:]))
}

// plainName is the length of a name without compression (RFC 8945 4.2 wants the
// algorithm's so), 0 when it is none.
func plainName(b []byte) int {
	for i := 0; i < len(b) && i < MaxName && b[i] < 64; i += int(b[i]) + 1 {
		if b[i] == 0 {
			return i + 1
		}
	}
	return 0
}

// expand writes the name at off of msg without compression and returns its length, 0
// when it is none. A pointer must lead backwards, which ends every chain of them.
func expand(to *[MaxName]byte, msg []byte, off int) int {
	n, bound := 0, off
	for off < len(msg) {
		l := int(msg[off])
		switch {
		case l >= 0xc0:
			if off+2 > len(msg) {
				return 0
			}
			off = int(binary.BigEndian.Uint16(msg[off:])) & 0x3fff
			if off >= bound {
				return 0
			}
			bound = off
			continue
		case l > 63 || off+1+l > len(msg) || n+1+l > MaxName:
			return 0
		}
		n += copy(to[n:], msg[off:off+1+l])
		if l == 0 {
			return n
		}
		off += 1 + l
	}
	return 0
}

// tsigFudge is how far clocks may differ, in seconds (RFC 8945 10).
const tsigFudge = 300

// AddTSIG ends a finished answer with an unsigned TSIG record that says why the query's
// key did not serve (RFC 8945 5.3.2), and returns the message. Where there is no room
// it is left out.
func (b *Builder) AddTSIG(t *TSIG, now uint64, code uint16) []byte {
	rd := len(t.algorithm) + 16
	if b.Size()+t.nkey+10+rd > b.hard {
		return b.buf
	}
	b.buf = append(b.buf, t.key[:t.nkey]...)
	b.buf = append(b.buf, 0, TypeTSIG, 0, ClassANY, 0, 0, 0, 0, byte(rd>>8), byte(rd))
	b.buf = append(b.buf, t.algorithm...)
	b.buf = append(b.buf, byte(now>>40), byte(now>>32), byte(now>>24), byte(now>>16), byte(now>>8), byte(now),
		tsigFudge>>8, tsigFudge&0xff, 0, 0) // no MAC
	b.buf = append(b.buf, byte(t.id>>8), byte(t.id), byte(code>>8), byte(code), 0, 0)
	ar := b.buf[b.base+10:]
	binary.BigEndian.PutUint16(ar, binary.BigEndian.Uint16(ar)+1)
	return b.buf
}
