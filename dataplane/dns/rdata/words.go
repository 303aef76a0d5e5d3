package rdata

import (
	"errors"
	"fmt"
	"strings"
)

// Split cuts a value, as people give one to the API, into words with their quotes and
// escapes as written. A value is no line of a master file: it has no comments, and a ";"
// belongs to its word. Parentheses that stand alone are left out, as copied keys have them.
func Split(text string) ([]string, error) {
	if strings.ContainsAny(text, "\n\r") {
		return nil, errors.New("a record must be one line")
	}
	var words []string
	open := false
	for i := 0; i < len(text); {
		if text[i] == ' ' || text[i] == '\t' {
			i++
			continue
		}
		end, err := wordEnd(text, i)
		if err != nil {
			return nil, err
		}
		switch w := text[i:end]; w {
		case "(", ")":
			if open == (w == "(") {
				return nil, errors.New("the parentheses do not match")
			}
			open = !open
		default:
			words = append(words, w)
		}
		i = end
	}
	if open {
		return nil, errors.New("the parentheses do not match")
	}
	return words, nil
}

// wordEnd is where the word that begins at i ends.
func wordEnd(text string, i int) (int, error) {
	whole := text[i] == '"'
	quoted := false
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			if i++; i == len(text) {
				return 0, errors.New(`the value ends after a \`)
			}
		case c == '"':
			quoted = !quoted
			if !quoted && whole {
				return i + 1, nil
			}
		case !quoted && (c == ' ' || c == '\t'):
			return i, nil
		}
	}
	if quoted {
		return 0, errors.New("the value ends within quotes")
	}
	return i, nil
}

// Unquote returns the octets of a word: without its quotes, escapes undone (RFC 1035 5.1).
func Unquote(word string) ([]byte, error) {
	if IsQuoted(word) {
		word = word[1 : len(word)-1]
	} else if unescapedQuote(word) {
		return nil, fmt.Errorf(`%s has a quote within; quote the whole, or write \"`, word)
	}
	out := make([]byte, 0, len(word))
	for i := 0; i < len(word); i++ {
		c := word[i]
		if c == '\\' {
			var n int
			if c, n = unescape(word[i+1:]); n == 0 {
				return nil, fmt.Errorf(`%s: a \ must be followed by a character or three digits up to 255`, word)
			}
			i += n
		}
		out = append(out, c)
	}
	return out, nil
}

// IsQuoted reports whether a word stands in quotes as a whole.
func IsQuoted(word string) bool {
	return len(word) >= 2 && word[0] == '"' && word[len(word)-1] == '"'
}

func unescapedQuote(word string) bool {
	for i := 0; i < len(word); i++ {
		switch word[i] {
		case '\\':
			i++
		case '"':
			return true
		}
	}
	return false
}

// Quote writes octets in quotes, those that are not printable ASCII as \DDD.
func Quote(octets []byte) string {
	var b strings.Builder
	b.Grow(len(octets) + 2)
	b.WriteByte('"')
	for _, c := range octets {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// unescape reads what follows a backslash: DDD or one character.
func unescape(s string) (c byte, n int) {
	if s == "" {
		return 0, 0
	}
	if s[0] < '0' || s[0] > '9' {
		return s[0], 1
	}
	if len(s) < 3 {
		return 0, 0
	}
	v := 0
	for _, d := range []byte(s[:3]) {
		if d < '0' || d > '9' {
			return 0, 0
		}
		v = v*10 + int(d-'0')
	}
	if v > 255 {
		return 0, 0
	}
	return byte(v), 3
}

// ParseSeconds reads seconds, or BIND's 1w2d3h4m5s; false when it is neither, or above the
// 32 bits that a field has.
func ParseSeconds(s string) (uint32, bool) {
	const most = 1<<32 - 1
	var sum, n uint64
	digits := false
	for i, c := range []byte(s) {
		if '0' <= c && c <= '9' {
			if n, digits = n*10+uint64(c-'0'), true; n > most {
				return 0, false
			}
			continue
		}
		unit, ok := units[c|0x20]
		if !ok || !digits {
			return 0, false
		}
		if sum += n * unit; sum > most {
			return 0, false
		}
		n, digits = 0, false
		if i == len(s)-1 {
			return uint32(sum), true
		}
	}
	if sum > 0 || !digits || n > most { // "1h30" has no unit at its end
		return 0, false
	}
	return uint32(n), true
}

var units = map[byte]uint64{'s': 1, 'm': 60, 'h': 3600, 'd': 86400, 'w': 604800}
