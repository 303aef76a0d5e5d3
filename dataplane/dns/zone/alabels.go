package zone

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
)

// lookupProfile turns labels into what clients ask for (RFC 5891 5).
var lookupProfile = idna.New(idna.MapForLookup(), idna.Transitional(false))

// HasForeignLetters reports whether text is UTF-8 with a letter that is not of ASCII.
func HasForeignLetters(text string) bool {
	return !isASCII(text) && utf8.ValidString(text) && strings.ContainsFunc(text, func(r rune) bool {
		return r >= utf8.RuneSelf && unicode.IsLetter(r)
	})
}

// ALabels is a name with letters beyond ASCII as clients ask for it; false where there is no such name, or it
// has escapes.
func ALabels(name string) (string, bool) {
	if strings.Contains(name, `\`) {
		return "", false
	}
	labels := strings.Split(name, ".")
	for i, l := range labels {
		if !HasForeignLetters(l) {
			continue
		}
		a, err := lookupProfile.ToASCII(l)
		if err != nil {
			return "", false
		}
		labels[i] = a
	}
	return strings.Join(labels, "."), true
}

// foreignNames refuses names in UTF-8 in a value: their octets would be stored, for which no client asks.
func foreignNames(apexWire string, typ uint16, text string, words []string) error {
	if !HasForeignLetters(text) {
		return nil
	}
	meant := append([]string{}, words...)
	name := ""
	for _, i := range rdata.Names(typ, words, apexWire) {
		if !HasForeignLetters(words[i]) {
			continue
		}
		name = words[i]
		a, ok := ALabels(name)
		if !ok {
			return fmt.Errorf("%s is not a record of type %s: the name %s has letters beyond ASCII and no A-label "+
				"(RFC 5891); octets are written \\DDD", shown(text), rdata.Mnemonic(typ), name)
		}
		meant[i] = a
	}
	if name == "" {
		return nil
	}
	return fmt.Errorf("%s is not a record of type %s: the name %s has letters beyond ASCII, and clients ask for its "+
		"A-label (RFC 5891); it is written `%s`", shown(text), rdata.Mnemonic(typ), name, strings.Join(meant, " "))
}
