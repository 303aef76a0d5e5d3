package policy

import (
	"fmt"
	"strings"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Scopes is what an access key may do, compiled. Nil, like no scopes at all, is all that
// its organization may. It is immutable.
type Scopes struct{ list []scope }

type scope struct {
	actions   []string // lower-case globs
	resources []string // globs of BUCKET or BUCKET/KEY; none is all
}

// words are the two names for many actions.
var words = map[string][]string{
	"read": {
		ListAllMyBuckets, ListBucket, ListBucketVersions, ListBucketMultipartUploads, ListMultipartUploadParts,
		GetBucketLocation, GetBucketVersioning, GetObject, GetObjectVersion, GetObjectAttributes,
		GetObjectVersionAttributes, GetObjectTagging, GetObjectVersionTagging,
	},
	"write": {
		PutObject, DeleteObject, DeleteObjectVersion, AbortMultipartUpload, ListMultipartUploadParts,
		ListBucketMultipartUploads, PutObjectTagging, PutObjectVersionTagging, DeleteObjectTagging,
		DeleteObjectVersionTagging,
	},
}

// CompileScopes reads an access key's scopes. As with ARNs, "BUCKET" is the bucket itself
// and "BUCKET/KEY" objects in it; "*" also crosses slashes. What may list the bucket may with
// "BUCKET/PREFIX*" list that prefix.
func CompileScopes(scopes []*storagev1.Scope) (*Scopes, error) {
	if len(scopes) == 0 {
		return nil, nil
	}
	out := &Scopes{}
	for i, s := range scopes {
		c, err := compileScope(s)
		if err != nil {
			return nil, fmt.Errorf("scope %d: %w", i, err)
		}
		out.list = append(out.list, c)
	}
	return out, nil
}

func compileScope(s *storagev1.Scope) (scope, error) {
	var c scope
	for _, a := range s.GetActions() {
		if list, ok := words[a]; ok {
			for _, name := range list {
				c.actions = append(c.actions, strings.ToLower(name))
			}
			continue
		}
		glob, err := compileAction(a)
		if err != nil {
			return c, fmt.Errorf("action %q is none of S3, nor read or write", a)
		}
		c.actions = append(c.actions, glob)
	}
	for _, r := range s.GetResources() {
		r = strings.TrimPrefix(r, "arn:aws:s3:::")
		p, err := compilePattern(r, true, false)
		if err != nil || r == "" || strings.HasPrefix(r, "/") {
			return c, fmt.Errorf("resource %q is neither BUCKET nor BUCKET/KEY", r)
		}
		c.resources = append(c.resources, p.glob)
	}
	return c, nil
}

// Unlimited says that the key may do all that its organization may.
func (s *Scopes) Unlimited() bool { return s == nil }

// Allow says whether the scopes allow a request. One that is about no bucket, such as
// ListAllMyBuckets, needs a scope for all resources.
func (s *Scopes) Allow(q *Request) bool {
	if s == nil {
		return true
	}
	var buf [1200]byte
	resource := append(buf[:0], q.Bucket...)
	if q.Key != "" {
		resource = append(append(resource, '/'), q.Key...)
	}
	for i := range s.list {
		if s.list[i].hasAction(q.Action) && (s.list[i].covers(resource) || s.list[i].lists(q, resource)) {
			return true
		}
	}
	return false
}

// Reach says whether the scopes have an action on the bucket or on some keys of it: such a
// key may know that the bucket is there.
func (s *Scopes) Reach(action, bucket string) bool {
	if s == nil {
		return true
	}
	for i := range s.list {
		if s.list[i].hasAction(action) && (s.list[i].covers([]byte(bucket)) || s.list[i].within(bucket)) {
			return true
		}
	}
	return false
}

func (s *scope) hasAction(action string) bool {
	for _, glob := range s.actions {
		if matchFold(glob, action) {
			return true
		}
	}
	return false
}

// lists: a scope for BUCKET/PREFIX* may list what begins with the prefix, which AWS says with
// two statements, one of them with the condition s3:prefix ("Actions, resources, and
// condition keys for Amazon S3"). The pattern must end with a star: otherwise a key that
// begins with what is listed need not fit it.
func (s *scope) lists(q *Request, bucket []byte) bool {
	switch q.Action {
	case GetBucketLocation:
		return s.within(q.Bucket)
	case ListBucket, ListBucketVersions, ListBucketMultipartUploads:
	default:
		return false
	}
	prefix, _ := q.query("prefix")
	under := append(append(bucket, '/'), prefix...)
	for _, glob := range s.resources {
		if strings.HasSuffix(glob, string([]byte{star})) && match(glob, under) {
			return true
		}
	}
	return false
}

// within: one of the scope's resources is keys of the bucket.
func (s *scope) within(bucket string) bool {
	for _, glob := range s.resources {
		if name, _, ok := strings.Cut(glob, "/"); ok && match(name, bucket) {
			return true
		}
	}
	return false
}

func (s *scope) covers(resource []byte) bool {
	if len(s.resources) == 0 {
		return true
	}
	for _, glob := range s.resources {
		if len(resource) == 0 && onlyStars(glob) || len(resource) > 0 && match(glob, resource) {
			return true
		}
	}
	return false
}

// onlyStars: the pattern fits everything, nothing at all included.
func onlyStars(glob string) bool {
	for i := range len(glob) {
		if glob[i] != 0xff {
			return false
		}
	}
	return true
}
