package s3

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3/lifecycle"
	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/internal/kind"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// MaxShredAfter is the longest time that the keys of deleted objects may live on.
const MaxShredAfter = 366 * 24 * time.Hour

// ValidateBucketSpec says what is wrong with a bucket's spec, field by field: what edges
// could not compile, and what AWS would refuse. The control plane admits by it, and edges
// compile with the same code.
func ValidateBucketSpec(spec *storagev1.BucketSpec, name string) []kind.Violation {
	c := specCheck{spec: spec}
	if err := s3xml.CheckBucketName(name); err != nil {
		c.add("name", err)
	}
	_, err := compilePolicy(spec, name)
	c.add("spec.policy", err)
	c.grants()
	for i, r := range spec.GetCorsRules() {
		c.add(fmt.Sprintf("spec.corsRules[%d]", i), s3xml.CheckCORS(r))
	}
	if len(spec.GetLifecycleRules()) > 0 {
		copied := proto.Clone(spec).(*storagev1.BucketSpec) // Validate gives rules without an ID one
		c.add("spec.lifecycleRules", lifecycle.Validate(copied.GetLifecycleRules()))
	}
	c.tags()
	c.enums()
	if b := spec.GetPublicAccessBlock(); b.GetNone() && (b.GetBlockPublicAcls() || b.GetIgnorePublicAcls() ||
		b.GetBlockPublicPolicy() || b.GetRestrictPublicBuckets()) {
		c.add("spec.publicAccessBlock.none", errors.New("there is none, or it blocks something; not both"))
	}
	if d := spec.GetShredAfter(); d != nil && (!d.IsValid() || d.AsDuration() < 0 || d.AsDuration() > MaxShredAfter) {
		c.add("spec.shredAfter", fmt.Errorf("must be between 0 and %d days", MaxShredAfter/(24*time.Hour)))
	}
	return c.found
}

// compilePolicy reads a bucket's policy; nil is none.
func compilePolicy(spec *storagev1.BucketSpec, name string) (*policy.Policy, error) {
	if spec.GetPolicy() == "" {
		return nil, nil
	}
	return policy.Compile([]byte(spec.GetPolicy()), name)
}

// specCheck gathers what is wrong.
type specCheck struct {
	spec  *storagev1.BucketSpec
	found []kind.Violation
}

func (c *specCheck) add(field string, err error) {
	if err == nil {
		return
	}
	text := err.Error()
	if e, ok := errors.AsType[*s3xml.Error](err); ok {
		text = e.Text()
	}
	c.found = append(c.found, kind.Violation{Field: field, Text: text})
}

func (c *specCheck) grants() {
	if c.spec.GetEmptyAcl() && len(c.spec.GetGrants()) > 0 {
		c.add("spec.emptyAcl", errors.New("must be false where there are grants"))
	}
	for i, g := range c.spec.GetGrants() {
		field := fmt.Sprintf("spec.grants[%d]", i)
		if s3xml.IsGroup(g.GetGrantee()) {
			c.add(field+".grantee", s3xml.CheckGroup(g.GetGrantee()))
		} else {
			c.add(field+".grantee", s3xml.CheckCanonicalID(g.GetGrantee()))
		}
		if _, ok := storagev1.Grant_Permission_name[int32(g.GetPermission())]; !ok || g.GetPermission() == 0 {
			c.add(field+".permission", errors.New("must be one of AWS's five"))
		}
	}
}

func (c *specCheck) tags() {
	for k, v := range c.spec.GetTags() {
		c.add("spec.tags["+k+"]", s3xml.CheckTag(k, v))
	}
}

func (c *specCheck) enums() {
	if _, ok := storagev1.BucketSpec_Versioning_name[int32(c.spec.GetVersioning())]; !ok {
		c.add("spec.versioning", errors.New("is not a state of versioning"))
	}
	if _, ok := storagev1.BucketSpec_Ownership_name[int32(c.spec.GetOwnership())]; !ok {
		c.add("spec.ownership", errors.New("is not a kind of ownership"))
	}
	if k := c.spec.GetEncryption().GetEncryptionKey(); k != "" && !strings.HasPrefix(k, "encryptionkeys/") {
		c.add("spec.encryption.encryptionKey", errors.New(`must be a name like "encryptionkeys/NAME"`))
	}
}
