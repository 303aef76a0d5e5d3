package s3xml

const upperhex = "0123456789ABCDEF"

// bare has true for the octets that encoding-type=url leaves as they are. AWS's encoder is
// Java's form encoder with "/" spared: a space is "+", "~" is encoded and "*" is not.
var bare = func() (t [256]bool) {
	for c := range t {
		t[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			c == '-' || c == '_' || c == '.' || c == '*' || c == '/'
	}
	return t
}()

// AppendURL appends a key as encoding-type=url gives it. Nothing of it needs XML escapes.
func AppendURL[T string | []byte](b []byte, s T) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case bare[c]:
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', upperhex[c>>4], upperhex[c&15])
		}
	}
	return b
}
