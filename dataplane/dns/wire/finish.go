package wire

import (
	"encoding/binary"
	"unsafe"
)

func (n *Name) wireString() string { return unsafe.String(&n.wire[0], n.n) }

// WireString is Wire as a string, valid until the Name is used again.
func (n *Name) WireString() string { return n.wireString() }

// EDNS is what the OPT record of an answer says (RFC 6891 6.1.2).
type EDNS struct {
	UDPSize uint16 // what we take
	DO      bool   // echoed, RFC 3225 3
	NSID    string // RFC 5001; "" for none
	Cookie  []byte // RFC 7873: both halves; nil for none
	// Keepalive is how long the connection may idle, in tenths of a second (RFC 7828
	// 3.1); negative says nothing of it.
	Keepalive int
	EDE       int // RFC 8914 info code; negative for none
	EDEText   string
}

// Size is the length of the OPT record.
func (e *EDNS) Size() int {
	n := 11
	if e.NSID != "" {
		n += 4 + len(e.NSID)
	}
	if len(e.Cookie) > 0 {
		n += 4 + len(e.Cookie)
	}
	if e.Keepalive >= 0 {
		n += 6
	}
	if e.EDE >= 0 {
		n += 6 + len(e.EDEText)
	}
	return n
}

// Finish writes the header, and the OPT record unless edns is nil, and returns the
// buffer. flags are those of the answer but QR; rcode may have 12 bits with EDNS.
func (b *Builder) Finish(id uint16, flags uint16, rcode int, question bool, edns *EDNS) []byte {
	h := b.buf[b.base:]
	binary.BigEndian.PutUint16(h, id)
	binary.BigEndian.PutUint16(h[2:], FlagQR|flags|uint16(rcode&15))
	if question {
		h[5] = 1
	}
	ar := b.counts[Additional]
	if edns != nil {
		b.opt(edns, rcode)
		h = b.buf[b.base:]
		ar++
	}
	binary.BigEndian.PutUint16(h[6:], b.counts[Answer])
	binary.BigEndian.PutUint16(h[8:], b.counts[Authority])
	binary.BigEndian.PutUint16(h[10:], ar)
	return b.buf
}

func (b *Builder) opt(e *EDNS, rcode int) {
	var do byte
	if e.DO {
		do = 0x80
	}
	rd := e.Size() - 11
	b.buf = append(b.buf, 0, 0, TypeOPT, byte(e.UDPSize>>8), byte(e.UDPSize),
		byte(rcode>>4), 0, do, 0, byte(rd>>8), byte(rd))
	if e.NSID != "" {
		b.buf = append(b.buf, 0, OptNSID, byte(len(e.NSID)>>8), byte(len(e.NSID)))
		b.buf = append(b.buf, e.NSID...)
	}
	if len(e.Cookie) > 0 {
		b.buf = append(b.buf, 0, OptCookie, 0, byte(len(e.Cookie)))
		b.buf = append(b.buf, e.Cookie...)
	}
	if e.Keepalive >= 0 {
		b.buf = append(b.buf, 0, OptKeepalive, 0, 2, byte(e.Keepalive>>8), byte(e.Keepalive))
	}
	if e.EDE >= 0 {
		n := 2 + len(e.EDEText)
		b.buf = append(b.buf, 0, OptEDE, byte(n>>8), byte(n), byte(e.EDE>>8), byte(e.EDE))
		b.buf = append(b.buf, e.EDEText...)
	}
}
