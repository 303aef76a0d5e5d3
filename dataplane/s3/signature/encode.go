package signature

import (
	"bytes"
	"strings"
)

// unreserved of RFC 3986 2.3: what is never encoded.
var unreserved = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
			c == '-' || c == '_' || c == '.' || c == '~'
	}
	return t
}()

const upperHex = "0123456789ABCDEF"

// appendOctet appends c as %XX in capitals, unless it is unreserved or keep.
func appendOctet(dst []byte, c, keep byte) []byte {
	if unreserved[c] || c == keep {
		return append(dst, c)
	}
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

// appendPath encodes a path; slashes stay.
func appendPath(dst []byte, path string) []byte {
	for i := range len(path) {
		dst = appendOctet(dst, path[i], '/')
	}
	return dst
}

// recode appends a name or a value of the query, decoded once and encoded once; a plus is
// a space.
func recode(dst []byte, text string) ([]byte, bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '%':
			if i+2 >= len(text) || !isHex(text[i+1]) || !isHex(text[i+2]) {
				return dst, false
			}
			c = unhex(text[i+1])<<4 | unhex(text[i+2])
			i += 2
		case '+':
			c = ' '
		}
		dst = appendOctet(dst, c, 'a')
	}
	return dst, true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// decode is the text of an encoded value, which recode made.
func decode(enc []byte) string {
	if bytes.IndexByte(enc, '%') < 0 {
		return string(enc)
	}
	out := make([]byte, 0, len(enc))
	for i := 0; i < len(enc); i++ {
		if enc[i] == '%' {
			out = append(out, unhex(enc[i+1])<<4|unhex(enc[i+2]))
			i += 2
			continue
		}
		out = append(out, enc[i])
	}
	return string(out)
}

func hexBytes(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte("0123456789abcdef"[text[i]>>4])
		b.WriteByte("0123456789abcdef"[text[i]&15])
	}
	return b.String()
}
