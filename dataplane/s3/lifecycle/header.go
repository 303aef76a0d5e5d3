package lifecycle

import (
	"net/http"
	"strings"
	"time"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

const upperhex = "0123456789ABCDEF"

// ExpirationHeader is the value of x-amz-expiration for the current version of an object;
// empty if no rule ends it. The rule's ID is URL-encoded, as at AWS.
func ExpirationHeader(rules []*storagev1.LifecycleRule, v *Version) string {
	due, rule, ok := Expiration(rules, v)
	if !ok {
		return ""
	}
	return `expiry-date="` + FormatDate(due) + `", rule-id="` + encodeID(rule) + `"`
}

// FormatDate is a date as headers have it (RFC 9110 5.6.7).
func FormatDate(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// encodeID leaves no octet in an ID that could end the quoted string or the header.
func encodeID(id string) string {
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', upperhex[c>>4], upperhex[c&15]})
		}
	}
	return b.String()
}
