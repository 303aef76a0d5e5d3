package zone

import (
	"slices"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

// StoredRecords are records that ParseRecordSet takes, as they are stored, shown and served: a string
// of more than 255 octets is the several that a record has of it (RFC 1035 3.3), and a record that is
// given twice is one (RFC 2181 5). All others stay as they were written.
func StoredRecords(apex, typ string, records []string) []string {
	t, err := rdata.ParseType(typ)
	if err != nil {
		return records
	}
	apexWire, err := apexToWire(apex)
	if err != nil {
		return records
	}
	out := make([]string, 0, len(records))
	seen := make(map[string]bool, len(records))
	for _, text := range records {
		rd, err := loadValue(apexWire, t, text)
		if err != nil {
			return records
		}
		canonical := string(wire.CanonicalRData(nil, t, rd))
		if seen[canonical] {
			continue
		}
		seen[canonical] = true
		if textual(t) && longString(text) {
			text = rdata.Format(t, rd)
		}
		out = append(out, text)
	}
	return out
}

// longString reports whether a value of a textual type has a string that is stored as several.
func longString(text string) bool {
	if len(text) <= 255 {
		return false
	}
	words, err := rdata.Split(text)
	if err != nil || words[0] == `\#` {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool {
		b, err := rdata.Unquote(w)
		return err == nil && len(b) > 255
	})
}
