package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"unicode/utf8"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Limits of rules.
const (
	maxID              = 255  // characters
	maxPrefix          = 1024 // octets
	maxNewerNoncurrent = 100
)

// Validate refuses rules that AWS refuses, with AWS's codes; s3xml.ParseLifecycle has
// already seen to their form. Rules that came without an ID get one, the same for the
// same rules.
func Validate(rules []*storagev1.LifecycleRule) error {
	if len(rules) == 0 || len(rules) > s3xml.MaxLifecycleRules {
		return s3xml.New(s3xml.MalformedXML)
	}
	seen := make(map[string]bool, len(rules))
	for i, r := range rules {
		if r.GetId() == "" {
			r.Id = identify(i, r)
		}
		if seen[r.GetId()] {
			return s3xml.Argument("Rule ID must be unique. Found same ID for one or more rules", "ID", r.GetId())
		}
		seen[r.GetId()] = true
		if err := validateRule(r); err != nil {
			return err
		}
	}
	return nil
}

// identify makes an ID of a rule's place and prefix.
func identify(i int, r *storagev1.LifecycleRule) string {
	sum := sha256.Sum256([]byte(strconv.Itoa(i) + "\x00" + r.GetPrefix()))
	return hex.EncodeToString(sum[:18])
}

func validateRule(r *storagev1.LifecycleRule) error {
	switch {
	case utf8.RuneCountInString(r.GetId()) > maxID:
		return s3xml.Argument("ID length should not exceed allowed limit of 255", "ID", r.GetId())
	case len(r.GetPrefix()) > maxPrefix:
		return invalid("The maximum size of a prefix is 1024.")
	case !acts(r):
		return invalid("At least one action needs to be specified in a rule")
	case countExpirations(r) > 1:
		return s3xml.New(s3xml.MalformedXML)
	case r.GetSizeLessThan() > 0 && r.GetSizeGreaterThan() >= r.GetSizeLessThan():
		return invalid("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	case r.GetExpireDate() != nil && !r.GetExpireDate().AsTime().Equal(r.GetExpireDate().AsTime().Truncate(day)):
		return s3xml.Argument("'Date' must be at midnight GMT", "Date", FormatDate(r.GetExpireDate().AsTime()))
	}
	if err := validateNoncurrent(r); err != nil {
		return err
	}
	return validateFilter(r)
}

func acts(r *storagev1.LifecycleRule) bool {
	return countExpirations(r) > 0 || r.GetNoncurrentDays() > 0 || r.GetAbortUploadDays() > 0
}

func countExpirations(r *storagev1.LifecycleRule) (n int) {
	for _, has := range []bool{r.GetExpireDays() > 0, r.GetExpireDate() != nil, r.GetExpireDeleteMarkers()} {
		if has {
			n++
		}
	}
	return n
}

func validateNoncurrent(r *storagev1.LifecycleRule) error {
	switch n := r.GetNewerNoncurrentVersions(); {
	case n > 0 && r.GetNoncurrentDays() == 0:
		return s3xml.New(s3xml.MalformedXML)
	case n > maxNewerNoncurrent:
		return s3xml.Argument("'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be less than or "+
			"equal to 100",
			"NewerNoncurrentVersions", strconv.FormatUint(uint64(n), 10))
	case n > 0 && r.GetLegacyPrefix():
		return invalid("NewerNoncurrentVersions can only be specified with a Filter element")
	}
	return nil
}

// validateFilter: what has neither tags nor size cannot be filtered by them.
func validateFilter(r *storagev1.LifecycleRule) error {
	for k, v := range r.GetTags() {
		if err := s3xml.CheckTag(k, v); err != nil {
			return err
		}
	}
	switch tagged := len(r.GetTags()) > 0; {
	case r.GetAbortUploadDays() > 0 && tagged:
		return invalid("AbortIncompleteMultipartUpload cannot be specified with Tags.")
	case r.GetAbortUploadDays() > 0 && sized(r):
		return invalid("AbortIncompleteMultipartUpload cannot be specified with Object Size.")
	case r.GetExpireDeleteMarkers() && tagged:
		return invalid("ExpiredObjectDeleteMarker cannot be specified with Tags.")
	case r.GetExpireDeleteMarkers() && sized(r):
		return invalid("ExpiredObjectDeleteMarker cannot be specified with Object Size.")
	}
	return nil
}

func invalid(text string) error { return s3xml.Say(s3xml.InvalidRequest, text) }
