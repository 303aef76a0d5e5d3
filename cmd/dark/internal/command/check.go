package command

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/document"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
	"github.com/dark-ecosystem/dark/cmd/dark/internal/suggest"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// documentFields are what a document may hold beside its spec.
var documentFields = append([]string{"kind", "name", "organization", "labels", "spec", "etag"}, serverSet...)

// check finds unknown kinds and fields before anything is sent: here the word that was
// meant can be named, with file and line. All that is wrong is said at once.
func check(docs []*document.Document, kinds []*resourcev1.KindInfo) error {
	var bad []string
	for _, d := range docs {
		bad = append(bad, checkOne(d, kinds)...)
	}
	if bad == nil {
		return nil
	}
	return refused(bad)
}

// refused makes one error of lines that begin with file:line.
func refused(lines []string) error {
	e := &exit.Error{
		Code: exit.Failed, Text: lines[0],
		Next: "mend that and apply again; --dry-run checks without changing anything",
	}
	if len(lines) > 1 {
		e.Text, e.Details = fmt.Sprintf("%d things are wrong; nothing was changed", len(lines)), lines
	}
	return e
}

func checkOne(d *document.Document, kinds []*resourcev1.KindInfo) []string {
	var bad []string
	wrong := func(path, format string, args ...any) {
		bad = append(bad, d.At(path)+": "+fmt.Sprintf(format, args...))
	}
	for _, f := range slices.Sorted(maps.Keys(d.Value)) {
		if !slices.Contains(documentFields, f) {
			wrong(f, "unknown field %q%s", f, suggest.Mean(f, documentFields))
		}
	}
	name := d.Text("kind")
	if name == "" {
		wrong("kind", "a document must say its kind, such as kind: Zone")
		return bad
	}
	k := findKind(kinds, name)
	if k == nil {
		wrong("kind", "%q is not a kind%s", name, suggest.Mean(name, kindNames(kinds)))
		return bad
	}
	if d.Text("name") == "" {
		wrong("name", "a document must have a name, such as name: %s", k.Pattern)
	}
	spec, _ := d.Value["spec"].(map[string]any)
	for _, f := range slices.Sorted(maps.Keys(spec)) {
		if known := specFields(k); len(known) > 0 && !slices.Contains(known, camel(f)) {
			wrong("spec."+f, "unknown field %q in the spec of a %s%s", f, k.Kind, suggest.Mean(f, known))
		}
	}
	return bad
}

// specFields lists the fields of a kind's spec, without what is below them.
func specFields(k *resourcev1.KindInfo) []string {
	var out []string
	for _, f := range k.SpecFields {
		f = strings.TrimPrefix(f, "spec.")
		f, _, _ = strings.Cut(f, ".")
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// camel writes a proto name as proto JSON does; both are accepted in documents.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

// inDocument is how the server names a field of one of several documents.
var inDocument = regexp.MustCompile(`^documents\[(\d+)\]\.?(.*)$`)

// located puts file and line before what the server says of the documents' fields.
func located(err error, docs []*document.Document) error {
	violations := exit.Violations(err)
	if len(violations) == 0 {
		return err
	}
	var lines []string
	for _, v := range violations {
		lines = append(lines, locate(v.Field, v.Description, docs))
	}
	return refused(lines)
}

func locate(field, text string, docs []*document.Document) string {
	d, path := (*document.Document)(nil), field
	if m := inDocument.FindStringSubmatch(field); m != nil {
		if i, err := strconv.Atoi(m[1]); err == nil && i < len(docs) {
			d, path = docs[i], m[2]
		}
	} else if len(docs) == 1 {
		d = docs[0]
	}
	if path != "" {
		text = path + ": " + text
	}
	if d == nil {
		return text
	}
	// Of a value that it could not read the server knows the field, not what it is in.
	if path != "" && !d.Has(path) && d.Has("spec."+path) {
		return d.At("spec."+path) + ": spec." + text
	}
	return d.At(path) + ": " + text
}
