package api

import (
	"errors"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
)

// validator checks the constraints that the protos state.
type validator struct{ v protovalidate.Validator }

func newValidator() (validator, error) {
	v, err := protovalidate.New()
	return validator{v}, err
}

// violations of a message, with the names that its JSON has.
func (v validator) violations(m proto.Message) []kind.Violation {
	err := v.v.Validate(m)
	var bad *protovalidate.ValidationError
	if err == nil {
		return nil
	}
	if !errors.As(err, &bad) {
		return []kind.Violation{{Field: "", Text: err.Error()}}
	}
	var out []kind.Violation
	for _, x := range bad.Violations {
		out = append(out, kind.Violation{
			Field: jsonPath(protovalidate.FieldPathString(x.Proto.GetField())),
			Text:  inWords(x),
		})
	}
	return out
}

// patterns says in words what each pattern of the protos asks for. A test holds it against
// all of them.
var patterns = map[string]string{
	`^[a-z][a-z0-9]*:(read|write|trust|\*)$`: `must be a permission: a service and read, write, trust or *, such as "dns:write"`,
	`^(key|user):[A-Za-z0-9._@-]{1,200}$`: `must be "key:" or "user:" and an id of letters, digits and . _ @ -, ` +
		`such as "key:0123456789abcdef"`,
	`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`: "must be 1 to 63 lower-case letters, digits and hyphens, and neither " +
		"begin nor end with a hyphen",
}

// inWords says what a violation is. The validator's own text shows a pattern as a regular
// expression, and a list with what is only allowed because a field may be left out.
func inWords(x *protovalidate.Violation) string {
	switch x.Proto.GetRuleId() {
	case "string.pattern":
		if words := patterns[x.RuleValue.String()]; words != "" {
			return words
		}
		return "has characters that are not allowed here"
	case "string.in":
		var allowed []string
		for l, i := x.RuleValue.List(), 0; i < l.Len(); i++ {
			if v := l.Get(i).String(); v != "" {
				allowed = append(allowed, v)
			}
		}
		return "must be one of " + strings.Join(allowed, ", ")
	}
	return x.Proto.GetMessage()
}

// request checks a request without the resource in it, which is checked whole when it
// has been merged with what is stored.
func (v validator) request(m proto.Message, resource protoreflect.FieldDescriptor) error {
	if resource != nil && m.ProtoReflect().Has(resource) {
		c := m.ProtoReflect().New()
		m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, val protoreflect.Value) bool {
			if fd != resource {
				c.Set(fd, val)
			}
			return true
		})
		c.Set(resource, c.NewField(resource))
		m = c.Interface()
	}
	vs := v.violations(m)
	if len(vs) == 0 {
		return nil
	}
	fields := make([]errs.Field, len(vs))
	for i, x := range vs {
		fields[i] = errs.Field{Name: x.Field, Text: x.Text}
	}
	return errs.Bad(fields...)
}

// jsonPath writes spec.primary_name_server as spec.primaryNameServer; keys of maps,
// which stand in brackets, stay.
func jsonPath(p string) string {
	var b strings.Builder
	inside, up := false, false
	for _, c := range p {
		switch {
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case c == '_' && !inside:
			up = true
			continue
		}
		if up && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = false
		b.WriteRune(c)
	}
	return b.String()
}
