// Package masterfile reads and writes zone files (RFC 1035 5, RFC 2308 4, RFC 3597 5,
// and the $GENERATE of BIND). Reading streams: memory is bounded by the longest entry.
// $INCLUDE is refused, because files come from people who must not read the server's.
package masterfile

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// Error says what is wrong in a file and where; lines and columns count from 1.
type Error struct {
	Line, Column int
	Text         string
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// Record is one record of a file.
type Record struct {
	// Owner is relative to the zone in presentation format: "@", "www".
	Owner string
	Type  uint16
	TTL   uint32 // seconds
	// Text is the RDATA in presentation format; its relative names are relative to
	// the zone.
	Text string
	Line int
}

// reader is the state of a file being read.
type reader struct {
	lex        *lexer
	apex       string // presentation, without the last dot
	apexWire   string
	origin     string // wire format
	originText string // presentation, with the last dot
	atApex     bool   // origin is the apex
	owner      string // the last one, relative
	hasOwner   bool
	ttl        int64 // $TTL; negative when none
	lastTTL    int64
	emit       func(Record) error
}

// Read reads the file of the zone origin (its apex, canonical) and calls emit with
// each record in order, the SOA included. It stops at the first error, which is an
// *Error unless reading or emit failed.
func Read(r io.Reader, origin string, emit func(Record) error) error {
	apex := strings.TrimSuffix(origin, ".")
	wire, err := zone.ParseName(apex+".", "")
	if err != nil {
		return fmt.Errorf("zone name: %w", err)
	}
	f := &reader{lex: newLexer(r), apex: apex, apexWire: wire, emit: emit, ttl: -1, lastTTL: -1}
	f.setOrigin(wire)
	for {
		err := f.lex.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f.entry(f.lex.tokens)
		}
		if err != nil {
			return err
		}
	}
}

func (f *reader) setOrigin(wire string) {
	f.origin, f.originText = wire, zone.FormatName(wire)
	f.atApex = wire == f.apexWire
}

func at(t token, format string, args ...any) error {
	return &Error{t.line, t.col, fmt.Sprintf(format, args...)}
}

func (f *reader) entry(ts []token) error {
	if !f.lex.blank && ts[0].text[0] == '$' {
		return f.directive(ts)
	}
	if !f.lex.blank {
		owner, err := f.name(ts[0])
		if err != nil {
			return err
		}
		f.owner, f.hasOwner = owner, true
		if len(ts) == 1 {
			return at(ts[0], "the record of %q has no type", ts[0].text)
		}
		ts = ts[1:]
	}
	if !f.hasOwner {
		return at(ts[0], "the first record has no owner")
	}
	return f.record(f.owner, ts)
}

// name is a token as an owner relative to the apex.
func (f *reader) name(t token) (string, error) {
	if f.atApex && plain(t.text) {
		return t.text, nil
	}
	wire, err := zone.ParseName(t.text, f.origin)
	if err != nil {
		return "", at(t, "%v", err)
	}
	owner, ok := zone.RelativeName(wire, f.apexWire)
	if !ok {
		return "", at(t, "%s is not within the zone %s", zone.FormatName(wire), f.apex)
	}
	return owner, nil
}

// plain reports whether a short relative name needs no closer look.
func plain(s string) bool {
	if len(s) > 60 {
		return false
	}
	dot := true
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '*':
			dot = false
		case c == '.' && !dot:
			dot = true
		default:
			return false
		}
	}
	return !dot
}

// record reads [TTL] [class] type RDATA, TTL and class in either order.
func (f *reader) record(owner string, ts []token) error {
	first := ts[0]
	ttl := int64(-1)
	class := false
	for {
		if len(ts) == 0 {
			return at(first, "the record of %q has no type", owner)
		}
		word := ts[0].text
		if !class && isClass(word) {
			if !strings.EqualFold(word, "IN") {
				return at(ts[0], "class %s is not served, only IN", strings.ToUpper(word))
			}
			class, ts = true, ts[1:]
			continue
		}
		n, ok := parseTTL(word)
		if ttl >= 0 || !ok {
			break
		}
		if n > zone.MaxTTL {
			return at(ts[0], "TTL %s is above %d (RFC 2181 8)", word, zone.MaxTTL)
		}
		ttl, ts = n, ts[1:]
	}
	typ, err := zone.ParseType(ts[0].text)
	if err != nil {
		return at(ts[0], "%v", err)
	}
	if len(ts) == 1 {
		return at(ts[0], "the record of type %s has no data", ts[0].text)
	}
	return f.data(owner, ttl, typ, ts[0].line, ts[1:])
}

func isClass(s string) bool {
	switch strings.ToUpper(s) {
	case "IN", "CH", "HS", "CS":
		return true
	}
	return false
}

// data checks the RDATA and emits the record.
func (f *reader) data(owner string, ttl int64, typ uint16, line int, ts []token) error {
	text, rd, err := f.check(typ, ts)
	if err != nil {
		return err
	}
	switch {
	case ttl >= 0:
	case f.ttl >= 0:
		ttl = f.ttl
	case f.lastTTL >= 0:
		ttl = f.lastTTL // RFC 1035 5.1: the last one stated
	case typ == dns.TypeSOA:
		ttl = soaMinimum(rd) // as before RFC 2308
	default:
		return at(ts[0], "the record has no TTL and there is no $TTL above it")
	}
	f.lastTTL = ttl
	return f.emit(Record{Owner: owner, Type: typ, TTL: uint32(ttl), Text: text, Line: line})
}

// check compiles RDATA and returns its text relative to the apex.
func (f *reader) check(typ uint16, ts []token) (text string, rd []byte, err error) {
	if len(ts) == 1 && (typ == dns.TypeA || typ == dns.TypeAAAA) {
		a, err := netip.ParseAddr(ts[0].text)
		if err == nil && a.Is4() == (typ == dns.TypeA) && a.Zone() == "" {
			return ts[0].text, nil, nil
		}
	}
	text = join(ts)
	rd, err = zone.ParseRecord(f.originText, typ, text)
	if err != nil {
		return "", nil, f.locate(ts, err)
	}
	if !f.atApex {
		text = zone.FormatRecord(typ, rd)
	}
	return text, rd, nil
}

func join(ts []token) string {
	if len(ts) == 1 {
		return ts[0].text
	}
	var b strings.Builder
	for i, t := range ts {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.text)
	}
	return b.String()
}

// locate finds the token that an error of the joined text is about.
func (f *reader) locate(ts []token, err error) error {
	where := ts[0]
	var e *zone.TextError
	if errors.As(err, &e) && e.Offset >= 0 {
		end := 0
		for _, t := range ts {
			where = t
			if end += len(t.text) + 1; e.Offset < end {
				break
			}
		}
	}
	return at(where, "%v", err)
}

func soaMinimum(rd []byte) int64 {
	if len(rd) < 4 {
		return 0
	}
	b := rd[len(rd)-4:]
	return int64(b[0])<<24 | int64(b[1])<<16 | int64(b[2])<<8 | int64(b[3])
}

// directive obeys $ORIGIN, $TTL and $GENERATE.
func (f *reader) directive(ts []token) error {
	switch strings.ToUpper(ts[0].text) {
	case "$ORIGIN":
		if len(ts) != 2 {
			return at(ts[0], "$ORIGIN takes one name")
		}
		wire, err := zone.ParseName(ts[1].text, f.origin)
		if err != nil {
			return at(ts[1], "%v", err)
		}
		f.setOrigin(wire)
	case "$TTL":
		if len(ts) != 2 {
			return at(ts[0], "$TTL takes one number of seconds")
		}
		n, ok := parseTTL(ts[1].text)
		if !ok || n > zone.MaxTTL {
			return at(ts[1], "%q is not a TTL from 0 to %d", ts[1].text, zone.MaxTTL)
		}
		f.ttl = n
	case "$GENERATE":
		return f.generate(ts)
	case "$INCLUDE":
		return at(ts[0], "$INCLUDE is not allowed; send one file")
	default:
		return at(ts[0], "%s is not a directive that is known", ts[0].text)
	}
	return nil
}

// parseTTL reads seconds, or BIND's 1w2d3h4m5s.
func parseTTL(s string) (int64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	var sum, n int64
	digits := false
	for _, c := range []byte(s) {
		if '0' <= c && c <= '9' {
			n, digits = n*10+int64(c-'0'), true
			if n > zone.MaxTTL {
				return zone.MaxTTL + 1, true
			}
			continue
		}
		unit, ok := ttlUnits[c|0x20]
		if !ok || !digits {
			return 0, false
		}
		sum, n, digits = sum+n*unit, 0, false
	}
	return sum, !digits
}

var ttlUnits = map[byte]int64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}
