package policy

import (
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// isPublic: a policy is public unless each statement that allows something names fixed
// principals, or limits everybody by a condition with fixed values. What denies does not
// count, as at AWS.
func (p *Policy) isPublic() bool {
	for i := range p.statements {
		s := &p.statements[i]
		if s.allow && s.who.any && !s.limited() {
			return true
		}
	}
	return false
}

func (s *statement) limited() bool {
	for i := range s.conditions {
		if s.conditions[i].limits() {
			return true
		}
	}
	return false
}

// limitingKeys are those whose fixed values make a set of callers limited.
var limitingKeys = map[string]bool{
	sourceIP: true, "aws:sourcearn": true, "aws:sourcevpc": true, "aws:sourcevpce": true, "aws:sourceowner": true,
	"aws:sourceaccount": true, "aws:userid": true, "aws:principalorgid": true, "aws:principalaccount": true,
	"aws:principalarn": true, "s3:dataaccesspointarn": true, "s3:dataaccesspointaccount": true,
	"s3:x-amz-server-side-encryption-aws-kms-key-id": true,
}

// limits says whether the condition alone makes the set of callers a limited one.
func (c *condition) limits() bool {
	if !limitingKeys[c.key.name] || c.negated || c.ifExists || c.set == forAll {
		return false
	}
	for i := range c.values {
		if !c.limitedValue(&c.values[i]) {
			return false
		}
	}
	return true
}

func (c *condition) limitedValue(v *conditionValue) bool {
	switch c.compare {
	case address:
		// A very wide range is as good as none: AWS counts those wider than /8 and /32.
		narrow := 8
		if v.prefix.Addr().Is6() {
			narrow = 32
		}
		return v.prefix.Bits() >= narrow
	case text, fold:
		return v.fixed()
	case arn:
		// An access point's ARN may end in a wildcard as long as its account is fixed.
		if c.key.name == "s3:dataaccesspointarn" {
			before, _, _ := strings.Cut(v.glob, ":accesspoint/")
			return v.vars == nil && strings.IndexByte(before, star) < 0 && strings.IndexByte(before, question) < 0
		}
		return v.fixed()
	}
	return false
}

// IsPublicACL says whether a grant is for everybody, or for everybody with a key, which
// is all the same.
func IsPublicACL(grants []*storagev1.Grant) bool {
	for _, g := range grants {
		if g.GetGrantee() == s3xml.AllUsers || g.GetGrantee() == s3xml.AuthenticatedUsers {
			return true
		}
	}
	return false
}
