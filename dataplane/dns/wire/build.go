package wire

import "encoding/binary"

// Section is a section of records in a message.
type Section int

const (
	Answer Section = iota
	Authority
	Additional
)

// Set is an RRset as zone prepares it: Wire is its records one after another, each
// with the owner C0 0C (a pointer to the question's name), then type, class, TTL,
// length and RDATA uncompressed. A set whose owner is the name asked and that has no
// name to compress is thus appended by one copy.
type Set struct {
	Type  uint16
	Count uint16
	TTL   uint32
	Wire  string
}

// RecordHead is the length of what precedes the RDATA of each record in Set.Wire.
const RecordHead = 12

// Next splits the first record off s.Wire from offset i and returns its RDATA and
// the offset of the next record; ok is false at the end.
func (s Set) Next(i int) (rdata string, next int, ok bool) {
	if i >= len(s.Wire) {
		return "", i, false
	}
	n := int(s.Wire[i+10])<<8 | int(s.Wire[i+11])
	i += RecordHead
	return s.Wire[i : i+n], i + n, true
}

// known is a name, or the end of one, that the message has at off.
type known struct {
	off  uint16
	size uint8
}

// Builder appends one answer to a buffer. After Begin come the sections in order,
// then Finish. A record set that does not fit is left out whole and reported.
type Builder struct {
	buf    []byte
	base   int // where the message begins in buf
	head   int // where the records begin in the message
	limit  int // how long the message may get, room for OPT set aside
	hard   int // how long it may get with OPT
	counts [3]uint16
	nknown int
	known  [96]known
}

// Begin starts an answer to q at the end of buf, which may become at most limit
// octets long, with reserve of them set aside for Finish.
func (b *Builder) Begin(buf []byte, q *Query, limit, reserve int) {
	b.base = len(buf)
	b.limit, b.hard = limit-reserve, limit
	b.counts = [3]uint16{}
	b.nknown = 0
	buf = append(buf, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b.buf, b.head = buf, headerLen
	if !q.HasQuestion {
		return
	}
	buf = append(buf, q.Name.Wire()...)
	b.buf = append(buf, byte(q.Type>>8), byte(q.Type), byte(q.Class>>8), byte(q.Class))
	b.head = b.Size()
	for d := q.Name.labels; d > 0; d-- {
		o := q.Name.Offset(d)
		b.remember(headerLen+o, q.Name.n-o)
	}
}

// Size is the length of the message so far.
func (b *Builder) Size() int { return len(b.buf) - b.base }

// Count is the number of records in a section so far.
func (b *Builder) Count(s Section) int { return int(b.counts[s]) }

// Mark is a place to go back to.
type Mark struct {
	size   int
	counts [3]uint16
	nknown int
}

// Mark returns the present place.
func (b *Builder) Mark() Mark { return Mark{b.Size(), b.counts, b.nknown} }

// Back drops what was appended since m.
func (b *Builder) Back(m Mark) {
	b.buf = b.buf[:b.base+m.size]
	b.counts, b.nknown = m.counts, m.nknown
}

// Empty drops all records.
func (b *Builder) Empty() {
	if b.Size() > b.head {
		b.buf = b.buf[:b.base+b.head]
	}
	b.counts, b.nknown = [3]uint16{}, 0
}

// AddText appends a TXT record of one string, TTL 0, owned by the name asked.
func (b *Builder) AddText(class uint16, text string) bool {
	text = text[:min(len(text), 255)]
	n := len(text) + 1
	if b.Size()+RecordHead+n > b.limit {
		return false
	}
	b.buf = append(b.buf, 0xc0, headerLen, 0, 16, byte(class>>8), byte(class), 0, 0, 0, 0, byte(n>>8), byte(n),
		byte(len(text)))
	b.buf = append(b.buf, text...)
	b.counts[Answer]++
	return true
}

// Question is the offset of the end of the question's name that has depth labels: an
// owner for Add.
func Question(n *Name, depth int) int { return headerLen + n.Offset(depth) }

// Add appends a set with the name at offset owner of the message as its owner.
func (b *Builder) Add(s Section, owner int, set Set) bool {
	if owner < headerLen || owner >= 0x4000 {
		return false
	}
	if Compressible(set.Type) {
		return b.addNames(s, owner, set)
	}
	if b.Size()+len(set.Wire) > b.limit {
		return false
	}
	at := len(b.buf)
	b.buf = append(b.buf, set.Wire...)
	if owner != headerLen {
		for at < len(b.buf) {
			binary.BigEndian.PutUint16(b.buf[at:], uint16(0xc000|owner))
			at += RecordHead + int(binary.BigEndian.Uint16(b.buf[at+10:]))
		}
	}
	b.counts[s] += set.Count
	return true
}

// addNames is Add for the types whose names may be compressed.
func (b *Builder) addNames(s Section, owner int, set Set) bool {
	m := b.Mark()
	for i := 0; i < len(set.Wire); {
		rd := int(set.Wire[i+10])<<8 | int(set.Wire[i+11])
		b.buf = append(b.buf, 0xc0|byte(owner>>8), byte(owner))
		b.buf = append(b.buf, set.Wire[i+2:i+RecordHead]...)
		i += RecordHead
		b.rdata(set.Type, set.Wire[i:i+rd])
		i += rd
		if b.Size() > b.limit {
			b.Back(m)
			return false
		}
	}
	b.counts[s] += set.Count
	return true
}

// rdata appends RDATA with its names compressed and sets the length before it.
func (b *Builder) rdata(typ uint16, rd string) {
	at := len(b.buf)
	for _, c := range []byte(layout(typ)) {
		if c != 'n' {
			n := int(c - '0')
			b.buf = append(b.buf, rd[:n]...)
			rd = rd[n:]
			continue
		}
		n := 0
		for rd[n] != 0 {
			n += int(rd[n]) + 1
		}
		b.name(rd[:n+1])
		rd = rd[n+1:]
	}
	b.buf = append(b.buf, rd...)
	binary.BigEndian.PutUint16(b.buf[at-2:], uint16(len(b.buf)-at))
}

// AddAt is Add with a name as owner, which is put in full where the message does not
// have it yet.
func (b *Builder) AddAt(s Section, owner string, set Set) bool {
	if at := b.find(owner); at > 0 {
		return b.Add(s, at, set)
	}
	m := b.Mark()
	for i := 0; i < len(set.Wire); {
		rd := int(set.Wire[i+10])<<8 | int(set.Wire[i+11])
		b.name(owner)
		b.buf = append(b.buf, set.Wire[i+2:i+RecordHead]...)
		i += RecordHead
		if Compressible(set.Type) {
			b.rdata(set.Type, set.Wire[i:i+rd])
		} else {
			b.buf = append(b.buf, set.Wire[i:i+rd]...)
		}
		i += rd
		if b.Size() > b.limit {
			b.Back(m)
			return false
		}
	}
	b.counts[s] += set.Count
	return true
}

// AddCNAME appends a synthesized CNAME from owner to target.
func (b *Builder) AddCNAME(owner string, ttl uint32, target *Name) bool {
	m := b.Mark()
	b.name(owner)
	b.buf = append(b.buf, 0, TypeCNAME, 0, ClassIN, byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), 0, 0)
	at := len(b.buf)
	b.nameBytes(target)
	binary.BigEndian.PutUint16(b.buf[at-2:], uint16(len(b.buf)-at))
	if b.Size() > b.limit {
		b.Back(m)
		return false
	}
	b.counts[Answer]++
	return true
}

func (b *Builder) nameBytes(n *Name) { b.name(n.wireString()) }

// name appends a name in wire format, its end replaced by a pointer to the longest
// equal end (octet for octet, so that case is kept) that the message has.
func (b *Builder) name(s string) {
	start := len(b.buf)
	i := 0
	at := 0
	for s[i] != 0 {
		if at = b.find(s[i:]); at > 0 {
			break
		}
		i += int(s[i]) + 1
	}
	b.buf = append(b.buf, s[:i]...)
	if at > 0 {
		b.buf = append(b.buf, 0xc0|byte(at>>8), byte(at))
	} else {
		b.buf = append(b.buf, 0)
	}
	for k := 0; k < i; k += int(s[k]) + 1 {
		b.remember(start-b.base+k, len(s)-k)
	}
}

func (b *Builder) remember(off, size int) {
	if off < 0x4000 && b.nknown < len(b.known) {
		b.known[b.nknown] = known{uint16(off), uint8(size)}
		b.nknown++
	}
}

// find is the offset of a name equal to s that a pointer can reach, 0 if none.
func (b *Builder) find(s string) int {
	for _, k := range b.known[:b.nknown] {
		if int(k.size) == len(s) && b.equal(int(k.off), s) {
			return int(k.off)
		}
	}
	return 0
}

// equal compares the name at off of the message, which may be compressed, with s.
func (b *Builder) equal(off int, s string) bool {
	msg := b.buf[b.base:]
	for {
		c := msg[off]
		if c >= 0xc0 {
			off = int(c&0x3f)<<8 | int(msg[off+1])
			continue
		}
		l := int(c) + 1
		if l > len(s) || string(msg[off:off+l]) != s[:l] {
			return false
		}
		if c == 0 {
			return true
		}
		off += l
		s = s[l:]
	}
}
