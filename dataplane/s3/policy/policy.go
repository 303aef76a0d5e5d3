package policy

import (
	"strings"
)

// Decision is what a policy says of a request.
type Decision uint8

// The decisions.
const (
	None  Decision = iota // nothing; others may allow it
	Allow                 // a statement allows it and none denies it
	Deny                  // a statement denies it
)

func (d Decision) String() string { return [...]string{"none", "allow", "deny"}[d] }

// Policy is a compiled bucket policy. Nil is no policy. It is immutable.
type Policy struct {
	bucket     string
	statements []statement
	public     bool
	objectTags bool
}

// statement is a compiled statement.
type statement struct {
	allow        bool
	who          *principals
	notWho       bool
	actions      []string // lower-case globs
	notActions   bool
	resources    []pattern // BUCKET or BUCKET/KEY
	notResources bool
	conditions   []condition
}

// Evaluate says what the policy says of the request.
func (p *Policy) Evaluate(q *Request) Decision {
	d, _ := p.evaluate(q)
	return d
}

// evaluate also says how the caller was named, where it is allowed.
func (p *Policy) evaluate(q *Request) (Decision, reach) {
	if p == nil {
		return None, unnamed
	}
	var buf [1200]byte
	resource := append(buf[:0], q.Bucket...)
	if q.Key != "" {
		resource = append(append(resource, '/'), q.Key...)
	}
	d, how := None, unnamed
	for i := range p.statements {
		s := &p.statements[i]
		r := s.matches(q, resource)
		switch {
		case r == unnamed:
		case !s.allow:
			return Deny, unnamed
		default:
			d, how = Allow, max(how, r)
		}
	}
	return d, how
}

// matches says whether the statement is about the request; unnamed is no.
func (s *statement) matches(q *Request, resource []byte) reach {
	if !s.aboutAction(q.Action) || !s.aboutResource(q, resource) {
		return unnamed
	}
	r := s.who.covers(&q.Caller)
	if s.notWho {
		if r != unnamed {
			return unnamed
		}
		r = byName
	}
	if r == unnamed {
		return unnamed
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(q, s.allow) {
			return unnamed
		}
	}
	return r
}

func (s *statement) aboutAction(action string) bool {
	for _, glob := range s.actions {
		if matchFold(glob, action) {
			return !s.notActions
		}
	}
	return s.notActions
}

// aboutResource: with NotResource, an Allow statement whose variable has no value is
// about nothing, so that it never lets anyone in.
func (s *statement) aboutResource(q *Request, resource []byte) bool {
	for i := range s.resources {
		glob, known := s.resources[i].expand(q)
		if !known && s.notResources && s.allow {
			return false
		}
		if known && match(glob, resource) {
			return !s.notResources
		}
	}
	return s.notResources
}

// IsPublic says whether the policy lets in an unlimited set of callers, as block public
// access defines it ("The meaning of public").
func (p *Policy) IsPublic() bool { return p != nil && p.public }

// UsesObjectTags says whether a condition or variable needs Request.ExistingTags.
func (p *Policy) UsesObjectTags() bool { return p != nil && p.objectTags }

// actionLevels says what the actions that a glob names are done to.
func actionLevels(glob string) (bucket, object, known bool) {
	for name, l := range actions {
		if matchFold(glob, name) {
			known = true
			bucket = bucket || l == ofBucket
			object = object || l == ofObject
		}
	}
	return bucket, object, known
}

// compileResource reads an ARN of the bucket or of objects in it; what it gives is
// BUCKET or BUCKET/KEY with wildcards.
func compileResource(arn, bucket string, vars bool) (pattern, error) {
	bad := malformed("Policy has invalid resource").With("Detail", arn)
	var p pattern
	rest, ok := cutARN(arn)
	if !ok {
		return p, bad
	}
	p, err := compilePattern(rest, true, vars)
	if err != nil {
		return p, err
	}
	name, _, _ := strings.Cut(rest, "/")
	if glob, err := compilePattern(name, true, false); err != nil || !match(glob.glob, bucket) {
		return p, bad
	}
	return p, nil
}

// cutARN takes off arn:aws:s3::: or the like of another partition.
func cutARN(arn string) (string, bool) {
	for _, prefix := range []string{"arn:aws:s3:::", "arn:aws-cn:s3:::", "arn:aws-us-gov:s3:::"} {
		if rest, ok := strings.CutPrefix(arn, prefix); ok && rest != "" {
			return rest, true
		}
	}
	return "", false
}
