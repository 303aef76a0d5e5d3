package rdata

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

// ParseName reads a name in presentation format: "@" is the origin, a name without a
// last dot is relative to it. Names are returned in wire format, case kept.
func ParseName(text, origin string) (string, error) {
	switch {
	case text == "@":
		return origin, nil
	case text == ".":
		return "\x00", nil
	}
	suffix := origin
	if absolute(text) {
		text, suffix = text[:len(text)-1], "\x00"
	}
	b, err := AppendLabels(nil, text)
	if err != nil {
		return "", fmt.Errorf("%q: %w", text, err)
	}
	if n := len(b) + len(suffix); n > wire.MaxName {
		return "", fmt.Errorf("%q: the whole name has %d octets, more than %d", text, n, wire.MaxName)
	}
	return string(b) + suffix, nil
}

// absolute reports whether text ends with a dot that is not escaped.
func absolute(text string) bool {
	if !strings.HasSuffix(text, ".") {
		return false
	}
	n := 0
	for i := len(text) - 2; i >= 0 && text[i] == '\\'; i-- {
		n++
	}
	return n%2 == 0
}

// FormatName is a name in wire format in presentation format, with the last dot.
func FormatName(name string) string {
	if len(name) <= 1 {
		return "."
	}
	return FormatLabels(name[:len(name)-1]) + "."
}

// AppendLabels appends the labels of a relative name without the root's zero.
func AppendLabels(dst []byte, text string) ([]byte, error) {
	if text == "" {
		return dst, errors.New("the name is empty; the apex is @")
	}
	at := len(dst)
	dst = append(dst, 0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch c {
		case '.':
			if err := closeLabel(dst, at); err != nil {
				return dst, err
			}
			if i+1 == len(text) {
				return dst, errors.New("the name must be relative to the zone, without a last dot")
			}
			at = len(dst)
			dst = append(dst, 0)
			continue
		case '\\':
			var n int
			if c, n = unescape(text[i+1:]); n == 0 {
				return dst, errors.New(`a \ must be followed by a character or three digits up to 255`)
			}
			i += n
		}
		dst = append(dst, c)
	}
	return dst, closeLabel(dst, at)
}

func closeLabel(dst []byte, at int) error {
	n := len(dst) - at - 1
	if n == 0 {
		return errors.New("the name has an empty label")
	}
	if n > 63 {
		return errors.New("a label has more than 63 octets")
	}
	dst[at] = byte(n)
	return nil
}

// FormatLabels is the presentation format of labels in wire format, "@" for none.
func FormatLabels(labels string) string {
	if labels == "" {
		return "@"
	}
	var b strings.Builder
	for i := 0; i < len(labels); {
		n := int(labels[i])
		if i > 0 {
			b.WriteByte('.')
		}
		for _, c := range []byte(labels[i+1 : i+1+n]) {
			switch {
			case c == '.' || c == '\\' || c == '"' || c == ';' || c == '(' || c == ')' || c == '@' || c == '$':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c <= ' ' || c >= 0x7f:
				fmt.Fprintf(&b, `\%03d`, c)
			default:
				b.WriteByte(c)
			}
		}
		i += n + 1
	}
	return b.String()
}
