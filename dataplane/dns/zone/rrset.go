package zone

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

const (
	// MaxRRset is the most octets that the records of one RRset may have in wire
	// format with short owners, so that an answer over TCP always holds it whole.
	MaxRRset = 64000
	// MaxTTL is the greatest TTL, RFC 2181 8.
	MaxTTL = 1<<31 - 1
)

// RRset is the records of one owner and type.
type RRset struct {
	// Owner is relative to the apex in presentation format: "@", "www", "*.a", with
	// the escapes of RFC 1035 5.1 and its case kept.
	Owner string
	Type  uint16
	TTL   uint32 // seconds
	// RData is uncompressed RDATA in canonical order (RFC 4034 6.3), without
	// duplicates (RFC 2181 5).
	RData [][]byte
}

// RecordError says what is wrong with one record of a set; Index is -1 for what
// concerns the set as a whole.
type RecordError struct {
	Index int
	Text  string
}

// ParseRecordSet compiles records in presentation format, as the API admits them and
// as Compile will later load them. apex is canonical, owner relative, typ a mnemonic
// or TYPE123, each record the RDATA alone, also as \# of RFC 3597; names in it
// without a last dot are relative to the apex. Every bad record is reported.
func ParseRecordSet(apex, owner, typ string, ttl uint32, records []string) (RRset, []RecordError) {
	rr := RRset{Owner: owner, TTL: ttl}
	var bad []RecordError
	whole := func(err error) {
		if err != nil {
			bad = append(bad, RecordError{-1, err.Error()})
		}
	}
	t, err := ParseType(typ)
	if err != nil {
		return rr, []RecordError{{-1, err.Error()}}
	}
	rr.Type = t
	apexWire, err := apexToWire(apex)
	if err != nil {
		return rr, []RecordError{{-1, err.Error()}}
	}
	name, err := appendOwner(nil, owner, apexWire)
	whole(err)
	if err == nil {
		rr.Owner = formatOwner(string(name[:len(name)-len(apexWire)]))
		whole(checkPlace(rr.Owner, t))
	}
	if len(records) == 0 {
		whole(errors.New("a record set needs at least one record"))
	}
	for i, text := range records {
		rd, err := parseRecord(apex, t, text)
		if err != nil {
			bad = append(bad, RecordError{i, err.Error()})
			continue
		}
		rr.RData = append(rr.RData, rd)
	}
	rr.RData = canonicalOrder(t, rr.RData)
	if len(bad) == 0 {
		_, err = makeSet(rr)
		whole(err)
	}
	return rr, bad
}

// FormatRecordSet is the reverse of ParseRecordSet, for export. Names in records are
// absolute, with a last dot.
func FormatRecordSet(apex string, rr RRset) (owner, typ string, ttl uint32, records []string) {
	for _, rd := range rr.RData {
		records = append(records, formatRecord(rr.Type, rd))
	}
	return rr.Owner, FormatType(rr.Type), rr.TTL, records
}

// ParseType reads a mnemonic or TYPE123 (RFC 3597 5).
func ParseType(s string) (uint16, error) {
	up := strings.ToUpper(s)
	if t, ok := dns.StringToType[up]; ok && t != dns.TypeReserved {
		return t, nil
	}
	if d, ok := strings.CutPrefix(up, "TYPE"); ok {
		if n, err := strconv.ParseUint(d, 10, 16); err == nil {
			return uint16(n), nil
		}
	}
	return 0, fmt.Errorf("%q is not a record type; unknown ones are written TYPE123", s)
}

// FormatType is the mnemonic of a type, or TYPE123.
func FormatType(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok && t != dns.TypeReserved && t != dns.TypeNone {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

// TextError is what is wrong with the text of a record.
type TextError struct {
	Text string
	// Offset is about where in the record it was noticed; negative when unknown.
	Offset int
}

func (e *TextError) Error() string { return e.Text }

// ParseRecord compiles one record's RDATA in presentation format; origin completes
// relative names in it, absolute, with or without the last dot.
func ParseRecord(origin string, typ uint16, text string) ([]byte, error) {
	return parseRecord(strings.TrimSuffix(origin, "."), typ, text)
}

// FormatRecord is RDATA in presentation format, its names absolute; what the type's
// own format cannot say is written as \# (RFC 3597 5).
func FormatRecord(typ uint16, rdata []byte) string { return formatRecord(typ, rdata) }

// FormatGeneric is RDATA in the form of RFC 3597 5, which every server reads.
func FormatGeneric(rdata []byte) string { return fmt.Sprintf(`\# %d %X`, len(rdata), rdata) }

func parseRecord(apex string, typ uint16, text string) ([]byte, error) {
	if strings.ContainsAny(text, "\n\r") {
		return nil, errors.New("a record must be one line")
	}
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("the record is empty")
	}
	if rd := plainAddress(typ, text); rd != nil {
		return rd, nil
	}
	line := ". 0 IN " + FormatType(typ) + " " + text + "\n"
	zp := dns.NewZoneParser(strings.NewReader(line), apex+".", "")
	rr, ok := zp.Next()
	if !ok {
		return nil, parseError(zp.Err(), typ, text)
	}
	if _, more := zp.Next(); more || zp.Err() != nil {
		return nil, fmt.Errorf("%q is more than one record", text)
	}
	rd, err := packRData(rr)
	if err != nil {
		return nil, fmt.Errorf("%q: %s", text, strings.TrimPrefix(err.Error(), "dns: "))
	}
	if len(rd) == 0 && typ != dns.TypeAPL && !strings.Contains(text, `\#`) {
		return nil, fmt.Errorf("%q has no data for a record of type %s", text, FormatType(typ))
	}
	if err := wire.CheckRData(typ, rd); err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	return rd, nil
}

// plainAddress is the RDATA of an address record that is an address and nothing else, as
// nearly all records of a large zone are; nil leaves the text to the parser.
func plainAddress(typ uint16, text string) []byte {
	if typ != dns.TypeA && typ != dns.TypeAAAA {
		return nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" || a.Is4() != (typ == dns.TypeA) {
		return nil
	}
	return a.AsSlice()
}

// parseError words the parser's error for a person who sees only the record.
func parseError(err error, typ uint16, text string) error {
	if err == nil {
		return &TextError{fmt.Sprintf("%q is not a record of type %s", text, FormatType(typ)), -1}
	}
	s := strings.TrimPrefix(err.Error(), "dns: ")
	offset := -1
	if i := strings.LastIndex(s, " at line: "); i > 0 {
		if _, col, ok := strings.Cut(s[i:], "1:"); ok {
			if n, err := strconv.Atoi(col); err == nil {
				offset = max(n-len(". 0 IN "+FormatType(typ)+" ")-1, 0)
			}
		}
		s = s[:i]
	}
	return &TextError{fmt.Sprintf("%q is not a record of type %s: %s", text, FormatType(typ), s), offset}
}

// packRData is the RDATA of rr in wire format, uncompressed.
func packRData(rr dns.RR) ([]byte, error) {
	buf := make([]byte, dns.Len(rr)+32)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	head := wire.NameLen(buf) + 10
	return slices.Clone(buf[head:n]), nil
}

// formatRecord is RDATA in presentation format; what the type's own format cannot
// say is written as RFC 3597 5 does.
func formatRecord(typ uint16, rd []byte) string {
	buf := make([]byte, 0, 11+len(rd))
	buf = append(buf, 0, byte(typ>>8), byte(typ), 0, 1, 0, 0, 0, 0, byte(len(rd)>>8), byte(len(rd)))
	buf = append(buf, rd...)
	if rr, _, err := dns.UnpackRR(buf, 0); err == nil && len(rd) > 0 {
		if text, ok := strings.CutPrefix(rr.String(), rr.Header().String()); ok && text != "" {
			if back, err := parseRecord("", typ, text); err == nil && bytes.Equal(back, rd) {
				return text
			}
		}
	}
	return FormatGeneric(rd)
}

// canonicalOrder sorts RDATA as RFC 4034 6.3 and drops duplicates (RFC 2181 5).
func canonicalOrder(typ uint16, rds [][]byte) [][]byte {
	if len(rds) < 2 {
		return rds
	}
	type pair struct{ canon, rd []byte }
	ps := make([]pair, len(rds))
	for i, rd := range rds {
		ps[i] = pair{wire.CanonicalRData(nil, typ, rd), rd}
	}
	slices.SortStableFunc(ps, func(a, b pair) int { return bytes.Compare(a.canon, b.canon) })
	ps = slices.CompactFunc(ps, func(a, b pair) bool { return bytes.Equal(a.canon, b.canon) })
	out := make([][]byte, len(ps))
	for i, p := range ps {
		out[i] = p.rd
	}
	return out
}

// makeSet prepares an RRset for answers.
func makeSet(rr RRset) (wire.Set, error) {
	if len(rr.RData) == 0 {
		return wire.Set{}, errors.New("a record set needs at least one record")
	}
	if rr.TTL > MaxTTL {
		return wire.Set{}, fmt.Errorf("TTL %d is above %d", rr.TTL, MaxTTL)
	}
	size := 0
	for _, rd := range rr.RData {
		if err := wire.CheckRData(rr.Type, rd); err != nil {
			return wire.Set{}, err
		}
		size += wire.RecordHead + len(rd)
	}
	if size > MaxRRset {
		return wire.Set{}, fmt.Errorf("the record set has %d octets, more than the %d that an answer can hold", size, MaxRRset)
	}
	if len(rr.RData) > 1 && single(rr.Type) {
		return wire.Set{}, fmt.Errorf("a name has at most one %s record", FormatType(rr.Type))
	}
	b := make([]byte, 0, size)
	for _, rd := range rr.RData {
		b = append(b, 0xc0, 12, byte(rr.Type>>8), byte(rr.Type), 0, wire.ClassIN,
			byte(rr.TTL>>24), byte(rr.TTL>>16), byte(rr.TTL>>8), byte(rr.TTL),
			byte(len(rd)>>8), byte(len(rd)))
		b = append(b, rd...)
	}
	return wire.Set{Type: rr.Type, Count: uint16(len(rr.RData)), TTL: rr.TTL, Wire: stringOf(b)}, nil
}
