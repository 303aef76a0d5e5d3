package s3xml

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Limits of names.
const (
	MaxKey      = 1024    // octets of an object key
	MaxMetadata = 2 << 10 // octets of all names and values of x-amz-meta-*
)

// Prefixes and suffixes that AWS reserves ("General purpose bucket naming rules").
var (
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

// CheckBucketName refuses with InvalidBucketName what AWS does not take as the name of a
// general purpose bucket: 3 to 63 of a-z, 0-9, "." and "-", beginning and ending with a
// letter or digit, no two dots in a row, not the form of an IPv4 address, nothing reserved.
func CheckBucketName(s string) error {
	if len(s) < 3 || len(s) > 63 || !bucketCharacters(s) || strings.Contains(s, "..") || reserved(s) || isIPv4(s) {
		return New(InvalidBucketName, "BucketName", s)
	}
	return nil
}

func bucketCharacters(s string) bool {
	for i := range len(s) {
		c := s[i]
		if alnum := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'; alnum {
			continue
		}
		if c != '.' && c != '-' || i == 0 || i == len(s)-1 {
			return false
		}
	}
	return true
}

func reserved(s string) bool {
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	for _, p := range reservedSuffixes {
		if strings.HasSuffix(s, p) {
			return true
		}
	}
	return false
}

// isIPv4 also sees forms with leading zeros, which some resolvers take for addresses.
func isIPv4(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Is4()
	}
	parts := strings.Split(s, ".")
	if len(parts) != 4 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

// CheckKey refuses what AWS does not take as an object key: more than 1,024 octets
// (KeyTooLongError), and what is not UTF-8 (InvalidURI). Everything else is a key, "..",
// "//" and control characters too; an empty one is the bucket's, so the caller never asks.
func CheckKey(key string) error {
	switch {
	case len(key) > MaxKey:
		return New(KeyTooLongError, "Size", decimal(len(key)), "MaxSizeAllowed", decimal(MaxKey))
	case !utf8.ValidString(key):
		return Say(InvalidURI, "Couldn't parse the specified URI.").With("URI", strings.ToValidUTF8(key, "\uFFFD"))
	}
	return nil
}

// CheckMetadata refuses with MetadataTooLarge user metadata, names without x-amz-meta-, of
// more than 2 KB.
func CheckMetadata(metadata map[string]string) error {
	size := 0
	for k, v := range metadata {
		size += len(k) + len(v)
	}
	if size > MaxMetadata {
		return New(MetadataTooLarge, "Size", decimal(size), "MaxSizeAllowed", decimal(MaxMetadata))
	}
	return nil
}
