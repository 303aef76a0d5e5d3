package zone

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

// parseValue packs one record as people give it to the API. It has no comments: all of it is
// data, or it is refused with the form that was probably meant.
func parseValue(apexWire string, typ uint16, text string) ([]byte, error) {
	if rd := plainAddress(typ, text); rd != nil {
		return rd, nil
	}
	words, err := rdata.Split(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a record of type %s: %w", shown(text), rdata.Mnemonic(typ), err)
	}
	if len(words) == 0 {
		return nil, errors.New("the record is empty")
	}
	if textual(typ) && words[0] != `\#` && !oneString(text, words) {
		return nil, fmt.Errorf("%s is several strings, which are joined without blanks; as one string it is written "+
			"`%s`",
			shown(text), rdata.Quote([]byte(text)))
	}
	if form := doubled(text); form != text {
		return nil, fmt.Errorf("%s is not a record of type %s: a \\ before a letter says nothing and would be lost; "+
			"as itself it is written `%s`", shown(text), rdata.Mnemonic(typ), form)
	}
	if err := foreignNames(apexWire, typ, text, words); err != nil {
		return nil, err
	}
	return pack(apexWire, typ, text, words)
}

// doubled writes each "\" that stands before a letter as itself. RFC 1035 5.1 has the letter alone
// mean the same, and nobody types it for that: it is of a path or of a pattern.
func doubled(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if b.WriteByte(text[i]); text[i] != '\\' || i+1 == len(text) {
			continue
		}
		i++
		if c := text[i] | 0x20; 'a' <= c && c <= 'z' {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// example ends a refusal of data with a value that is taken, where it has none yet.
func example(typ uint16, refusal string) string {
	if strings.Contains(refusal, "it is written `") {
		return ""
	}
	return "; one is written `" + rdata.Example(typ) + "`"
}

// shown is a value in a message: as it was given, where that can be read, since quotes and
// backslashes are what such messages are about.
func shown(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == '`' }) {
		return strconv.Quote(text)
	}
	return "`" + text + "`"
}

// textual reports whether a type's data are strings only, so that nearly all of its values
// are one text for people.
func textual(typ uint16) bool {
	switch rdata.Mnemonic(typ) {
	case "TXT", "SPF", "AVC", "NINFO", "RESINFO", "WALLET", "CLA":
		return true
	}
	return false
}

// oneString reports whether text is one word, or strings that each stand in quotes.
func oneString(text string, words []string) bool {
	if len(words) == 1 {
		return strings.TrimSpace(text) == words[0]
	}
	return !slices.ContainsFunc(words, func(w string) bool { return !rdata.IsQuoted(w) })
}

func pack(apexWire string, typ uint16, text string, words []string) ([]byte, error) {
	rd, err := rdata.Parse(typ, words, apexWire)
	if err != nil {
		return nil, fmt.Errorf("%s is not a record of type %s: %w", shown(text), rdata.Mnemonic(typ), err)
	}
	return rd, nil
}

// loadValue packs a record that an earlier version admitted. Where rdata refuses it, it
// means what that version's parser read: comments after ";" and all else.
func loadValue(apexWire string, typ uint16, text string) ([]byte, error) {
	words, err := rdata.Split(text)
	if err == nil && len(words) > 0 {
		var rd []byte
		if rd, err = pack(apexWire, typ, text, words); err == nil {
			return rd, nil
		}
	}
	if rd := asBefore(apexWire, typ, text); rd != nil {
		return rd, nil
	}
	if err == nil {
		err = errors.New("the record is empty")
	}
	return nil, err
}

// asBefore reads a record as versions did that left this to miekg/dns; nil when it cannot.
func asBefore(apexWire string, typ uint16, text string) []byte {
	if strings.ContainsAny(text, "\n\r") {
		return nil
	}
	zp := dns.NewZoneParser(strings.NewReader(". 0 IN "+dns.Type(typ).String()+" "+text+"\n"),
		rdata.FormatName(apexWire), "")
	rr, ok := zp.Next()
	if !ok {
		return nil
	}
	if _, more := zp.Next(); more || zp.Err() != nil {
		return nil
	}
	rd, err := packRData(rr)
	if err != nil || len(rd) == 0 || wire.CheckRData(typ, rd) != nil {
		return nil
	}
	return rd
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
