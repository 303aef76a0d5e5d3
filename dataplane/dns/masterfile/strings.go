package masterfile

import (
	"fmt"

	"github.com/miekg/dns"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
)

// splitQuotes cuts a word before the quote within it, as BIND and NSD do: TXT a"b"c is the
// strings a, b and c. SVCB and HTTPS have their key="value" whole (RFC 9460 2.1).
func splitQuotes(typ uint16, ts []token) []token {
	if typ == dns.TypeSVCB || typ == dns.TypeHTTPS {
		return ts
	}
	for i := 0; i < len(ts); i++ {
		t := ts[i]
		cut := innerQuote(t.text)
		if cut <= 0 {
			continue
		}
		out := append(make([]token, 0, len(ts)+1), ts[:i]...)
		out = append(out, token{t.text[:cut], t.line, t.col}, token{t.text[cut:], t.line, t.col + cut})
		ts = append(out, ts[i+1:]...)
	}
	return ts
}

// innerQuote is where the first quote without an escape stands in a word that does not begin
// with one; 0 when there is none.
func innerQuote(word string) int {
	if word[0] == '"' {
		return 0
	}
	for i := 0; i < len(word); i++ {
		switch word[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return 0
}

// doubt tells of a string that is longer than one can be (RFC 1035 3.3): people paste whole
// DKIM keys, and readers join the strings that it is stored as.
func doubt(typ uint16, ts []token) string {
	if !textual(typ) || ts[0].text == `\#` {
		return ""
	}
	for _, t := range ts {
		if len(t.text) <= 255 {
			continue
		}
		if b, err := rdata.Unquote(t.text); err == nil && len(b) > 255 {
			return fmt.Sprintf("a string of %d octets is stored as %d, since one has at most 255 (RFC 1035 3.3)",
				len(b), (len(b)+254)/255)
		}
	}
	return ""
}

// textual reports whether a type's data are strings to their end.
func textual(typ uint16) bool {
	switch rdata.Mnemonic(typ) {
	case "TXT", "SPF", "AVC", "NINFO", "RESINFO", "WALLET", "CLA":
		return true
	}
	return false
}
