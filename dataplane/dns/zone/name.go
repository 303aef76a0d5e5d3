package zone

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

// apexProfile maps and checks an apex as a registry would (RFC 5891), with the
// underscore and other non-host octets left to the caller's own check.
var apexProfile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true), idna.BidiRule())

// CanonicalApex returns the name of a zone as the installation writes it: lower-case
// A-labels (IDN U-labels converted, RFC 5891) without the last dot. The root is
// refused, and so is a label that is neither letters, digits, hyphens and
// underscores, because an apex is a name that a registry or a parent zone holds.
func CanonicalApex(s string) (string, error) {
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	if s == "" {
		return "", errors.New("the name of a zone must not be empty")
	}
	if !isASCII(s) {
		a, err := apexProfile.ToASCII(s)
		if err != nil {
			return "", fmt.Errorf("%q is not a domain name: %w", s, err)
		}
		s = a
	}
	s = strings.ToLower(s)
	if len(s) > wire.MaxName-2 {
		return "", fmt.Errorf("the name has %d octets, more than the %d that DNS allows", len(s), wire.MaxName-2)
	}
	for label := range strings.SplitSeq(s, ".") {
		if err := checkApexLabel(label); err != nil {
			return "", fmt.Errorf("%q is not a domain name: %w", s, err)
		}
	}
	return s, nil
}

func checkApexLabel(label string) error {
	switch {
	case label == "":
		return errors.New("it has an empty label")
	case len(label) > 63:
		return fmt.Errorf("label %q has more than 63 octets", label)
	case label[0] == '-' || label[len(label)-1] == '-':
		return fmt.Errorf("label %q begins or ends with a hyphen", label)
	}
	for _, c := range []byte(label) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '/') {
			return fmt.Errorf("label %q has the character %q", label, c)
		}
	}
	if strings.HasPrefix(label, "xn--") {
		if _, err := apexProfile.ToUnicode(label); err != nil {
			return fmt.Errorf("label %q is no A-label: %w", label, err)
		}
	}
	return nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

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
	b, err := appendLabels(nil, text)
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

// RelativeName is a name in wire format relative to the apex, in presentation format;
// ok is false when it is not at or below the apex.
func RelativeName(name, apex string) (owner string, ok bool) {
	head := len(name) - len(apex)
	if head < 0 || !equalFold(name[head:], apex) {
		return "", false
	}
	for i := 0; i < head; i += int(name[i]) + 1 {
		if i+int(name[i])+1 > head {
			return "", false
		}
	}
	return formatOwner(name[:head]), true
}

// equalFold compares as DNS does: only ASCII letters fold (RFC 4343 3).
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// FormatName is a name in wire format in presentation format, with the last dot.
func FormatName(name string) string {
	if len(name) <= 1 {
		return "."
	}
	return formatOwner(name[:len(name)-1]) + "."
}

// appendOwner appends the wire format of a relative owner ("@", "www", "*.a") and of
// the apex after it. Escapes are those of RFC 1035 5.1. The labels' case is kept.
func appendOwner(dst []byte, owner, apexWire string) ([]byte, error) {
	base := len(dst)
	if owner != "@" {
		var err error
		if dst, err = appendLabels(dst, owner); err != nil {
			return dst[:base], fmt.Errorf("owner %q: %w", owner, err)
		}
	}
	dst = append(dst, apexWire...)
	if n := len(dst) - base; n > wire.MaxName {
		return dst[:base], fmt.Errorf("owner %q: the whole name has %d octets, more than %d", owner, n, wire.MaxName)
	}
	return dst, nil
}

// appendLabels appends the labels of text without the root's zero.
func appendLabels(dst []byte, text string) ([]byte, error) {
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

// formatOwner is the presentation format of labels in wire format, "@" for none.
func formatOwner(labels string) string {
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

// apexToWire is the wire format of a canonical apex; the empty name is the root.
func apexToWire(apex string) (string, error) {
	if apex == "" {
		return "\x00", nil
	}
	b, err := appendLabels(nil, apex)
	if err != nil {
		return "", err
	}
	if len(b)+1 > wire.MaxName {
		return "", fmt.Errorf("zone %s: the name is too long", apex)
	}
	return string(append(b, 0)), nil
}
