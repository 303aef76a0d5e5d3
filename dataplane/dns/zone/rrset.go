package zone

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
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
	rr, bad := compileRecords(apex, owner, typ, ttl, records, parseValue)
	if len(bad) > 0 && bad[0].Index >= 0 { // otherwise no data of the type would be taken
		for i := range bad {
			bad[i].Text += example(rr.Type, bad[i].Text)
		}
	}
	return rr, bad
}

// LoadRecordSet compiles records that were admitted before, perhaps by a version that read
// them otherwise: what ParseRecordSet refuses today is read as it was then.
func LoadRecordSet(apex, owner, typ string, ttl uint32, records []string) (RRset, []RecordError) {
	return compileRecords(apex, owner, typ, ttl, records, loadValue)
}

func compileRecords(apex, owner, typ string, ttl uint32, records []string, parse func(apexWire string, typ uint16,
	text string) ([]byte, error),
) (RRset, []RecordError) {
	rr := RRset{Owner: owner, TTL: ttl}
	var bad []RecordError
	whole := func(err error) {
		if err != nil {
			bad = append(bad, RecordError{-1, err.Error()})
		}
	}
	t, err := rdata.ParseType(typ)
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
		rr.Owner = rdata.FormatLabels(string(name[:len(name)-len(apexWire)]))
		whole(checkPlace(rr.Owner, t))
	}
	if len(records) == 0 {
		whole(errors.New("a record set needs at least one record"))
	}
	for i, text := range records {
		rd, err := parse(apexWire, t, text)
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
		records = append(records, rdata.Format(rr.Type, rd))
	}
	return rr.Owner, rdata.FormatType(rr.Type), rr.TTL, records
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
		return wire.Set{}, fmt.Errorf("the record set has %d octets, more than the %d that an answer can hold", size,
			MaxRRset)
	}
	if len(rr.RData) > 1 && single(rr.Type) {
		return wire.Set{}, fmt.Errorf("a name has at most one %s record", rdata.FormatType(rr.Type))
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
