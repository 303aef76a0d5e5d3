// Package document reads the documents that people write for dark apply: YAML with
// several documents in a file, or JSON. It keeps the line of every field, so that an
// error names file:line although the server knows only a field's path.
//
// Parsing is pure and bounded: a file holds at most MaxFile bytes, its documents at most
// perByte values for each byte, aliases included.
package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// MaxFile is the most bytes that one file may have. Large zones go by dark zones import.
	MaxFile = 64 << 20
	// perByte bounds the values of a file by its length, so that aliases cannot multiply
	// without end: without them no file has more values than bytes.
	perByte = 10
	// maxDepth bounds nesting.
	maxDepth = 64
)

// Document is one resource as written.
type Document struct {
	File string // as named on the command line, or "stdin"
	Line int    // where it begins, from 1
	// Value holds only what JSON has: map[string]any, []any, string, float64, bool, nil.
	Value map[string]any
	lines map[string]int // line of each path, such as "spec.records[2]"
}

// Text returns the string at a key of the document's top level, "" if it is none.
func (d *Document) Text(key string) string { s, _ := d.Value[key].(string); return s }

// LineOf returns the line of a path, or of the nearest thing that contains it.
func (d *Document) LineOf(path string) int {
	for path != "" {
		if l, ok := d.lines[normal(path)]; ok {
			return l
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return d.Line
}

// Has tells whether the document has something at a path.
func (d *Document) Has(path string) bool { _, ok := d.lines[normal(path)]; return ok }

// At returns "file:line" of a path.
func (d *Document) At(path string) string { return d.File + ":" + strconv.Itoa(d.LineOf(path)) }

// normal writes a path with JSON names: the server speaks of spec.negativeTtl where
// someone may have written negative_ttl.
func normal(path string) string {
	if !strings.Contains(path, "_") {
		return path
	}
	var b strings.Builder
	up := false
	for _, r := range path {
		if r == '_' {
			up = true
			continue
		}
		if up && r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		up = false
		b.WriteRune(r)
	}
	return b.String()
}

// Error is something wrong with a file.
type Error struct {
	File string
	Line int // 0 when it concerns the file as a whole
	Text string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Text)
}

// Parse reads all documents of a file; empty ones are left out.
func Parse(file string, b []byte) ([]*Document, error) {
	if len(b) > MaxFile {
		return nil, &Error{File: file, Text: fmt.Sprintf("longer than %d MiB; large zones go by: dark zones import "+
			"NAME FILE", MaxFile>>20)}
	}
	if looksLikeJSON(b) {
		return parseJSON(file, b)
	}
	r := &reader{file: file, most: perByte * len(b)}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	for {
		var n yaml.Node
		err := decode(dec, &n)
		if errors.Is(err, io.EOF) {
			return r.docs, nil
		}
		if err != nil {
			return nil, syntaxError(file, err)
		}
		if err := r.add(&n); err != nil {
			return nil, err
		}
	}
}

// decode reads one node. A fault in the YAML library must not end the command without a
// line that says which file it was.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("not YAML: %v", r)
		}
	}()
	return dec.Decode(n)
}

var lineIn = regexp.MustCompile(`^yaml: (?:unmarshal errors:\s*)?line (\d+): `)

func syntaxError(file string, err error) error {
	text := err.Error()
	e := &Error{File: file, Text: strings.TrimPrefix(text, "yaml: ")}
	if m := lineIn.FindStringSubmatch(text); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Text = text[len(m[0]):]
	}
	return e
}

type reader struct {
	file  string
	docs  []*Document
	nodes int
	most  int // values that the file may have
}

// add takes the document below n; a list of resources counts as that many documents.
func (r *reader) add(n *yaml.Node) error {
	if n.Kind == yaml.DocumentNode {
		if len(n.Content) == 0 {
			return nil
		}
		n = n.Content[0]
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind == yaml.SequenceNode {
		for _, c := range n.Content {
			if err := r.add(c); err != nil {
				return err
			}
		}
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return r.bad(n, "a document must be a mapping with kind, name and spec")
	}
	d := &Document{File: r.file, Line: n.Line, lines: map[string]int{}}
	v, err := r.value(d, n, "", 0)
	if err != nil {
		return err
	}
	d.Value = v.(map[string]any)
	r.docs = append(r.docs, d)
	return nil
}

func (r *reader) bad(n *yaml.Node, format string, args ...any) error {
	return &Error{File: r.file, Line: n.Line, Text: fmt.Sprintf(format, args...)}
}

func (r *reader) value(d *Document, n *yaml.Node, path string, depth int) (any, error) {
	if r.nodes++; r.nodes > r.most {
		return nil, r.bad(n, "more than %d values in a file of this length: aliases multiply", r.most)
	}
	if depth > maxDepth {
		return nil, r.bad(n, "nested deeper than %d levels", maxDepth)
	}
	if _, ok := d.lines[path]; !ok && path != "" {
		d.lines[path] = n.Line
	}
	switch n.Kind {
	case yaml.AliasNode:
		return r.value(d, n.Alias, path, depth+1)
	case yaml.MappingNode:
		return r.mapping(d, n, path, depth)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, c := range n.Content {
			v, err := r.value(d, c, path+"["+strconv.Itoa(i)+"]", depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	}
	return r.scalar(n)
}

func (r *reader) mapping(d *Document, n *yaml.Node, path string, depth int) (any, error) {
	out := map[string]any{}
	first := map[string]int{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode {
			return nil, r.bad(k, "a key must be plain text")
		}
		if k.Tag == "!!merge" {
			merged = append(merged, v)
			continue
		}
		if l, ok := first[k.Value]; ok {
			return nil, r.bad(k, "%q is given twice, first on line %d", k.Value, l)
		}
		first[k.Value] = k.Line
		p := below(path, k.Value)
		d.lines[p] = k.Line
		x, err := r.value(d, v, p, depth+1)
		if err != nil {
			return nil, err
		}
		out[k.Value] = x
	}
	for _, m := range merged {
		if err := r.merge(d, out, m, path, depth); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// merge adds what "<<" brings; keys that the mapping itself has stay (YAML merge key).
func (r *reader) merge(d *Document, into map[string]any, n *yaml.Node, path string, depth int) error {
	v, err := r.value(d, n, path+"<<", depth+1)
	if err != nil {
		return err
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, x := range list {
		m, ok := x.(map[string]any)
		if !ok {
			return r.bad(n, "\"<<\" takes a mapping or a list of mappings")
		}
		for k, y := range m {
			if _, has := into[k]; !has {
				into[k] = y
				d.lines[below(path, k)] = n.Line
			}
		}
	}
	return nil
}

func below(path, key string) string {
	key = normal(key)
	if path == "" {
		return key
	}
	return path + "." + key
}

// maxExact is the largest whole number that JSON's numbers hold exactly; larger ones
// travel as text, as proto JSON has them.
const maxExact = 1 << 53

func (r *reader) scalar(n *yaml.Node) (any, error) {
	switch n.Tag {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, r.bad(n, "%q is neither true nor false", n.Value)
		}
		return b, nil
	case "!!int":
		var i int64
		if err := n.Decode(&i); err != nil || i > maxExact || i < -maxExact {
			return n.Value, nil //nolint:nilerr // numbers that float64 does not hold are text in proto JSON
		}
		return float64(i), nil
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || f != f || f-f != 0 { // NaN and infinities are text in proto JSON
			return n.Value, nil //nolint:nilerr // as the comment says
		}
		return f, nil
	}
	return n.Value, nil // text, dates and all else as written
}
