package checksum

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// MaxParts of a multipart object.
const MaxParts = 10_000

// Format is a checksum as headers and XML have it, in base64; "-N" follows the checksum of
// the checksums of N parts (0: it is no such).
func Format(sum []byte, parts int) string {
	text := base64.StdEncoding.EncodeToString(sum)
	if parts > 0 {
		text += "-" + strconv.Itoa(parts)
	}
	return text
}

// Parse reads the checksum of a whole.
func (a Algorithm) Parse(text string) ([]byte, error) {
	sum, ok := a.decode(text)
	if !ok {
		return nil, a.invalid()
	}
	return sum, nil
}

// ParseParts reads a checksum with or without "-N"; parts is 0 without.
func (a Algorithm) ParseParts(text string) (sum []byte, parts int, err error) {
	text, count, composite := strings.Cut(text, "-") // no letter of base64
	if composite {
		if parts, err = strconv.Atoi(count); err != nil || parts < 1 || parts > MaxParts {
			return nil, 0, a.invalid()
		}
	}
	sum, err = a.Parse(text)
	return sum, parts, err
}

func (a Algorithm) decode(text string) ([]byte, bool) {
	if len(text) > 2*MaxSize {
		return nil, false
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(text)
	return sum, err == nil && len(sum) == a.Size()
}

func (a Algorithm) invalid() error {
	return s3xml.Say(s3xml.InvalidRequest, "Value for "+strings.ToLower(a.Header())+" header is invalid.")
}

// ParseMD5 reads Content-MD5 (RFC 1864).
func ParseMD5(text string) (sum [16]byte, err error) {
	if len(text) > 2*len(sum) {
		return sum, s3xml.New(s3xml.InvalidDigest, "Content-MD5", text)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != len(sum) {
		return sum, s3xml.New(s3xml.InvalidDigest, "Content-MD5", text)
	}
	return [16]byte(b), nil
}
