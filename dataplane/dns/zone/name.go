package zone

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
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
	return rdata.FormatLabels(name[:head]), true
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

// appendOwner appends the wire format of a relative owner ("@", "www", "*.a") and of
// the apex after it. Escapes are those of RFC 1035 5.1. The labels' case is kept.
func appendOwner(dst []byte, owner, apexWire string) ([]byte, error) {
	base := len(dst)
	if owner != "@" {
		var err error
		if dst, err = rdata.AppendLabels(dst, owner); err != nil {
			return dst[:base], fmt.Errorf("owner %q: %w", owner, err)
		}
	}
	dst = append(dst, apexWire...)
	if n := len(dst) - base; n > wire.MaxName {
		return dst[:base], fmt.Errorf("owner %q: the whole name has %d octets, more than %d", owner, n, wire.MaxName)
	}
	return dst, nil
}

// apexToWire is the wire format of a canonical apex; the empty name is the root.
func apexToWire(apex string) (string, error) {
	if apex == "" {
		return "\x00", nil
	}
	b, err := rdata.AppendLabels(nil, apex)
	if err != nil {
		return "", err
	}
	if len(b)+1 > wire.MaxName {
		return "", fmt.Errorf("zone %s: the name is too long", apex)
	}
	return string(append(b, 0)), nil
}
