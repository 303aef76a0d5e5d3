package admit

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
)

func protoName(s string) protoreflect.Name { return protoreflect.Name(s) }

func isVariable(segment string) bool { return strings.HasPrefix(segment, "{") }

func variables(k *kind.Kind) []string {
	var v []string
	for _, s := range strings.Split(k.Pattern, "/") {
		if isVariable(s) {
			v = append(v, s)
		}
	}
	return v
}

// Canonical returns the canonical name of a resource. name is the whole name,
// "zones/example.com/records/www/A", or its variables alone, "example.com/www/A".
func Canonical(k *kind.Kind, name string) (string, error) {
	ids, ok := match(k, name)
	if !ok {
		return "", errs.Bad(errs.Field{Name: "name", Text: fmt.Sprintf("%q is not a name such as %q", name, k.Pattern)})
	}
	rule := k.NameRule
	if rule == nil {
		rule = plainIDs
	}
	ids, err := rule(ids)
	if err != nil {
		return "", errs.Bad(errs.Field{Name: "name", Text: err.Error()})
	}
	return build(k, ids), nil
}

// match takes the variables out of a name.
func match(k *kind.Kind, name string) ([]string, bool) {
	pattern, got := strings.Split(k.Pattern, "/"), strings.Split(name, "/")
	n := len(variables(k))
	if end := len(pattern) - 1; end > 0 && isVariable(pattern[end]) && isVariable(pattern[end-1]) {
		if got[0] == pattern[0] {
			got = gather(got, len(pattern))
		} else {
			got = gather(got, n)
		}
	}
	if len(got) == n && n < len(pattern) {
		return got, nonEmpty(got)
	}
	if len(got) != len(pattern) {
		return nil, false
	}
	var ids []string
	for i, p := range pattern {
		if isVariable(p) {
			ids = append(ids, got[i])
		} else if p != got[i] {
			return nil, false
		}
	}
	return ids, nonEmpty(ids)
}

// gather makes one segment, the one before the last, of all that are too many: an owner such as
// 0/25 has a slash of its own (RFC 2317), and is typed as it is shown.
func gather(got []string, want int) []string {
	more := len(got) - want
	if more <= 0 {
		return got
	}
	at := want - 2
	owner := strings.Join(got[at:at+more+1], "%2F")
	return slices.Concat(got[:at], []string{owner}, got[at+more+1:])
}

func nonEmpty(ids []string) bool {
	for _, id := range ids {
		if id == "" {
			return false
		}
	}
	return true
}

func build(k *kind.Kind, ids []string) string {
	out := strings.Split(k.Pattern, "/")
	for i, p := range out {
		if isVariable(p) {
			out[i], ids = ids[0], ids[1:]
		}
	}
	return strings.Join(out, "/")
}

// plainIDs is the rule of kinds that have none: letters, digits and hyphens.
func plainIDs(ids []string) ([]string, error) {
	for _, id := range ids {
		if len(id) > 63 {
			return nil, fmt.Errorf("%q has more than 63 characters", id)
		}
		for _, c := range []byte(id) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return nil, fmt.Errorf("%q may have lower-case letters, digits and hyphens only", id)
			}
		}
		if id[0] == '-' || id[len(id)-1] == '-' {
			return nil, fmt.Errorf("%q begins or ends with a hyphen", id)
		}
	}
	return ids, nil
}

// Collection returns the prefix, ending in "/", of the names below a parent. A kind
// without a parent takes "" only. The parent's own kind makes its name canonical.
func (ks *Kinds) Collection(k *kind.Kind, parent string) (string, error) {
	pp, literal := parentPattern(k)
	if pp == "" {
		if parent != "" {
			return "", errs.Bad(errs.Field{Name: "parent", Text: k.Plural + " have no parent"})
		}
		return literal + "/", nil
	}
	for _, p := range ks.list {
		if p.Pattern != pp {
			continue
		}
		name, err := Canonical(p, parent)
		if err != nil {
			return "", errs.Bad(errs.Field{Name: "parent", Text: fmt.Sprintf("%q is not a name such as %q", parent,
				pp)})
		}
		return name + "/" + literal + "/", nil
	}
	return "", errs.New(errs.Internal, "kind %s: no kind has the pattern %s", k.FullName(), pp)
}

// parentPattern splits a pattern before its last collection.
func parentPattern(k *kind.Kind) (parent, literal string) {
	segs := strings.Split(k.Pattern, "/")
	for i := len(segs) - 1; i >= 0; i-- {
		if !isVariable(segs[i]) {
			return strings.Join(segs[:i], "/"), segs[i]
		}
	}
	return "", k.Pattern
}
