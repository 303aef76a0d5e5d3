// Package masterfile reads and writes zone files (RFC 1035 5, RFC 2308 4, RFC 3597 5,
// and the $GENERATE of BIND). Reading streams: memory is bounded by the longest entry.
// $INCLUDE is refused, because files come from people who must not read the server's.
package masterfile

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// Error says what is wrong in a file and where; lines and columns count from 1.
type Error struct {
	Line, Column int
	Text         string
}

func (e *Error) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.Text)
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
}

// Place is where the error is, for those who know it by that alone.
func (e *Error) Place() (line, column int) { return e.Line, e.Column }

// Errors are all that is wrong with a file, by line, up to maxErrors.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each for itself.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}

// maxErrors is how many mistakes of a file are told at once.
const maxErrors = 100

// Record is one record of a file.
type Record struct {
	// Owner is relative to the zone in presentation format: "@", "www".
	Owner string
	Type  uint16
	TTL   uint32 // seconds
	// Text is the RDATA in presentation format as the API takes it, in ASCII; its relative
	// names are relative to the zone.
	Text string
	// Line and Column are where the type stands.
	Line, Column int
	// Doubt is what is not kept as it is written; "" for nearly all.
	Doubt string
}

// reader is the state of a file being read.
type reader struct {
	lex      *lexer
	apex     string // presentation, without the last dot
	apexWire string
	origin   string // wire format
	atApex   bool   // origin is the apex
	owner    string // the last one, relative
	hasOwner bool
	refused  bool // the owner that was given last; records without one of their own are its
	within   bool // a record of the zone was emitted
	outside  outside
	doubts   []string // of the next record
	told     token    // the name that the last doubt is of
	ttl      int64    // $TTL; negative when none
	lastTTL  int64
	emit     func(Record) error
	bad      Errors
}

// Read reads the file of the zone origin (its apex, canonical) and calls emit with
// each record in order, the SOA included. What is wrong in the file comes back as Errors,
// all of it, up to 100; other errors, those of emit too, end the reading.
func Read(r io.Reader, origin string, emit func(Record) error) error {
	apex := strings.TrimSuffix(origin, ".")
	wire, err := rdata.ParseName(apex+".", "")
	if err != nil {
		return fmt.Errorf("zone name: %w", err)
	}
	f := &reader{lex: newLexer(r), apex: apex, apexWire: wire, emit: emit, ttl: -1, lastTTL: -1}
	f.setOrigin(wire)
	if err := f.lex.mark(); err != nil {
		return Errors{err.(*Error)} //nolint:errorlint // mark returns no other
	}
	for {
		err := f.lex.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f.lex.skip()
		} else {
			err = f.entry(f.lex.tokens)
		}
		if errors.Is(err, errOutside) {
			err = nil // told once, at the end
		}
		var own *Error
		if err != nil && !errors.As(err, &own) {
			return err
		}
		if own != nil {
			f.bad = append(f.bad, own)
		}
		if len(f.bad) == maxErrors {
			break
		}
	}
	if f.outside.records > 0 {
		f.bad = slices.Insert(f.bad[:min(len(f.bad), maxErrors-1)], 0, f.outside.err(f.apex, f.within))
	}
	if f.bad == nil {
		return nil
	}
	return f.bad
}

func (f *reader) setOrigin(wire string) {
	f.origin = wire
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
		f.refused = err != nil
		if err != nil {
			f.outside.see(err, ts)
			return err
		}
		f.owner, f.hasOwner = owner, true
		if len(ts) == 1 {
			return at(ts[0], "the record of %q has no type", ts[0].text)
		}
		ts = ts[1:]
	}
	if f.lex.blank && f.refused {
		return f.outside.again() // its owner was told
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
	text := t.text
	if rdata.IsQuoted(text) {
		text = text[1 : len(text)-1] // BIND and NSD: the quotes are no part of the name
	}
	wire, err := rdata.ParseName(text, f.origin)
	if err != nil {
		return "", at(t, "%v", err)
	}
	owner, ok := zone.RelativeName(wire, f.apexWire)
	if !ok {
		return "", f.outside.add(t, wire)
	}
	f.foreign(t, text, "")
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
			if !strings.EqualFold(word, "IN") && !strings.EqualFold(word, "CLASS1") {
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
	typ, err := rdata.ParseType(ts[0].text)
	if err != nil {
		return at(ts[0], "%v", err)
	}
	return f.data(owner, ttl, typ, ts[0], ts[1:])
}

func isClass(s string) bool {
	switch up := strings.ToUpper(s); up {
	case "IN", "CH", "HS", "CS":
		return true
	default:
		digits, ok := strings.CutPrefix(up, "CLASS") // RFC 3597 5
		_, err := strconv.ParseUint(digits, 10, 16)
		return ok && err == nil
	}
}

// data checks the RDATA and emits the record; head is the token of its type.
func (f *reader) data(owner string, ttl int64, typ uint16, head token, ts []token) error {
	ts = splitQuotes(typ, ts)
	text, rd, err := f.check(typ, head, ts)
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
		return at(head, "the record has no TTL and there is no $TTL above it")
	}
	f.lastTTL, f.within = ttl, true
	f.foreignData(typ, ts)
	if d := doubt(typ, ts); d != "" {
		f.doubts = append(f.doubts, d)
	}
	r := Record{
		Owner: owner, Type: typ, TTL: uint32(ttl), Text: text, Line: head.line, Column: head.col,
		Doubt: strings.Join(f.doubts, "; "),
	}
	f.doubts = f.doubts[:0]
	return f.emit(r)
}

// check compiles RDATA and returns its text relative to the apex.
func (f *reader) check(typ uint16, head token, ts []token) (text string, rd []byte, err error) {
	if len(ts) == 1 && (typ == dns.TypeA || typ == dns.TypeAAAA) {
		a, err := netip.ParseAddr(ts[0].text)
		if err == nil && a.Is4() == (typ == dns.TypeA) && a.Zone() == "" {
			return ts[0].text, nil, nil
		}
	}
	words := make([]string, len(ts))
	for i, t := range ts {
		words[i] = t.text
	}
	rd, err = rdata.Parse(typ, words, f.origin)
	if err != nil {
		return "", nil, f.locate(typ, head, ts, err)
	}
	if f.atApex && asWritten(typ, words) {
		return strings.Join(words, " "), rd, nil
	}
	return rdata.Format(typ, rd), rd, nil
}

// asWritten reports whether data of the file are kept as they are written: numbers and
// names, which mean the same as a value of the API. All else is printed anew, since a value
// is ASCII and has each string in quotes.
func asWritten(typ uint16, words []string) bool {
	switch typ {
	case dns.TypeNS, dns.TypeCNAME, dns.TypePTR, dns.TypeMX, dns.TypeSRV, dns.TypeDNAME:
	default:
		return false
	}
	for _, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
			return false
		}
	}
	return words[0] != `\#`
}

// locate finds the token that an error is about.
func (f *reader) locate(typ uint16, head token, ts []token, err error) error {
	where := head
	var e *rdata.Error
	if errors.As(err, &e) && len(ts) > 0 {
		where = ts[min(e.Word, len(ts)-1)]
	}
	if where.line != head.line {
		return at(where, "%s: %v; the parenthesis that opens on line %d, column %d, encloses it", rdata.Mnemonic(typ),
			err, f.lex.opened.line, f.lex.opened.col)
	}
	return at(where, "%s: %v", rdata.Mnemonic(typ), err)
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
		wire, err := rdata.ParseName(ts[1].text, f.origin)
		if err != nil {
			return at(ts[1], "%v", err)
		}
		f.setOrigin(wire)
		f.foreign(ts[1], ts[1].text, fmt.Sprintf("line %d: $ORIGIN ", ts[1].line))
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

// parseTTL reads seconds, or BIND's 1w2d3h4m5s. What is too much for any TTL is one above
// the most.
func parseTTL(s string) (int64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, ok := rdata.ParseSeconds(s)
	if !ok {
		_, err := strconv.ParseUint(s, 10, 32)
		return zone.MaxTTL + 1, errors.Is(err, strconv.ErrRange)
	}
	return int64(n), true
}
