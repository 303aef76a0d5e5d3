package render

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// unsaid are fields that change with every write, or are said already; they tell nothing
// of what was decided.
var unsaid = []string{"kind", "name", "organization", "etag", "revision", "createTime", "updateTime"}

// Changes writes what changed, field by field, and a summary. The same changes give the
// same text whether they were made or only tried.
func (s Style) Changes(w io.Writer, changes []*resourcev1.Change) error {
	var b strings.Builder
	count := map[resourcev1.Change_Action]int{}
	for _, c := range changes {
		count[c.Action]++
		s.change(&b, c)
	}
	b.WriteString(summary(count) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func summary(count map[resourcev1.Change_Action]int) string {
	var parts []string
	for _, p := range []struct {
		a    resourcev1.Change_Action
		word string
	}{
		{resourcev1.Change_ACTION_CREATE, "created"},
		{resourcev1.Change_ACTION_UPDATE, "changed"},
		{resourcev1.Change_ACTION_DELETE, "deleted"},
		{resourcev1.Change_ACTION_UNCHANGED, "unchanged"},
	} {
		if count[p.a] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[p.a], p.word))
		}
	}
	if parts == nil {
		return "no difference"
	}
	return strings.Join(parts, ", ")
}

func (s Style) change(b *strings.Builder, c *resourcev1.Change) {
	mark, colour := s.mark(c.Action)
	if c.Action == resourcev1.Change_ACTION_UNCHANGED {
		return
	}
	fmt.Fprintf(b, "%s %s\n", s.paint(colour, mark), s.paint(bold, Clean(c.Kind+" "+Name(c.Name))))
	before, after := flatten(c.Before.AsMap()), flatten(c.After.AsMap())
	for _, f := range fields(before, after) {
		old, hadOld := before[f]
		now, hasNew := after[f]
		if hadOld && hasNew && slices.Equal(old, now) {
			continue
		}
		minus, plus := onlyIn(old, now), onlyIn(now, old)
		if len(minus) == 0 && len(plus) == 0 { // the same values in another order
			minus, plus = old, now
		}
		for _, v := range minus {
			fmt.Fprintf(b, "    %s\n", s.paint(red, "- "+Clean(f+": "+v)))
		}
		for _, v := range plus {
			fmt.Fprintf(b, "    %s\n", s.paint(green, "+ "+Clean(f+": "+v)))
		}
	}
}

func (s Style) mark(a resourcev1.Change_Action) (mark, colour string) {
	switch a {
	case resourcev1.Change_ACTION_CREATE:
		return "+", green
	case resourcev1.Change_ACTION_DELETE:
		return "-", red
	case resourcev1.Change_ACTION_UNCHANGED:
		return "=", plain
	}
	return "~", yellow
}

// Action writes an action in a word.
func Action(a resourcev1.Change_Action) string {
	switch a {
	case resourcev1.Change_ACTION_CREATE:
		return "create"
	case resourcev1.Change_ACTION_UPDATE:
		return "update"
	case resourcev1.Change_ACTION_DELETE:
		return "delete"
	case resourcev1.Change_ACTION_UNCHANGED:
		return "unchanged"
	}
	return "-"
}

// flatten maps each path of a document to its values: one, or those of a list of plain values.
func flatten(doc map[string]any) map[string][]string {
	out := map[string][]string{}
	for k, v := range doc {
		if !slices.Contains(unsaid, k) {
			flattenInto(out, k, v)
		}
	}
	return out
}

func flattenInto(out map[string][]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			flattenInto(out, path+"."+k, x)
		}
	case []any:
		for i, x := range v {
			if m, ok := x.(map[string]any); ok {
				flattenInto(out, fmt.Sprintf("%s[%d]", path, i), m)
				continue
			}
			out[path] = append(out[path], Cell(x))
		}
	default:
		out[path] = []string{Cell(v)}
	}
}

func fields(a, b map[string][]string) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

// onlyIn returns the values of a that b lacks, each as often as it is lacking.
func onlyIn(a, b []string) []string {
	left := map[string]int{}
	for _, v := range b {
		left[v]++
	}
	var out []string
	for _, v := range a {
		if left[v]--; left[v] < 0 {
			out = append(out, v)
		}
	}
	return out
}
