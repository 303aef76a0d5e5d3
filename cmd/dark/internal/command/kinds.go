package command

import (
	"context"
	"slices"
	"strings"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/client"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/suggest"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// allKinds asks once which kinds the installation knows.
func (s *session) allKinds(ctx context.Context) ([]*resourcev1.KindInfo, error) {
	if s.kinds != nil {
		return s.kinds, nil
	}
	err := s.call(ctx, func(ctx context.Context, c *client.Client) error {
		r, err := c.Resources.ListKinds(ctx, &resourcev1.ListKindsRequest{})
		s.kinds = r.GetKinds()
		return err
	})
	return s.kinds, err
}

// kind finds a kind by a name that people give it: Zone, zone, zones, record, dark.dns.v1.Zone.
func (s *session) kind(ctx context.Context, name string) (*resourcev1.KindInfo, error) {
	all, err := s.allKinds(ctx)
	if err != nil {
		return nil, err
	}
	if k := findKind(all, name); k != nil {
		return k, nil
	}
	return nil, exit.New(exit.Usage, "dark get kinds", "%q is not a kind%s", name, suggest.Mean(name, kindNames(all)))
}

func findKind(all []*resourcev1.KindInfo, name string) *resourcev1.KindInfo {
	for _, k := range all {
		for _, n := range namesOf(k) {
			if strings.EqualFold(n, name) {
				return k
			}
		}
	}
	return nil
}

// namesOf lists the names of a kind: what people see first, then what they may type.
func namesOf(k *resourcev1.KindInfo) []string {
	c := collection(k)
	return []string{k.Kind, k.Plural, k.FullName, c, strings.TrimSuffix(c, "s"), k.Kind + "s"}
}

func kindNames(all []*resourcev1.KindInfo) []string {
	var out []string
	for _, k := range all {
		out = append(out, k.Kind, k.Plural, collection(k))
	}
	return out
}

// collection is the last fixed part of a kind's pattern: "records" of
// "zones/{zone}/records/{owner}/{type}".
func collection(k *resourcev1.KindInfo) string {
	parts := strings.Split(k.Pattern, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if !isVariable(parts[i]) {
			return parts[i]
		}
	}
	return k.Plural
}

func isVariable(part string) bool { return strings.HasPrefix(part, "{") }

// parentPattern is the pattern of what a kind's resources are in, "" for none.
func parentPattern(k *resourcev1.KindInfo) string {
	c := collection(k)
	if i := strings.Index(k.Pattern, "/"+c+"/"); i > 0 {
		return k.Pattern[:i]
	}
	return ""
}

func variables(pattern string) int { return strings.Count(pattern, "{") }

// fill puts values into a pattern's variables, in order, with "/" and "%" escaped in all
// but what is a full name already.
func fill(pattern string, values []string) string {
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = escape(v)
	}
	return put(pattern, escaped)
}

// put puts values into a pattern's variables, in order, as they are.
func put(pattern string, values []string) string {
	parts := strings.Split(pattern, "/")
	for i, p := range parts {
		if isVariable(p) && len(values) > 0 {
			parts[i], values = values[0], values[1:]
		}
	}
	return strings.Join(parts, "/")
}

// escape keeps an owner such as "0/25" one part of a name (RFC 2317 has such owners).
func escape(v string) string {
	v = strings.ReplaceAll(v, "%", "%25")
	return strings.ReplaceAll(v, "/", "%2F")
}

// spread is the full name of what is named in one word: by a full name or by its variables
// alone, with an owner as it is shown, "/" and all. It is empty for what is neither.
func spread(pattern, name string) string {
	parts, words := strings.Split(pattern, "/"), strings.Split(name, "/")
	if end := len(parts) - 1; end < 1 || !isVariable(parts[end]) || !isVariable(parts[end-1]) {
		return ""
	}
	if words[0] != parts[0] {
		parts = slices.DeleteFunc(parts, func(p string) bool { return !isVariable(p) })
	}
	more, at := len(words)-len(parts), len(parts)-2
	if more < 0 {
		return ""
	}
	owner := strings.Join(words[at:at+more+1], "%2F")
	words = slices.Concat(words[:at], []string{owner}, words[at+more+1:])
	if !sameParts(parts, words) {
		return ""
	}
	var values []string
	for i, p := range parts {
		if isVariable(p) {
			values = append(values, words[i])
		}
	}
	return put(pattern, values)
}

// unescape is the reverse of escape; what is not escaped stays as it is.
func unescape(v string) string { return render.Name(v) }

// address says which resource of a kind is meant, or whose list.
type address struct {
	kind   *resourcev1.KindInfo
	name   string // full name; empty for a list
	parent string // of a list
}

// resolve reads "zones", "zone example.com", "zones/example.com", "records example.com",
// "records example.com www A" and full names.
func (s *session) resolve(ctx context.Context, args []string) (address, error) {
	first, rest := args[0], args[1:]
	if strings.Contains(first, "/") && len(rest) == 0 {
		return s.resolveFull(ctx, first)
	}
	k, err := s.kind(ctx, first)
	if err != nil {
		return address{}, err
	}
	return resolveIn(k, rest)
}

func resolveIn(k *resourcev1.KindInfo, rest []string) (address, error) {
	a := address{kind: k}
	all, above := variables(k.Pattern), variables(parentPattern(k))
	switch {
	case len(rest) == 0:
		return a, nil
	case len(rest) == 1 && matches(k.Pattern, rest[0]):
		a.name = rest[0]
		return a, nil
	case len(rest) == 1 && above > 0 && matches(parentPattern(k), rest[0]):
		a.parent = rest[0]
		return a, nil
	case len(rest) == 1 && spread(k.Pattern, rest[0]) != "": // as documents and lists have it
		a.name = spread(k.Pattern, rest[0])
		return a, nil
	case len(rest) == all:
		a.name = fill(k.Pattern, rest)
		return a, nil
	case above > 0 && len(rest) == above:
		a.parent = fill(parentPattern(k), rest)
		return a, nil
	}
	return a, exit.New(exit.Usage, "dark get "+k.Plural, "the name of a %s has the form %s", k.Kind, k.Pattern)
}

// resolveFull reads a full name given without its kind.
func (s *session) resolveFull(ctx context.Context, name string) (address, error) {
	all, err := s.allKinds(ctx)
	if err != nil {
		return address{}, err
	}
	for _, k := range all {
		if matches(k.Pattern, name) {
			return address{kind: k, name: name}, nil
		}
	}
	for _, k := range all {
		if p := parentPattern(k); p != "" && strings.HasSuffix(name, "/"+collection(k)) &&
			matches(p, strings.TrimSuffix(name, "/"+collection(k))) {
			return address{kind: k, parent: strings.TrimSuffix(name, "/"+collection(k))}, nil
		}
	}
	for _, k := range all {
		root, _, _ := strings.Cut(k.Pattern, "{")
		if full := spread(k.Pattern, name); full != "" && strings.HasPrefix(name, root) {
			return address{kind: k, name: full}, nil
		}
	}
	return address{}, exit.New(exit.Usage, "dark get kinds", "no kind has names of the form %q", name)
}

func matches(pattern, name string) bool {
	p, n := strings.Split(pattern, "/"), strings.Split(name, "/")
	return len(p) == len(n) && sameParts(p, n)
}

func sameParts(pattern, name []string) bool {
	for i := range pattern {
		if name[i] == "" || !isVariable(pattern[i]) && pattern[i] != name[i] {
			return false
		}
	}
	return true
}
