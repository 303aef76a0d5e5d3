package masterfile

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
)

// maxGenerate is the most records of one $GENERATE.
const maxGenerate = 65536

// generate obeys $GENERATE start-stop[/step] owner [TTL] [class] type RDATA, where $
// stands for the number, ${offset,width,base} for a form of it and \$ for itself. Data that
// are one string in quotes are what is within: BIND takes one word there, and so has files
// whose TXT "x $" is the strings x and 1, and whose MX is "10 mail$".
func (f *reader) generate(ts []token) error {
	if len(ts) < 5 {
		return at(ts[0], "$GENERATE takes a range, an owner, a type and data")
	}
	start, stop, step, err := parseRange(ts[1].text)
	if err != nil {
		return at(ts[1], "%v", err)
	}
	ts, err = withoutQuotes(ts)
	if err != nil {
		return err
	}
	words := make([]token, len(ts)-2)
	for i := start; i <= stop; i += step {
		for k, t := range ts[2:] {
			words[k] = t
			if words[k].text, err = substitute(t.text, i); err != nil {
				return at(t, "%v", err)
			}
		}
		owner, err := f.name(words[0])
		if err != nil {
			return err
		}
		if err := f.record(owner, words[1:]); err != nil {
			return err
		}
	}
	return nil
}

// withoutQuotes puts the words of the last token in its place where that is the data and is
// in quotes. \" within is a quote of the data.
func withoutQuotes(ts []token) ([]token, error) {
	last := ts[len(ts)-1]
	if !rdata.IsQuoted(last.text) || !isType(ts[len(ts)-2].text) {
		return ts, nil
	}
	words, err := rdata.Split(strings.ReplaceAll(last.text[1:len(last.text)-1], `\"`, `"`))
	if err != nil {
		return nil, at(last, "%v", err)
	}
	out := append([]token{}, ts[:len(ts)-1]...)
	for _, w := range words {
		out = append(out, token{w, last.line, last.col})
	}
	return out, nil
}

func isType(word string) bool {
	_, err := rdata.ParseType(word)
	return err == nil
}

func parseRange(s string) (start, stop, step int64, err error) {
	bad := fmt.Errorf("%q is not a range such as 1-254 or 0-100/2 of at most %d numbers", s, maxGenerate)
	span, by, hasStep := strings.Cut(s, "/")
	a, b, ok := strings.Cut(span, "-")
	step = 1
	if hasStep {
		if step, err = strconv.ParseInt(by, 10, 32); err != nil {
			return 0, 0, 0, bad
		}
	}
	start, err1 := strconv.ParseInt(a, 10, 32)
	stop, err2 := strconv.ParseInt(b, 10, 32)
	if !ok || err1 != nil || err2 != nil || start < 0 || stop < start || step < 1 || (stop-start)/step >= maxGenerate {
		return 0, 0, 0, bad
	}
	return start, stop, step, nil
}

// substitute puts the number i in the place of each $ in s.
func substitute(s string, i int64) (string, error) {
	if !strings.Contains(s, "$") {
		return s, nil
	}
	var b strings.Builder
	for k := 0; k < len(s); k++ {
		switch {
		case s[k] == '\\' && k+1 < len(s):
			if s[k+1] != '$' {
				b.WriteByte('\\')
			}
			k++
			b.WriteByte(s[k])
		case s[k] != '$':
			b.WriteByte(s[k])
		case k+1 < len(s) && s[k+1] == '{':
			end := strings.IndexByte(s[k:], '}')
			if end < 0 {
				return "", fmt.Errorf("%q: a { without }", s)
			}
			text, err := numberForm(s[k+2:k+end], i)
			if err != nil {
				return "", err
			}
			b.WriteString(text)
			k += end
		case k+1 < len(s) && s[k+1] == '$':
			b.WriteByte('$')
			k++
		default:
			b.WriteString(strconv.FormatInt(i, 10))
		}
		if b.Len() > maxEntry {
			return "", fmt.Errorf("the record is longer than any can be")
		}
	}
	return b.String(), nil
}

// numberForm is i in the form "offset[,width[,base]]".
func numberForm(form string, i int64) (string, error) {
	f := strings.Split(form, ",")
	bad := fmt.Errorf("{%s} is not a form such as {0,3,d}", form)
	offset, err := strconv.ParseInt(f[0], 10, 32)
	width, base := 0, "d"
	if err == nil && len(f) > 1 {
		width, err = strconv.Atoi(f[1])
	}
	if len(f) > 2 {
		base = f[2]
	}
	if err != nil || len(f) > 3 || width < 0 || width > 255 {
		return "", bad
	}
	i += offset
	switch base {
	case "d":
		return fmt.Sprintf("%0*d", width, i), nil
	case "o":
		return fmt.Sprintf("%0*o", width, uint32(i)), nil
	case "x":
		return fmt.Sprintf("%0*x", width, uint32(i)), nil
	case "X":
		return fmt.Sprintf("%0*X", width, uint32(i)), nil
	case "n":
		return nibbles(fmt.Sprintf("%x", uint32(i)), width), nil
	case "N":
		return nibbles(fmt.Sprintf("%X", uint32(i)), width), nil
	}
	return "", bad
}

// nibbles are hex digits from the last to the first with dots between, as the owners
// under ip6.arpa have them. width counts the dots, as BIND does: an even one ends with a
// dot, so that 6 makes of 17 the absolute name 1.1.0. there and here.
func nibbles(hex string, width int) string {
	var b strings.Builder
	for k := len(hex) - 1; k >= 0 || b.Len() < width; k-- {
		if k >= 0 {
			b.WriteByte(hex[k])
		} else {
			b.WriteByte('0')
		}
		if k > 0 || b.Len() < width {
			b.WriteByte('.')
		}
	}
	return b.String()
}
