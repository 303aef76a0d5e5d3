package wire

import "encoding/binary"

// Bits and fields of the second 16 bits of the header, RFC 1035 4.1.1.
const (
	FlagQR = 1 << 15
	FlagAA = 1 << 10
	FlagTC = 1 << 9
	FlagRD = 1 << 8
	FlagRA = 1 << 7
	FlagAD = 1 << 5
	FlagCD = 1 << 4
)

// Response codes, RFC 1035 4.1.1, RFC 2136 2.2, RFC 6891 9 and RFC 7873 8.
const (
	NoError   = 0
	FormErr   = 1
	ServFail  = 2
	NXDomain  = 3
	NotImp    = 4
	Refused   = 5
	YXDomain  = 6
	NotAuth   = 9
	BadVers   = 16
	BadCookie = 23
)

// Option codes of EDNS.
const (
	OptNSID      = 3
	OptCookie    = 10
	OptKeepalive = 11
	OptEDE       = 15
)

// Verdict is what Parse found.
type Verdict uint8

const (
	// Drop: not a query, or so broken that no answer is due.
	Drop Verdict = iota
	// Bad: an answer of FORMERR is due.
	Bad
	// Good: Query holds all of it.
	Good
)

// Query is a parsed query. Slices point into the message.
type Query struct {
	ID          uint16
	Flags       uint16 // as received
	HasQuestion bool
	Name        Name
	Type, Class uint16

	EDNS    bool
	Version uint8
	UDPSize uint16
	DO      bool
	NSID    bool
	Cookie  []byte // the option's data; nil when absent
	// Keepalive: the client asks how long its connection may idle (RFC 7828).
	Keepalive bool
	TSIG      bool
	Signed    TSIG // what the TSIG record says; only with TSIG
}

// Opcode is the query's opcode.
func (q *Query) Opcode() int { return int(q.Flags>>11) & 15 }

const headerLen = 12

// Parse reads a message. What is no query costs a look at the header.
func (q *Query) Parse(msg []byte) Verdict {
	if len(msg) < headerLen {
		return Drop
	}
	q.ID = binary.BigEndian.Uint16(msg)
	q.Flags = binary.BigEndian.Uint16(msg[2:])
	if q.Flags&FlagQR != 0 {
		return Drop // answering answers makes loops
	}
	q.HasQuestion = false
	q.reset()
	qd := binary.BigEndian.Uint16(msg[4:])
	an := int(binary.BigEndian.Uint16(msg[6:]))
	ns := int(binary.BigEndian.Uint16(msg[8:]))
	ar := int(binary.BigEndian.Uint16(msg[10:]))
	i := headerLen
	if qd > 1 {
		return Bad // RFC 9619: at most one question
	}
	if qd == 1 {
		n := q.Name.Parse(msg[i:])
		if n == 0 || len(msg) < i+n+4 {
			return Bad
		}
		i += n
		q.Type = binary.BigEndian.Uint16(msg[i:])
		q.Class = binary.BigEndian.Uint16(msg[i+2:])
		q.HasQuestion = true
		i += 4
	}
	if qd == 1 && an == 0 && ns == 0 && ar == 0 && i == len(msg) {
		return Good
	}
	verdict := q.records(msg, i, an+ns, ar)
	if q.Opcode() != 0 && verdict == Bad {
		// What the sections of an opcode hold that is not served is not judged: it is
		// answered as one without EDNS.
		q.reset()
		return Good
	}
	return verdict
}

// reset forgets what follows the question.
func (q *Query) reset() {
	q.EDNS, q.DO, q.NSID, q.Keepalive, q.TSIG = false, false, false, false, false
	q.Version, q.UDPSize, q.Cookie = 0, 0, nil
}

// records reads what follows the question: skip records of no interest, such as the
// SOA of an IXFR, then the additional section with OPT and TSIG.
func (q *Query) records(msg []byte, i, skip, ar int) Verdict {
	for k := range skip + ar {
		start := i
		n := skipName(msg[i:])
		if n == 0 || len(msg) < i+n+10 {
			return Bad
		}
		i += n
		typ := binary.BigEndian.Uint16(msg[i:])
		rd := int(binary.BigEndian.Uint16(msg[i+8:]))
		end := i + 10 + rd
		if end > len(msg) {
			return Bad
		}
		switch {
		case typ == TypeOPT:
			// RFC 6891 6.1.1: at most one, in the additional section, owned by the root.
			if k < skip || q.EDNS || n != 1 || msg[start] != 0 || !q.opt(msg[i:end]) {
				return Bad
			}
		case typ == TypeTSIG:
			if k != skip+ar-1 {
				return Bad // RFC 8945 5.1: the last record
			}
			q.TSIG = true
			if !q.Signed.parse(msg, start, i, end) {
				return Bad
			}
		}
		i = end
	}
	if i != len(msg) {
		return Bad // octets after the last record
	}
	return Good
}

// opt reads an OPT record from its type on.
func (q *Query) opt(b []byte) bool {
	q.EDNS = true
	q.UDPSize = binary.BigEndian.Uint16(b[2:])
	q.Version = b[5]
	q.DO = b[6]&0x80 != 0
	b = b[10:]
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		code := binary.BigEndian.Uint16(b)
		n := int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			return false
		}
		data := b[4 : 4+n : 4+n]
		switch code {
		case OptNSID:
			q.NSID = true
		case OptCookie:
			// RFC 7873 5.2.2: a client's 8 octets, or those and a server's 8 to 32.
			if n != 8 && (n < 16 || n > 40) {
				return false
			}
			q.Cookie = data
		case OptKeepalive:
			q.Keepalive = true // RFC 7828 3.1: a client says no time, and none is read
		}
		b = b[4+n:]
	}
	return true
}

// skipName is the length of a name that may be compressed, 0 when broken.
func skipName(b []byte) int {
	for i := 0; i < len(b) && i < MaxName; {
		l := int(b[i])
		switch {
		case l == 0:
			return i + 1
		case l >= 0xc0:
			if i+2 > len(b) {
				return 0
			}
			return i + 2
		case l > 63:
			return 0
		}
		i += l + 1
	}
	return 0
}
