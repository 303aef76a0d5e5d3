package s3

import (
	"mime"
	"strings"
	"unicode/utf8"
)

// User metadata is text. In a header it is ASCII, or RFC 2047's encoded words, which are decoded
// before they are kept; what is not ASCII is encoded before it is returned ("Working with object
// metadata" of Amazon's user guide). Octets over 127 that a client sends all the same are UTF-8
// where they can be, and else Latin-1. The guide's example reads UTF-8 as Latin-1, so that a
// client never gets back what it sent; minio-go's tests expect their text back.

var words = mime.WordDecoder{}

// decodeMetadata is the text of a header's value. Words that cannot be decoded stay as they are.
func decodeMetadata(value string) string {
	if ascii(value) {
		text, err := words.DecodeHeader(value)
		if err != nil || !utf8.ValidString(text) {
			return value
		}
		return text
	}
	if utf8.ValidString(value) {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		b.WriteRune(rune(value[i]))
	}
	return b.String()
}

// encodeMetadata is the header's value of a text.
func encodeMetadata(text string) string { return mime.BEncoding.Encode("UTF-8", text) }

// asHeader is a form's field or a query's parameter as the header that it stands for. Those
// are UTF-8.
func asHeader(name, value string) string {
	if strings.HasPrefix(name, "X-Amz-Meta-") && !ascii(value) && utf8.ValidString(value) {
		return encodeMetadata(value)
	}
	return value
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
