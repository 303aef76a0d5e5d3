package api

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	resourcev1 "github.com/dark-ecosystem/dark/proto/dark/resource/v1"
)

// document writes a resource as a document: its proto JSON and its kind.
func document(k *kind.Kind, m proto.Message) (*structpb.Struct, error) {
	if m == nil {
		return nil, nil
	}
	b, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write a document of %s: %w", k.ShortName(), err)
	}
	s := &structpb.Struct{}
	if err := protojson.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("write a document of %s: %w", k.ShortName(), err)
	}
	if s.Fields == nil {
		s.Fields = map[string]*structpb.Value{}
	}
	s.Fields["kind"] = structpb.NewStringValue(k.ShortName())
	return s, nil
}

// kindOf finds the kind that a document names.
func (c *core) kindOf(d *structpb.Struct) (*kind.Kind, error) {
	name := d.GetFields()["kind"].GetStringValue()
	if name == "" {
		return nil, errs.Bad(errs.Field{Name: "kind", Text: "a document must say its kind"})
	}
	return c.find(name)
}

// find finds a kind by any of its names and, when there is none, names one that is near.
func (c *core) find(name string) (*kind.Kind, error) {
	if k, ok := c.kinds.Find(name); ok {
		return k, nil
	}
	text := fmt.Sprintf("%q is not a kind", name)
	if near := nearest(name, c.kinds.All()); near != "" {
		text += fmt.Sprintf("; did you mean %s?", near)
	}
	return nil, errs.Bad(errs.Field{Name: "kind", Text: text})
}

// nearest returns the short name that shares the longest beginning with name.
func nearest(name string, ks []*kind.Kind) string {
	best, n := "", 2
	for _, k := range ks {
		i := 0
		a, b := strings.ToLower(name), strings.ToLower(k.ShortName())
		for i < len(a) && i < len(b) && a[i] == b[i] {
			i++
		}
		if i > n {
			best, n = k.ShortName(), i
		}
	}
	return best
}

// resource reads a document; a field that the kind does not have is refused by name.
func resource(k *kind.Kind, d *structpb.Struct) (proto.Message, error) {
	rest := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	for f, v := range d.GetFields() {
		if f != "kind" {
			rest.Fields[f] = v
		}
	}
	b, err := protojson.Marshal(rest)
	if err != nil {
		return nil, errs.New(errs.Invalid, "the document is no JSON: %v", err)
	}
	m := admit.New(k)
	if err := protojson.Unmarshal(b, m); err != nil {
		return nil, decodeError(err)
	}
	return m, nil
}

// decodeError names the field of a document that could not be read.
func decodeError(err error) error {
	text := err.Error()
	if i := strings.Index(text, "): "); strings.HasPrefix(text, "proto:") && i > 0 {
		text = text[i+3:]
	}
	if m := unknownField.FindStringSubmatch(text); m != nil {
		return errs.Bad(errs.Field{Name: m[1], Text: "unknown field"})
	}
	if _, after, ok := strings.Cut(text, "field "); ok {
		return errs.Bad(errs.Field{Name: strings.TrimRight(strings.Fields(after)[0], ":"), Text: text})
	}
	return errs.New(errs.Invalid, "%s", text)
}

var actions = map[admit.Action]resourcev1.Change_Action{
	admit.Unchanged: resourcev1.Change_ACTION_UNCHANGED, admit.Create: resourcev1.Change_ACTION_CREATE,
	admit.Update: resourcev1.Change_ACTION_UPDATE, admit.Delete: resourcev1.Change_ACTION_DELETE,
}

// change writes a change with what people decide on both sides; what the server says
// of a resource is not part of it, so that a dry run tells exactly what apply will.
func change(k *kind.Kind, action admit.Action, name string, before, after proto.Message,
	revision uint64,
) (*resourcev1.Change, error) {
	c := &resourcev1.Change{Action: actions[action], Kind: k.ShortName(), Name: name}
	if action != admit.Unchanged {
		c.Revision = revision
	}
	var err error
	if before != nil {
		if c.Before, err = document(k, admit.Desired(before)); err != nil {
			return nil, err
		}
	}
	if after != nil {
		c.After, err = document(k, admit.Desired(after))
	}
	return c, err
}

// kinds returns the one kind of a name, or for "" all that the caller may verb.
func (c *core) kindsFor(ctx context.Context, name, verb string) ([]*kind.Kind, error) {
	if name != "" {
		k, err := c.find(name)
		return []*kind.Kind{k}, err
	}
	var out []*kind.Kind
	for _, k := range c.kinds.All() {
		if askedOf(ctx).caller.May(k, verb) {
			out = append(out, k)
		}
	}
	return out, nil
}
