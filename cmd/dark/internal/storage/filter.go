package storage

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// filter says which names of a folder are meant.
type filter struct {
	include, exclude []string
	in, out          []pattern
}

// pattern is a glob: "*" and "?" stay within a part of the name, "**" does not. Without a
// "/" it is for the last part alone.
type pattern struct {
	whole bool
	re    *regexp.Regexp
}

// maxPattern bounds one pattern, as keys are bounded.
const maxPattern = maxKey

func (f *filter) flags(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.include, "include", nil, "only names like this: *.jpg, docs/**; may be repeated")
	c.Flags().StringArrayVar(&f.exclude, "exclude", nil, "no names like this, whatever --include says; may be repeated")
}

// compile must be called before match.
func (f *filter) compile() (err error) {
	if f.in, err = compileAll(f.include); err != nil {
		return err
	}
	f.out, err = compileAll(f.exclude)
	return err
}

func compileAll(globs []string) ([]pattern, error) {
	var out []pattern
	for _, g := range globs {
		if g == "" || len(g) > maxPattern {
			return nil, usage("--include '*.jpg'", "a pattern has 1 to %d bytes", maxPattern)
		}
		re, err := regexp.Compile(expression(g))
		if err != nil {
			return nil, usage("--include '*.jpg'", "the pattern %q cannot be read", g)
		}
		out = append(out, pattern{strings.Contains(g, "/"), re})
	}
	return out, nil
}

// expression turns a glob into a regular expression.
func expression(glob string) string {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(glob); {
		switch {
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(`.*`)
			i += 2
		case glob[i] == '*':
			b.WriteString(`[^/]*`)
			i++
		case glob[i] == '?':
			b.WriteString(`[^/]`)
			i++
		default:
			end := i + strings.IndexAny(glob[i:]+"*", "*?")
			b.WriteString(regexp.QuoteMeta(glob[i:end]))
			i = end
		}
	}
	b.WriteString(`\z`)
	return b.String()
}

func (f *filter) match(rel string) bool {
	if len(f.in) > 0 && !matchAny(f.in, rel) {
		return false
	}
	return !matchAny(f.out, rel)
}

func matchAny(list []pattern, rel string) bool {
	for _, p := range list {
		name := rel
		if !p.whole {
			name = lastPart(rel)
		}
		if p.re.MatchString(name) {
			return true
		}
	}
	return false
}
