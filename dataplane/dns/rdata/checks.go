package rdata

import (
	"fmt"
	"strings"
)

// checkIPSECKEY: only algorithm 0 has no key (RFC 4025 2.4).
func checkIPSECKEY(rd []byte) string {
	if len(rd) < 3 || rd[2] == 0 {
		return ""
	}
	rest := rd[3:]
	n := 0
	switch rd[1] {
	case 1:
		n = 4
	case 2:
		n = 16
	case 3:
		for n < len(rest) && rest[n] != 0 {
			n += int(rest[n]) + 1
		}
		n++
	}
	if n >= len(rest) {
		return "the key is missing; only algorithm 0 has none"
	}
	return ""
}

// checkNAPTR refuses a regular expression that no client can use (RFC 3402 3.2).
func checkNAPTR(rd []byte) string {
	at := 4
	for range 2 { // the flags and the services
		if at < len(rd) {
			at += int(rd[at]) + 1
		}
	}
	if at >= len(rd) {
		return ""
	}
	return substitution(string(rd[at+1 : min(at+1+int(rd[at]), len(rd))]))
}

// substitution says what is wrong with !expression!replacement!flags; "" when nothing is.
func substitution(s string) string {
	if s == "" {
		return ""
	}
	const form = "the regular expression is written !expression!replacement!, with i at its end or nothing"
	delimiter := s[0]
	if strings.IndexByte(`0123456789\i`, delimiter) >= 0 {
		return form + "; its delimiter is no digit, no i and no \\"
	}
	parts := []string{""}
	for i := 1; i < len(s); i++ {
		last := len(parts) - 1
		switch {
		case s[i] == '\\' && i+1 < len(s):
			parts[last] += s[i : i+2]
			i++
		case s[i] == delimiter:
			parts = append(parts, "")
		default:
			parts[last] += s[i : i+1]
		}
	}
	if len(parts) != 3 || strings.Trim(parts[2], "i") != "" {
		return form
	}
	groups, ok := groupsOf(parts[0])
	if !ok {
		return "the parentheses of the regular expression do not match"
	}
	for i := 0; i+1 < len(parts[1]); i++ {
		if parts[1][i] != '\\' {
			continue
		}
		i++
		if d := parts[1][i]; '0' <= d && d <= '9' && (d == '0' || int(d-'0') > groups) {
			return fmt.Sprintf(`the replacement names group \%c; the regular expression has %d`, d, groups)
		}
	}
	return ""
}

// groupsOf counts the groups of an extended regular expression; false when they do not close.
func groupsOf(s string) (groups int, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '[': // a ] that comes first is one of the set
			i++
			if i < len(s) && s[i] == '^' {
				i++
			}
			if i++; i > len(s) {
				return 0, false
			}
			end := strings.IndexByte(s[i:], ']')
			if end < 0 {
				return 0, false
			}
			i += end
		case '(':
			groups++
			depth++
		case ')':
			depth--
		}
		if depth < 0 {
			return 0, false
		}
	}
	return groups, depth == 0
}
