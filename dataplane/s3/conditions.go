package s3

import (
	"net/http"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// preconditions are those of a read, from its headers or from those of a copy's source.
type preconditions struct {
	match, noMatch            string
	modified, unmodified      string
	hasMatch, hasNoMatch, any bool
}

func (q *request) preconditions(prefix string) (p preconditions) {
	get := func(name string) (string, bool) {
		v := q.r.Header[prefix+name]
		if len(v) == 0 {
			return "", false
		}
		p.any = true
		return strings.Join(v, ","), true
	}
	p.match, p.hasMatch = get("If-Match")
	p.noMatch, p.hasNoMatch = get("If-None-Match")
	p.modified, _ = get("If-Modified-Since")
	p.unmodified, _ = get("If-Unmodified-Since")
	return p
}

// verdict of preconditions.
type verdict uint8

const (
	holds verdict = iota
	notModified
	failed
)

// judge follows RFC 9110 13.2.2: If-Match, else If-Unmodified-Since; then If-None-Match,
// else If-Modified-Since. A date that cannot be read is not there (13.1.3).
func (p *preconditions) judge(tag []byte, modified time.Time) verdict {
	if !p.any {
		return holds
	}
	modified = modified.Truncate(time.Second)
	if p.hasMatch {
		if !matches(p.match, tag) {
			return failed
		}
	} else if t, err := http.ParseTime(p.unmodified); err == nil && modified.After(t) {
		return failed
	}
	if p.hasNoMatch {
		if matches(p.noMatch, tag) {
			return notModified
		}
	} else if t, err := http.ParseTime(p.modified); err == nil && !modified.After(t) {
		return notModified
	}
	return holds
}

// matches compares a list of entity tags, quoted or, as S3 takes them, not.
func matches(list string, tag []byte) bool {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimPrefix(strings.TrimSpace(one), "W/")
		if one == "*" || unquoted(one) == string(tag) {
			return true
		}
	}
	return false
}

func unquoted(tag string) string {
	if len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
		return tag[1 : len(tag)-1]
	}
	return tag
}

// writeCondition is what must hold of the key when a write is applied: If-None-Match: *,
// or If-Match with a tag or "*" (S3 User Guide, "Conditional writes"). The store judges it.
func (q *request) writeCondition() (c store.Condition, err error) {
	if v := q.r.Header["If-None-Match"]; v != nil {
		if len(v) != 1 || v[0] != "*" {
			return c, notImplemented("If-None-Match")
		}
		c.Absent = true
	}
	if v := q.r.Header["If-Match"]; v != nil {
		if c.Absent {
			return c, notImplemented("If-Match")
		}
		c.Exists, c.Match = matchTags(v)
	}
	return c, nil
}

// matchTags makes a condition of If-Match: any row, or one of these tags.
func matchTags(values []string) (exists bool, tags [][]byte) {
	for one := range strings.SplitSeq(strings.Join(values, ","), ",") {
		tag := unquoted(strings.TrimSpace(one))
		if tag == "*" {
			return true, nil
		}
		tags = append(tags, []byte(tag))
	}
	return true, tags
}

// quota adds what the bucket may hold; in any case less than one holds that is being
// deleted (see closing.go).
func (q *request) quota(c store.Condition) store.Condition {
	c.QuotaBytes, c.QuotaRows = openBytes, q.bucket.Quota.GetObjects()
	if n := q.bucket.Quota.GetBytes(); n > 0 {
		c.QuotaBytes = min(n, openBytes)
	}
	return c
}

// failedAs tells the client which of its conditions did not hold.
func failedAs(header string) error { return s3xml.New(s3xml.PreconditionFailed, "Condition", header) }
