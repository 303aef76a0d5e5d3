package policy

import (
	"strings"
	"unicode/utf8"
)

// Within a compiled pattern these octets, which no UTF-8 has, stand for the wildcards, so
// that what a variable brings in is never taken for one.
const (
	star     = '\xff' // any number of characters
	question = '\xfe' // one character
)

// pattern is a text with wildcards and, rarely, variables.
type pattern struct {
	glob string     // without variables
	vars []variable // pieces in order, where there are variables
}

// variable is a piece of text, then a key whose value follows it, unless it is the last.
type variable struct {
	before   string
	key      *contextKey
	fallback string // for a key that is not in the request
	hasElse  bool
	last     bool
}

// compilePattern reads a text: "*" and "?" where wild is set, ${key} and ${key, 'default'}
// where vars is.
func compilePattern(s string, wild, vars bool) (pattern, error) {
	var p pattern
	var b strings.Builder
	for i := 0; i < len(s); {
		switch {
		case wild && s[i] == '*':
			b.WriteByte(star)
			i++
		case wild && s[i] == '?':
			b.WriteByte(question)
			i++
		case vars && strings.HasPrefix(s[i:], "${"):
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return p, malformed("Policy has an invalid policy variable: " + s)
			}
			if err := p.variable(s[i+2:i+end], &b); err != nil {
				return p, err
			}
			i += end + 1
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	if p.vars == nil {
		p.glob = b.String()
		return p, nil
	}
	p.vars = append(p.vars, variable{before: b.String(), last: true})
	return p, nil
}

// variable takes what stands between the braces; ${*}, ${?} and ${$} are those characters.
func (p *pattern) variable(body string, b *strings.Builder) error {
	if body == "*" || body == "?" || body == "$" {
		b.WriteString(body)
		return nil
	}
	name, fallback, hasElse := strings.Cut(body, ",")
	fallback = strings.TrimSpace(fallback)
	if hasElse {
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return malformed("Policy has an invalid policy variable: ${" + body + "}")
		}
		fallback = fallback[1 : len(fallback)-1]
	}
	key, err := findKey(strings.TrimSpace(name))
	if err != nil {
		return err
	}
	p.vars = append(p.vars, variable{before: b.String(), key: key, fallback: fallback, hasElse: hasElse})
	b.Reset()
	return nil
}

// expand gives the pattern for one request; false if a variable has no value there.
func (p *pattern) expand(q *Request) (string, bool) {
	if p.vars == nil {
		return p.glob, true
	}
	var b strings.Builder
	for _, v := range p.vars {
		b.WriteString(v.before)
		if v.last {
			break
		}
		value, ok := v.key.value(q)
		if !ok {
			value, ok = v.fallback, v.hasElse
		}
		// What is not UTF-8 could smuggle in a wildcard.
		if !ok || !utf8.ValidString(value) {
			return "", false
		}
		b.WriteString(value)
	}
	return b.String(), true
}

// fixed: there is neither a wildcard nor a variable in it.
func (p *pattern) fixed() bool {
	return p.vars == nil && strings.IndexByte(p.glob, star) < 0 &&
		strings.IndexByte(p.glob, question) < 0
}

// match holds a text against a compiled glob, going back to the last star only, which
// bounds the work by the product of both lengths.
func match[T string | []byte](glob string, s T) bool {
	i, j := 0, 0
	back, from := -1, 0
	for j < len(s) {
		switch {
		case i < len(glob) && glob[i] == star:
			back, from = i, j
			i++
		case i < len(glob) && glob[i] == question:
			i++
			j += width(s, j)
		case i < len(glob) && glob[i] == s[j]:
			i++
			j++
		case back >= 0:
			from++
			i, j = back+1, from
		default:
			return false
		}
	}
	for i < len(glob) && glob[i] == star {
		i++
	}
	return i == len(glob)
}

// width of the character at i.
func width[T string | []byte](s T, i int) int {
	n := 1
	for n < utf8.UTFMax && i+n < len(s) && s[i+n]&0xC0 == 0x80 {
		n++
	}
	return n
}

// matchFold is match without regard to the case of ASCII letters; the glob is lower case.
func matchFold(glob, s string) bool {
	var a [128]byte
	b := a[:0]
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return match(glob, b)
}
