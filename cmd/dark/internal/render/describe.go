package render

import (
	"fmt"
	"io"
	"strings"
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
				Clean(Cell(v)))
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
