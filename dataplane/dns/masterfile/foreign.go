package masterfile

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
)

// lookup turns labels into what clients ask for (RFC 5891 5).
var lookup = idna.New(idna.MapForLookup(), idna.Transitional(false))

// foreign notes a name that is written with letters beyond ASCII in UTF-8. A file holds octets
// (RFC 1035 5.1), and so they stay, as in every server; but no client asks for them: it
// asks for the A-label.
func (f *reader) foreign(t token, name, where string) {
	if !foreignLetters(name) || f.told.line == t.line && f.told.col == t.col {
		return
	}
	f.told = t
	f.doubts = append(f.doubts, where+foreignDoubt(name))
}

// foreignData looks at the names in a record's data.
func (f *reader) foreignData(typ uint16, ts []token) {
	words := make([]string, len(ts))
	found := false
	for i, t := range ts {
		words[i] = t.text
		found = found || foreignLetters(t.text)
	}
	if !found {
		return
	}
	for _, i := range rdata.Names(typ, words, f.origin) {
		f.foreign(ts[i], words[i], "")
	}
}

// foreignLetters reports whether text is UTF-8 with a letter that is not of ASCII.
func foreignLetters(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return utf8.ValidString(text) && strings.ContainsFunc(text, func(r rune) bool {
				return r >= utf8.RuneSelf && unicode.IsLetter(r)
			})
		}
	}
	return false
}

func foreignDoubt(name string) string {
	labels := strings.Split(name, ".")
	for i, l := range labels {
		if !foreignLetters(l) {
			continue
		}
		a, err := lookup.ToASCII(l)
		if err != nil || strings.Contains(name, `\`) {
			return fmt.Sprintf("%q is stored as its octets (RFC 1035 5.1), and no client asks for these", name)
		}
		labels[i] = a
	}
	return fmt.Sprintf("%q is stored as its octets (RFC 1035 5.1); clients ask for %s (RFC 5891): write that", name,
		strings.Join(labels, "."))
}
