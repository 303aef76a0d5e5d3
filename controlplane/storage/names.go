package storage

import (
	"fmt"
	"net/netip"
	"strings"
)

// bucketIDs is the rule of names of buckets: those that Amazon S3 takes today in all
// regions ("Bucket naming rules" of its user guide), never changed into others.
func (s *Storage) bucketIDs(ids []string) ([]string, error) {
	for _, name := range ids {
		if err := bucketName(name); err != nil {
			return nil, err
		}
		if s.o.CheckName != nil {
			if err := s.o.CheckName(name); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

var (
	reservedPrefixes = []string{"xn--", "sthree-", "amzn-s3-demo-"}
	reservedSuffixes = []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"}
)

func bucketName(name string) error {
	if len(name) < 3 || len(name) > 63 {
		return fmt.Errorf("%q: a bucket's name has 3 to 63 characters", name)
	}
	for _, c := range []byte(name) {
		if !alphanumeric(c) && c != '-' && c != '.' {
			return fmt.Errorf("%q: a bucket's name has lower-case letters, digits, hyphens and dots only", name)
		}
	}
	switch {
	case !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]):
		return fmt.Errorf("%q: a bucket's name begins and ends with a letter or a digit", name)
	case strings.Contains(name, ".."):
		return fmt.Errorf("%q: a bucket's name has no two dots beside each other", name)
	}
	if a, err := netip.ParseAddr(name); err == nil && a.Is4() {
		return fmt.Errorf("%q: a bucket's name is no IP address", name)
	}
	for _, p := range reservedPrefixes {
		if strings.HasPrefix(name, p) {
			return fmt.Errorf("%q: names of buckets that begin with %s are reserved", name, p)
		}
	}
	for _, p := range reservedSuffixes {
		if strings.HasSuffix(name, p) {
			return fmt.Errorf("%q: names of buckets that end with %s are reserved", name, p)
		}
	}
	return nil
}

func alphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }
