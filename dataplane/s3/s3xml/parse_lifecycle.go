package s3xml

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// MaxLifecycleRules is how many rules a bucket may have.
const MaxLifecycleRules = 1000

// ParseLifecycle reads the document of PutBucketLifecycleConfiguration as far as its form
// goes; whether the rules make sense is lifecycle.Validate's to say. Transitions are
// NotImplemented: there is one storage class.
func ParseLifecycle(doc []byte) ([]*storagev1.LifecycleRule, error) {
	root, err := parse(doc, "LifecycleConfiguration", maxConfigNodes)
	if err != nil {
		return nil, err
	}
	var rules []*storagev1.LifecycleRule
	err = root.fields(map[string]func(*node) error{"Rule*": func(n *node) error {
		if len(rules) == MaxLifecycleRules {
			return malformed(fmt.Errorf("more than %d rules", MaxLifecycleRules))
		}
		r, err := lifecycleRule(n)
		rules = append(rules, r)
		return err
	}})
	if err == nil && len(rules) == 0 {
		err = unexpected(root)
	}
	if err != nil {
		return nil, err
	}
	return rules, nil
}

// ruleReader collects one rule and what must be known of its form.
type ruleReader struct {
	r      *storagev1.LifecycleRule
	filter bool
	status string
}

func lifecycleRule(n *node) (*storagev1.LifecycleRule, error) {
	p := ruleReader{r: &storagev1.LifecycleRule{}}
	err := n.fields(map[string]func(*node) error{
		"ID":                             into(&p.r.Id),
		"Prefix":                         p.legacyPrefix,
		"Filter":                         p.readFilter,
		"Status":                         into(&p.status),
		"Expiration":                     p.expiration,
		"NoncurrentVersionExpiration":    p.noncurrent,
		"AbortIncompleteMultipartUpload": p.abort,
		"Transition*":                    transition,
		"NoncurrentVersionTransition*":   transition,
	})
	if err != nil {
		return nil, err
	}
	// A rule has one of Prefix and Filter, not both.
	if p.filter == p.r.LegacyPrefix || p.status != "Enabled" && p.status != "Disabled" {
		return nil, unexpected(n)
	}
	p.r.Enabled = p.status == "Enabled"
	return p.r, nil
}

func transition(n *node) error {
	return Say(NotImplemented, "Transitions to other storage classes are not implemented", "Element", n.name)
}

func (p *ruleReader) legacyPrefix(n *node) error {
	p.r.LegacyPrefix = true
	return into(&p.r.Prefix)(n)
}

// readFilter takes one condition, or several within And.
func (p *ruleReader) readFilter(n *node) error {
	p.filter = true
	if len(n.kids) > 1 {
		return unexpected(n)
	}
	take := p.conditions()
	take["And"] = func(n *node) error {
		if len(n.kids) < 2 {
			return unexpected(n)
		}
		take := p.conditions()
		take["Tag*"] = take["Tag"]
		delete(take, "Tag")
		return n.fields(take)
	}
	return n.fields(take)
}

func (p *ruleReader) conditions() map[string]func(*node) error {
	return map[string]func(*node) error{
		"Prefix":                into(&p.r.Prefix),
		"Tag":                   p.tag,
		"ObjectSizeGreaterThan": p.bound("ObjectSizeGreaterThan", &p.r.SizeGreaterThan),
		"ObjectSizeLessThan":    p.bound("ObjectSizeLessThan", &p.r.SizeLessThan),
	}
}

func (p *ruleReader) tag(n *node) error {
	k, v, err := tag(n)
	if err != nil {
		return err
	}
	if p.r.Tags == nil {
		p.r.Tags = map[string]string{}
	}
	if _, twice := p.r.Tags[k]; twice {
		return Say(InvalidRequest, "Duplicate Tag Keys are not allowed.")
	}
	return addTag(p.r.Tags, k, v, MaxObjectTags)
}

// bound takes 1 and more: the stored rule has 0 for "any", and a rule for what is larger
// than 0 must not end up deleting empty objects.
func (p *ruleReader) bound(name string, v *uint64) func(*node) error {
	return func(n *node) error {
		var size int64
		if err := intInto(&size)(n); err != nil {
			return err
		}
		if size < 1 {
			return Argument("'"+name+"' must be a positive integer", name, n.text)
		}
		*v = uint64(size)
		return nil
	}
}

// days takes a positive number, and says so in AWS's words.
func days(action, element string, v *uint32) func(*node) error {
	return func(n *node) error {
		var d int64
		if err := intInto(&d)(n); err != nil {
			return err
		}
		if d < 1 || d > math.MaxInt32 {
			return Argument(fmt.Sprintf("'%s' for %s action must be a positive integer", element, action), element,
				n.text)
		}
		*v = uint32(d)
		return nil
	}
}

func (p *ruleReader) expiration(n *node) error {
	// Days, Date and ExpiredObjectDeleteMarker exclude one another.
	if len(n.kids) != 1 {
		return unexpected(n)
	}
	return n.fields(map[string]func(*node) error{
		"Days":                      days("Expiration", "Days", &p.r.ExpireDays),
		"Date":                      p.date,
		"ExpiredObjectDeleteMarker": boolInto(&p.r.ExpireDeleteMarkers),
	})
}

func (p *ruleReader) date(n *node) error {
	var t time.Time
	if err := timeInto(&t)(n); err != nil {
		return err
	}
	if !t.Equal(t.Truncate(24 * time.Hour)) {
		return Argument("'Date' must be at midnight GMT", "Date", n.text)
	}
	p.r.ExpireDate = timestamppb.New(t)
	return nil
}

func (p *ruleReader) noncurrent(n *node) error {
	err := n.fields(map[string]func(*node) error{
		"NoncurrentDays": days("NoncurrentVersionExpiration", "NoncurrentDays", &p.r.NoncurrentDays),
		"NewerNoncurrentVersions": days("NoncurrentVersionExpiration", "NewerNoncurrentVersions",
			&p.r.NewerNoncurrentVersions),
	})
	if err == nil && p.r.NoncurrentDays == 0 {
		err = unexpected(n)
	}
	return err
}

func (p *ruleReader) abort(n *node) error {
	err := n.fields(map[string]func(*node) error{
		"DaysAfterInitiation": days("AbortIncompleteMultipartUpload", "DaysAfterInitiation", &p.r.AbortUploadDays),
	})
	if err == nil && p.r.AbortUploadDays == 0 {
		err = unexpected(n)
	}
	return err
}
