package s3xml

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of tags ("Categorizing your storage using tags"); lengths in characters.
const (
	MaxObjectTags = 10
	MaxBucketTags = 50
	MaxTagKey     = 128
	MaxTagValue   = 256
)

// ParseTagging reads the document of PutObjectTagging (limit MaxObjectTags) and
// PutBucketTagging (MaxBucketTags).
func ParseTagging(doc []byte, limit int) (map[string]string, error) {
	root, err := parse(doc, "Tagging", 500)
	if err != nil {
		return nil, err
	}
	var tags map[string]string
	err = root.fields(map[string]func(*node) error{"TagSet": func(n *node) (err error) {
		tags, err = tagList(n, limit)
		return err
	}})
	if err == nil && tags == nil {
		err = unexpected(root)
	}
	if err != nil {
		return nil, err
	}
	return tags, nil
}

// tagList reads Tag elements; the map is never nil.
func tagList(n *node, limit int) (map[string]string, error) {
	tags := map[string]string{}
	err := n.fields(map[string]func(*node) error{"Tag*": func(n *node) error {
		k, v, err := tag(n)
		if err != nil {
			return err
		}
		return addTag(tags, k, v, limit)
	}})
	return tags, err
}

func tag(n *node) (key, value string, err error) {
	hasValue := false
	err = n.fields(map[string]func(*node) error{
		"Key":   into(&key),
		"Value": func(n *node) error { hasValue = true; return into(&value)(n) },
	})
	if err == nil && (!hasValue || len(n.kids) != 2) {
		err = unexpected(n)
	}
	return key, value, err
}

func addTag(tags map[string]string, k, v string, limit int) error {
	if err := CheckTag(k, v); err != nil {
		return err
	}
	if _, twice := tags[k]; twice {
		return Say(InvalidTag, "Cannot provide multiple Tags with the same key", "TagKey", k)
	}
	if len(tags) == limit {
		if limit == MaxObjectTags {
			return Say(BadRequest, "Object tags cannot be greater than 10")
		}
		return Say(BadRequest, "Bucket tag count cannot be greater than 50")
	}
	tags[k] = v
	return nil
}

// ParseTagHeader reads x-amz-tagging: tags of an object as a URL query.
func ParseTagHeader(s string) (map[string]string, error) {
	bad := Argument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "+
		"without tag name duplicates.",
		"x-amz-tagging", s)
	tags := map[string]string{}
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err1 != nil || err2 != nil {
			return nil, bad
		}
		if _, twice := tags[key]; twice {
			return nil, bad
		}
		if err := addTag(tags, key, value, MaxObjectTags); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// CheckTag refuses with InvalidTag what AWS does not take as a tag: a key of 1 to 128 and
// a value of up to 256 characters, of letters, digits, spaces and + - = . _ : / @, and no
// key of AWS's own.
func CheckTag(k, v string) error {
	switch {
	case k == "" || utf8.RuneCountInString(k) > MaxTagKey || !tagText(k):
		return Say(InvalidTag, "The TagKey you have provided is invalid", "TagKey", k)
	case utf8.RuneCountInString(v) > MaxTagValue || !tagText(v):
		return Say(InvalidTag, "The TagValue you have provided is invalid", "TagKey", k, "TagValue", v)
	case len(k) >= 4 && strings.EqualFold(k[:4], "aws:"):
		return Say(InvalidTag, "System tags cannot be added/updated by requester", "TagKey", k)
	}
	return nil
}

func tagText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.In(r, unicode.L, unicode.N, unicode.M, unicode.Z) && !strings.ContainsRune("+-=._:/@", r) {
			return false
		}
	}
	return true
}
