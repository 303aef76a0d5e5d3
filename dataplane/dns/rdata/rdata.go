// Package rdata reads and writes RDATA in presentation format (RFC 1035 5.1 and each type's
// own RFC) and checks RDATA in wire format. It is pure, and every function may be called
// from several goroutines.
//
// It is used in place of miekg/dns, which cuts AMTRELAY with the D bit (RFC 8777 4.3),
// drops octets that follow the fields of \# (RFC 3597 5), refuses units in SOA timers, CAA and URI
// values over 255 octets, NAPTR strings without quotes, mnemonics of algorithms, empty APL,
// IPv4-mapped ipv6hints and keyNNN of known keys, and takes what RFC 9460 8 and RFC 8659 4.1
// forbid. The table in forms.go has every type that is read in a form of its own; all
// others are written in the form of RFC 3597 5.
package rdata

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// MaxLength is the most octets of RDATA (RFC 1035 3.2.1).
const MaxLength = 65535

// Error says what is wrong with a record's data.
type Error struct {
	// Word is which word of the data it is about, from 0; as many as there are words when
	// one is missing.
	Word int
	Text string
}

func (e *Error) Error() string { return e.Text }

// Parse packs the words of a record's data, their quotes and escapes as written. Names
// without a last dot are below origin, which is a name in wire format.
func Parse(typ uint16, words []string, origin string) ([]byte, error) {
	return (&input{words: words, origin: origin}).parse(typ)
}

// Names says which words of data that Parse takes are domain names.
func Names(typ uint16, words []string, origin string) []int {
	p := &input{words: words, origin: origin}
	if _, err := p.parse(typ); err != nil {
		return nil
	}
	return p.names
}

func (p *input) parse(typ uint16) ([]byte, error) {
	words := p.words
	if len(words) > 0 && words[0] == `\#` {
		return p.generic(typ)
	}
	f, ok := forms[typ]
	if !ok {
		return nil, p.failAt(0, `data of type %s are written \# LENGTH HEX (RFC 3597 5)`, FormatType(typ))
	}
	for _, field := range f.fields {
		if err := field.read(p); err != nil {
			return nil, err
		}
		if len(p.out) > MaxLength {
			return nil, p.failAt(p.at-1, "the data have more than %d octets", MaxLength)
		}
	}
	if p.at < len(words) {
		return nil, p.failAt(p.at, "%s is more than a record of type %s has%s", words[p.at], FormatType(typ),
			p.moreHint())
	}
	if f.check != nil {
		if text := f.check(p.out); text != "" {
			return nil, p.failAt(f.blame, "%s", text)
		}
	}
	return p.out, nil
}

// Format is RDATA in presentation format, its names absolute. What the type's own form
// cannot say, or says with nothing, is written as RFC 3597 5 does.
func Format(typ uint16, rd []byte) string {
	if text, ok := show(typ, rd); ok && text != "" {
		if words, err := Split(text); err == nil {
			if back, err := Parse(typ, words, "\x00"); err == nil && bytes.Equal(back, rd) {
				return text
			}
		}
	}
	return Generic(rd)
}

// Generic is RDATA in the form of RFC 3597 5, which every server reads.
func Generic(rd []byte) string {
	if len(rd) == 0 {
		return `\# 0`
	}
	return fmt.Sprintf(`\# %d %X`, len(rd), rd)
}

// Check refuses RDATA that does not have the form of its type.
func Check(typ uint16, rd []byte) error {
	f, ok := forms[typ]
	if !ok {
		return nil
	}
	if _, ok := show(typ, rd); !ok {
		return fmt.Errorf("%X is not data of type %s", rd[:min(len(rd), 64)], FormatType(typ))
	}
	if f.check != nil {
		if text := f.check(rd); text != "" {
			return &Error{f.blame, text}
		}
	}
	return nil
}

// show prints RDATA by its form; false when it does not have it. The text is empty where
// servers would not read the form back.
func show(typ uint16, rd []byte) (string, bool) {
	f, ok := forms[typ]
	if !ok {
		return "", false
	}
	o := &output{all: rd, rest: rd}
	for _, field := range f.fields {
		if !field.show(o) {
			return "", false
		}
	}
	if o.bare {
		return "", len(o.rest) == 0
	}
	return strings.Join(o.words, " "), len(o.rest) == 0
}

// input is the data of one record while its fields are read.
type input struct {
	words  []string
	at     int
	origin string
	out    []byte
	names  []int // the words that were read as domain names
}

func (p *input) failAt(word int, format string, args ...any) error {
	return &Error{max(word, 0), fmt.Sprintf(format, args...)}
}

// bad is what is wrong with the word that was read last.
func (p *input) bad(format string, args ...any) error { return p.failAt(p.at-1, format, args...) }

// next takes the next word, which is the field called what.
func (p *input) next(what string) (string, error) {
	if p.at == len(p.words) {
		return "", p.failAt(p.at, "the %s is missing", what)
	}
	p.at++
	return p.words[p.at-1], nil
}

// rest takes all words that are left as one.
func (p *input) rest() string {
	s := strings.Join(p.words[p.at:], "")
	p.at = len(p.words)
	return s
}

// moreHint says what was probably meant where words are left over.
func (p *input) moreHint() string {
	for _, w := range p.words {
		if strings.HasPrefix(w, ";") || strings.HasSuffix(w, ";") {
			return `; a value that has a ; or a blank is written in quotes, and has no comments`
		}
	}
	return ""
}

// generic reads \# LENGTH HEX of RFC 3597 5.
func (p *input) generic(typ uint16) ([]byte, error) {
	if len(p.words) < 2 {
		return nil, p.failAt(1, `the length after \# is missing`)
	}
	n, err := strconv.ParseUint(p.words[1], 10, 16)
	if err != nil {
		return nil, p.failAt(1, `%s is not a length from 0 to %d`, p.words[1], MaxLength)
	}
	p.at = 2
	rd, err := hex.DecodeString(p.rest())
	if err != nil || len(rd) != int(n) {
		found := fmt.Sprintf("%d", len(rd))
		if err != nil {
			found = "what does not read as such"
		}
		return nil, p.failAt(min(2, len(p.words)), `%d octets in hexadecimal must follow \# %d, and there are %s`, n, n,
			found)
	}
	if err := Check(typ, rd); err != nil {
		return nil, p.failAt(min(2, len(p.words)-1), "%v", err)
	}
	return rd, nil
}

// output is RDATA while its fields are printed.
type output struct {
	all, rest []byte
	words     []string
	bare      bool // the last field is empty, and some servers want one
}

func (o *output) put(word string) bool {
	o.words = append(o.words, word)
	return true
}

// take returns the next n octets; false when there are fewer.
func (o *output) take(n int) ([]byte, bool) {
	if n < 0 || n > len(o.rest) {
		return nil, false
	}
	b := o.rest[:n]
	o.rest = o.rest[n:]
	return b, true
}
