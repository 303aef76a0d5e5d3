// Package render writes what dark prints: tables, documents in JSON and YAML, and the
// differences between two versions of a resource. Everything is a pure function of its
// arguments and a writer; colours are used only where the Style says so.
package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Style says how differences are shown.
type Style struct{ Colour bool }

const (
	red, green, yellow, bold, plain = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
)

func (s Style) paint(colour, text string) string {
	if !s.Colour {
		return text
	}
	return colour + text + plain
}

// Table writes rows in aligned columns.
type Table struct {
	widths []int
	rows   [][]string
}

// NewTable makes a table with headings.
func NewTable(titles ...string) *Table {
	t := &Table{rows: [][]string{titles}}
	for _, h := range titles {
		t.widths = append(t.widths, width(h))
	}
	return t
}

// maxCell keeps one long cell from pushing the rest of its table off the screen.
const maxCell = 60

// Row adds a row; missing cells are empty.
func (t *Table) Row(cells ...string) {
	row := make([]string, len(t.widths))
	copy(row, cells)
	for i, c := range row {
		row[i] = Clean(c)
		if i < len(row)-1 {
			row[i] = cut(row[i])
		}
		if row[i] == "" {
			row[i] = "-"
		}
		t.widths[i] = max(t.widths[i], width(row[i]))
	}
	t.rows = append(t.rows, row)
}

// Flush writes the rows added since the last Flush, under headings the first time.
func (t *Table) Flush(w io.Writer) error {
	var b strings.Builder
	for _, row := range t.rows {
		var line strings.Builder
		for i, c := range row {
			if i > 0 {
				line.WriteString("  ")
			}
			line.WriteString(c + strings.Repeat(" ", max(t.widths[i]-width(c), 0)))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	t.rows = t.rows[:0]
	_, err := io.WriteString(w, b.String())
	return err
}

func width(s string) int { return len([]rune(s)) }

func cut(s string) string {
	if r := []rune(s); len(r) > maxCell {
		return string(r[:maxCell-1]) + "…"
	}
	return s
}

// Clean keeps control characters, which a server's text may hold, from the terminal.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// Name is a resource's name as people type it: an owner such as 0/25 has its own slash
// (RFC 2317), which the name carries as %2F.
func Name(name string) string {
	if u, err := url.PathUnescape(name); err == nil {
		return u
	}
	return name
}

// Value returns what is at a path such as "spec.ttl" of a document, for a table.
func Value(doc map[string]any, path string) string {
	var v any = doc
	for _, key := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[key]
	}
	return Cell(v)
}

// Cell writes a value in one line.
func Cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return Moment(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		var out []string
		for _, x := range v {
			out = append(out, Cell(x))
		}
		return strings.Join(out, ", ")
	case map[string]any:
		var out []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out = append(out, k+"="+Cell(v[k]))
		}
		return strings.Join(out, ",")
	}
	return fmt.Sprint(v)
}

// Moment shortens a time in RFC 3339 to seconds; other text stays as it is.
func Moment(s string) string {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[10] != 'T' {
		return s
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return s
	}
	return Time(t)
}

// Time writes a time as all of dark's tables do: UTC, to the second.
func Time(t time.Time) string {
	if t.Unix() <= 0 {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05Z")
}

// JSON writes a value indented, with a line's end.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Element writes a value as JSON has it within an indented list, without a line's end.
func Element(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("  ", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return err
}

// JSONLine writes a value in one line.
func JSONLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// YAML writes one document; the order is that in which people read a resource.
func YAML(w io.Writer, v any) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if m, ok := v.(map[string]any); ok {
		v = ordered(m)
	}
	if err := enc.Encode(v); err != nil {
		return err
	}
	return enc.Close()
}

// first are the keys with which a document begins; the others follow by name.
var first = []string{"kind", "name", "organization", "labels", "spec"}

func ordered(m map[string]any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range keys(m) {
		var key, value yaml.Node
		key.SetString(k)
		if err := value.Encode(whole(m[k])); err != nil {
			value.SetString(fmt.Sprint(m[k]))
		}
		n.Content = append(n.Content, &key, &value)
	}
	return n
}

func keys(m map[string]any) []string {
	var out []string
	for _, k := range first {
		if _, ok := m[k]; ok {
			out = append(out, k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(first, k) {
			out = append(out, k)
		}
	}
	return out
}

// whole turns numbers without a fraction into integers, as people write them.
func whole(v any) any {
	switch v := v.(type) {
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = whole(v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		for k := range v {
			out[k] = whole(v[k])
		}
		return out
	}
	return v
}

// Plain turns a message into the values of its proto JSON, fields without a value included.
func Plain(m proto.Message) (map[string]any, error) {
	return fromMessage(protojson.MarshalOptions{EmitDefaultValues: true}, m)
}

// Sparse is Plain without the fields that have no value.
func Sparse(m proto.Message) (map[string]any, error) {
	return fromMessage(protojson.MarshalOptions{}, m)
}

func fromMessage(o protojson.MarshalOptions, m proto.Message) (map[string]any, error) {
	b, err := o.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	out := map[string]any{}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("write %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return out, nil
}
