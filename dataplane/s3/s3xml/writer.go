package s3xml

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// Namespace is that of every document but Error.
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

const (
	header = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	xsi    = "http://www.w3.org/2001/XMLSchema-instance"
)

// writer appends elements to a buffer. Names of elements are ours; values are escaped.
type writer struct{ b []byte }

// root begins a document.
func (w *writer) root(name string) {
	w.b = append(w.b, header...)
	w.b = append(append(w.b, '<'), name...)
	w.b = append(w.b, ` xmlns="`+Namespace+`">`...)
}

func (w *writer) open(name string) {
	w.b = append(append(append(w.b, '<'), name...), '>')
}

func (w *writer) close(name string) {
	w.b = append(append(append(w.b, '<', '/'), name...), '>')
}

func (w *writer) text(name, value string) {
	w.open(name)
	w.b = appendEscaped(w.b, value)
	w.close(name)
}

// optional writes nothing for an empty value.
func (w *writer) optional(name, value string) {
	if value != "" {
		w.text(name, value)
	}
}

func (w *writer) integer(name string, v int64) {
	w.open(name)
	w.b = strconv.AppendInt(w.b, v, 10)
	w.close(name)
}

func (w *writer) boolean(name string, v bool) {
	w.open(name)
	w.b = strconv.AppendBool(w.b, v)
	w.close(name)
}

func (w *writer) time(name string, t time.Time) {
	w.open(name)
	w.b = AppendTime(w.b, t)
	w.close(name)
}

// etag writes a tag in the quotes that belong to it.
func etag[T string | []byte](w *writer, tag T) {
	w.b = append(w.b, "<ETag>&quot;"...)
	w.b = appendEscaped(w.b, tag)
	w.b = append(w.b, "&quot;</ETag>"...)
}

// name writes a key or a prefix, URL-encoded where the client asked for it.
func name[T string | []byte](w *writer, element string, value T, url bool) {
	w.open(element)
	if url {
		w.b = AppendURL(w.b, value)
	} else {
		w.b = appendEscaped(w.b, value)
	}
	w.close(element)
}

// plain has true for what stands in XML as it is: ASCII that is printable and no markup.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = true
	}
	for _, c := range `&<>"'` {
		t[c] = false
	}
	return t
}()

// NeedsURL says that XML 1.0 cannot carry a text: it has a character that 2.2 (Char) forbids,
// even as a reference. A listing has it with encoding-type=url only.
func NeedsURL[T string | []byte](s T) bool {
	for i := range len(s) {
		c := s[i]
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return true
		}
		if c == 0xEF && i+2 < len(s) && s[i+1] == 0xBF && s[i+2] >= 0xBE {
			return true // U+FFFE and U+FFFF
		}
	}
	return false
}

// appendEscaped appends text. What XML 1.0 forbids (see NeedsURL) and octets that are no
// UTF-8 become U+FFFD.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			n, esc := beyondASCII(s[i:min(i+utf8.UTFMax, len(s))])
			if esc != "" {
				b = append(append(b, s[from:i]...), esc...)
				from = i + n
			}
			i += n
			continue
		}
		b = appendReference(append(b, s[from:i]...), c)
		i++
		from = i
	}
	return append(b, s[from:]...)
}

func appendReference(b []byte, c byte) []byte {
	switch c {
	case '&':
		return append(b, "&amp;"...)
	case '<':
		return append(b, "&lt;"...)
	case '>':
		return append(b, "&gt;"...)
	case '"':
		return append(b, "&quot;"...)
	case '\'':
		return append(b, "&apos;"...)
	}
	if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
		return append(b, "\uFFFD"...)
	}
	b = append(b, "&#x"...)
	return append(strconv.AppendUint(b, uint64(c), 16), ';')
}

// beyondASCII tells the length of the rune that s begins with, and what to write instead
// of it, if anything.
func beyondASCII[T string | []byte](s T) (int, string) {
	var a [utf8.UTFMax]byte
	r, n := utf8.DecodeRune(a[:copy(a[:], s)])
	switch {
	case r == utf8.RuneError && n <= 1:
		return 1, "\uFFFD"
	case r == 0xFFFE, r == 0xFFFF:
		return n, "\uFFFD"
	}
	return n, ""
}

// AppendTime appends a time as S3 writes it in XML: UTC with milliseconds.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	y, m, d := t.Date()
	if y < 0 || y > 9999 {
		return t.AppendFormat(b, "2006-01-02T15:04:05.000Z")
	}
	h, mi, s := t.Clock()
	b = appendDigits(b, y, 4)
	b = appendDigits(append(b, '-'), int(m), 2)
	b = appendDigits(append(b, '-'), d, 2)
	b = appendDigits(append(b, 'T'), h, 2)
	b = appendDigits(append(b, ':'), mi, 2)
	b = appendDigits(append(b, ':'), s, 2)
	b = appendDigits(append(b, '.'), t.Nanosecond()/1e6, 3)
	return append(b, 'Z')
}

func appendDigits(b []byte, v, n int) []byte {
	var a [4]byte
	for i := n - 1; i >= 0; i-- {
		a[i] = byte('0' + v%10)
		v /= 10
	}
	return append(b, a[:n]...)
}
