package wire

import "encoding/binary"

// ParseCommon reads the one form that nearly all queries have: opcode QUERY, a single
// question in class IN for a type of records, then nothing or an OPT record of EDNS
// version 0. It reports false for all else, broken messages among it, which Parse
// judges; what it takes it reads as Parse does.
func (q *Query) ParseCommon(msg []byte) bool {
	if len(msg) < headerLen {
		return false
	}
	// ID, flags and the four counts in two words.
	head, counts := binary.BigEndian.Uint64(msg), binary.BigEndian.Uint32(msg[8:])
	const query = FlagQR | 15<<11
	if head>>32&query != 0 || head&0xffff_ffff != 1<<16 || counts > 1 {
		return false
	}
	q.ID, q.Flags = uint16(head>>48), uint16(head>>32)
	n := q.Name.Parse(msg[headerLen:])
	i := headerLen + n + 4
	if n == 0 || len(msg) < i {
		return false
	}
	q.Type, q.Class = binary.BigEndian.Uint16(msg[i-4:]), binary.BigEndian.Uint16(msg[i-2:])
	if q.Class != ClassIN || q.Type == TypeAXFR || q.Type == TypeIXFR {
		return false
	}
	q.HasQuestion = true
	q.reset()
	if counts == 0 {
		return i == len(msg)
	}
	// The OPT record: the root, type, size, extended rcode, version, flags, length.
	const optHead = 11
	if len(msg) < i+optHead || msg[i] != 0 || binary.BigEndian.Uint16(msg[i+1:]) != TypeOPT || msg[i+6] != 0 {
		return false
	}
	rd := int(binary.BigEndian.Uint16(msg[i+9:]))
	return len(msg) == i+optHead+rd && q.opt(msg[i+1:])
}
