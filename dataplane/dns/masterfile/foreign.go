package masterfile

import (
	"fmt"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// foreign notes a name that is written with letters beyond ASCII in UTF-8. A file holds octets
// (RFC 1035 5.1), and so they stay, as in every server; but no client asks for them: it
// asks for the A-label.
func (f *reader) foreign(t token, name, where string) {
	if !zone.HasForeignLetters(name) || f.told.line == t.line && f.told.col == t.col {
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
		found = found || zone.HasForeignLetters(t.text)
	}
	if !found {
		return
	}
	for _, i := range rdata.Names(typ, words, f.origin) {
		f.foreign(ts[i], words[i], "")
	}
}

func foreignDoubt(name string) string {
	a, ok := zone.ALabels(name)
	if !ok {
		return fmt.Sprintf("%q is stored as its octets (RFC 1035 5.1), and no client asks for these", name)
	}
	return fmt.Sprintf("%q is stored as its octets (RFC 1035 5.1); clients ask for %s (RFC 5891): write that", name, a)
}
