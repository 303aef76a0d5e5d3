package render

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Describe writes a document for reading: a field a line, what is below it indented.
func (s Style) Describe(w io.Writer, doc map[string]any) error {
	var b strings.Builder
	s.describe(&b, doc, "")
	_, err := io.WriteString(w, b.String())
	return err
}

func (s Style) describe(b *strings.Builder, doc map[string]any, indent string) {
	var widest int
	for k, v := range doc {
		if isPlain(v) {
			widest = max(widest, width(k))
		}
	}
	for _, k := range keys(doc) {
		switch v := doc[k].(type) {
		case map[string]any:
			fmt.Fprintf(b, "%s%s\n", indent, s.paint(bold, k+":"))
			s.describe(b, v, indent+"  ")
		case []any:
			fmt.Fprintf(b, "%s%s\n", indent, s.paint(bold, k+":"))
			s.items(b, v, indent+"  ")
		default:
			fmt.Fprintf(b, "%s%s%s%s\n", indent, s.paint(bold, k+":"), strings.Repeat(" ", widest-width(k)+1),
				Clean(Word(k, Cell(v))))
		}
	}
}

func (s Style) items(b *strings.Builder, list []any, indent string) {
	for _, x := range list {
		if m, ok := x.(map[string]any); ok {
			fmt.Fprintf(b, "%s-\n", indent)
			s.describe(b, m, indent+"  ")
			continue
		}
		fmt.Fprintf(b, "%s%s\n", indent, Clean(Cell(x)))
	}
}

func isPlain(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// Word is a cell of a table: of a constant, which documents write in full, it is what differs
// from the field's name, so that CONTROL_SHOWN in status.control reads "shown".
func Word(path, cell string) string {
	var prefix strings.Builder
	for _, r := range path[strings.LastIndexByte(path, '.')+1:] {
		if unicode.IsUpper(r) {
			prefix.WriteByte('_')
		}
		prefix.WriteRune(unicode.ToUpper(r))
	}
	if rest, ok := strings.CutPrefix(cell, prefix.String()+"_"); ok {
		return strings.ToLower(strings.ReplaceAll(rest, "_", " "))
	}
	return cell
}
