package api_test

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// constraint is one rule on one field that a method's request can reach.
type constraint struct {
	m     method
	path  []protoreflect.FieldDescriptor
	rule  string                    // such as string.max_len
	value func() protoreflect.Value // breaks the rule; nil means the field is left out
	where string                    // list, key, value: what of the field breaks it
}

func (c constraint) String() string {
	var p []string
	for _, f := range c.path {
		p = append(p, string(f.Name()))
	}
	return c.m.full + " " + strings.Join(p, ".") + " " + c.rule
}

// constraints walks every field that a request has, through its messages.
func constraints(m method, d protoreflect.MessageDescriptor, path []protoreflect.FieldDescriptor) []constraint {
	var out []constraint
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		p := append(path[:len(path):len(path)], fd)
		if r, ok := proto.GetExtension(fd.Options(), validate.E_Field).(*validate.FieldRules); ok && r != nil {
			out = append(out, broken(m, p, fd, r, "")...)
		}
		if fd.Message() != nil && !fd.IsMap() && !fd.IsList() && !strings.HasPrefix(string(fd.Message().FullName()),
			"google.") {
			out = append(out, constraints(m, fd.Message(), p)...)
		}
	}
	return out
}

// broken lists the rules of a field, each with a value that breaks it. A rule that this
// table does not know fails the test: none may be missing.
func broken(m method, path []protoreflect.FieldDescriptor, fd protoreflect.FieldDescriptor, r *validate.FieldRules,
	where string,
) []constraint {
	var out []constraint
	add := func(rule string, v func() protoreflect.Value) {
		out = append(out, constraint{m, path, rule, v, where})
	}
	if r.GetRequired() {
		add("required", nil)
	}
	text := func(n int) func() protoreflect.Value {
		return func() protoreflect.Value { return protoreflect.ValueOfString(strings.Repeat("x", n)) }
	}
	r.ProtoReflect().Range(func(kindOf protoreflect.FieldDescriptor, rules protoreflect.Value) bool {
		if kindOf.Message() == nil {
			return true // required
		}
		rules.Message().Range(func(rule protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			name := where + string(kindOf.Name()) + "." + string(rule.Name())
			switch name[len(where):] {
			case "string.max_len":
				add(name, text(int(v.Uint())+1))
			case "string.min_len":
				add(name, text(int(v.Uint())-1))
			case "string.pattern", "string.in":
				add(name, func() protoreflect.Value { return protoreflect.ValueOfString("NOT: allowed") })
			case "bytes.max_len":
				add(name, func() protoreflect.Value { return protoreflect.ValueOfBytes(make([]byte, v.Uint()+1)) })
			case "bytes.min_len":
				add(name, func() protoreflect.Value { return protoreflect.ValueOfBytes(make([]byte, v.Uint()-1)) })
			case "uint32.lte":
				add(name, func() protoreflect.Value { return protoreflect.ValueOfUint32(uint32(v.Uint()) + 1) })
			case "uint64.gte":
				add(name, func() protoreflect.Value { return protoreflect.ValueOfUint64(v.Uint() - 1) })
			case "int32.lte":
				add(name, func() protoreflect.Value { return protoreflect.ValueOfInt32(int32(v.Int()) + 1) })
			case "int32.gte":
				add(name, func() protoreflect.Value { return protoreflect.ValueOfInt32(int32(v.Int()) - 1) })
			case "repeated.min_items", "map.min_pairs":
				add(name, nil)
			case "repeated.max_items", "map.max_pairs":
				out = append(out, constraint{m, path, name, nil, fmt.Sprintf("many:%d", v.Uint()+1)})
			case "repeated.items":
				out = append(out, broken(m, path, fd, v.Message().Interface().(*validate.FieldRules), "items ")...)
			case "map.keys":
				out = append(out, broken(m, path, fd, v.Message().Interface().(*validate.FieldRules), "keys ")...)
			case "map.values":
				out = append(out, broken(m, path, fd, v.Message().Interface().(*validate.FieldRules), "values ")...)
			default:
				add("unknown rule "+name, nil)
			}
			return true
		})
		return true
	})
	return out
}

// breakIt puts what breaks the rule into a request.
func (c constraint) breakIt(req protoreflect.Message) {
	for _, f := range c.path[:len(c.path)-1] {
		req = req.Mutable(f).Message()
	}
	fd := c.path[len(c.path)-1]
	many := 0
	fmt.Sscanf(c.where, "many:%d", &many)
	switch {
	case many > 0 && fd.IsMap():
		m := req.Mutable(fd).Map()
		for i := range many {
			v := m.NewValue()
			if fd.MapValue().Kind() == protoreflect.StringKind {
				v = protoreflect.ValueOfString("v")
			}
			m.Set(protoreflect.ValueOfString(fmt.Sprintf("k%d", i)).MapKey(), v)
		}
	case many > 0:
		l := req.Mutable(fd).List()
		for range many {
			if fd.Kind() == protoreflect.StringKind {
				l.Append(protoreflect.ValueOfString("v"))
			} else {
				l.Append(l.NewElement())
			}
		}
	case c.value == nil:
		req.Clear(fd)
	case c.where == "items ":
		req.Mutable(fd).List().Append(c.value())
	case c.where == "keys ":
		req.Mutable(fd).Map().Set(c.value().MapKey(), protoreflect.ValueOfString("v"))
	case c.where == "values ":
		req.Mutable(fd).Map().Set(protoreflect.ValueOfString("k").MapKey(), c.value())
	default:
		req.Set(fd, c.value())
	}
}

// byServer are fields of resources that the server sets: what a client says of them is
// not taken, and so not judged.
func byServer(c constraint) bool {
	if len(c.path) < 2 || c.path[0].Message() == nil || c.path[0].Message().Fields().ByName("spec") == nil {
		return false
	}
	switch c.path[1].Name() {
	case "etag", "organization", "status":
		return true
	}
	return false
}

// TestEveryConstraintIsEnforced breaks each constraint of each request that the API
// takes, one at a time, and sees it refused as INVALID_ARGUMENT with the field named.
func TestEveryConstraintIsEnforced(t *testing.T) {
	i := start(t)
	i.organization("acme", "dns:read")
	i.must(200, i.admin, "acme", "POST", "/v1/zones", `{"name":"zones/example.com"}`)
	n, kept := 0, map[string]bool{}
	for _, m := range methods(t, i) {
		if !strings.HasPrefix(m.full, "/dark.") {
			continue
		}
		for _, c := range constraints(m, m.desc.Input(), nil) {
			if strings.Contains(c.rule, "unknown rule") {
				t.Errorf("%s: the table does not know how to break it", c)
			}
			if byServer(c) {
				kept[string(c.path[1].Name())] = true
				continue
			}
			n++
			req := request(m, kindsOf(m)[0]).(*dynamicpb.Message)
			fresh(req)
			c.breakIt(req)
			_, err := i.call(as(t.Context(), i.admin, "acme"), m, req)
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("%s: %v", c, err)
				continue
			}
			if !named(err, c.path[len(c.path)-1]) {
				t.Errorf("%s: the field is not named: %v %v", c, err, status.Convert(err).Details())
			}
			if text := cryptic(err); text != "" {
				t.Errorf("%s: not in words: %s", c, text)
			}
		}
	}
	var ks []string
	for k := range kept {
		ks = append(ks, k)
	}
	sort.Strings(ks)
	t.Logf("%d constraints broken; set by the server and ignored: %v", n, ks)
	if n < 200 {
		t.Errorf("only %d constraints found", n)
	}
}

// fresh makes a request that would pass: it creates what is not yet, or may.
func fresh(req *dynamicpb.Message) {
	f := req.Descriptor().Fields()
	if fd := f.ByName("allow_missing"); fd != nil {
		req.Set(fd, protoreflect.ValueOfBool(true))
		return
	}
	for n := range f.Len() {
		if fd := f.Get(n); req.Has(fd) && fd.Message() != nil && !fd.IsList() &&
			fd.Message().Fields().ByName("spec") != nil {
			name := map[string]string{
				"Zone": "zones/new.example", "ApiKey": "apikeys/new",
				"Organization": "organizations/new", "Bucket": "buckets/new", "AccessKey": "accesskeys/new",
				"EncryptionKey": "encryptionkeys/new",
			}[string(fd.Message().Name())]
			if name != "" {
				req.Mutable(fd).Message().Set(fd.Message().Fields().ByName("name"), protoreflect.ValueOfString(name))
			}
		}
	}
}

// cryptic returns what of a refusal is a regular expression, or the name of a constant, or
// says of a pattern no more than that there is one; "" where all is in words.
func cryptic(err error) string {
	texts := []string{status.Convert(err).Message()}
	for _, d := range status.Convert(err).Details() {
		if br, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range br.FieldViolations {
				texts = append(texts, v.Description)
			}
		}
	}
	for _, text := range texts {
		if notWords.MatchString(text) {
			return text
		}
	}
	return ""
}

var notWords = regexp.MustCompile(
	`regex|[\^$\\]|\{\d|\[[^\d"\]]|\b[A-Z]+_[A-Z_]+\b|characters that are not allowed here|enum`)

func named(err error, fd protoreflect.FieldDescriptor) bool {
	for _, d := range status.Convert(err).Details() {
		br, ok := d.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, v := range br.FieldViolations {
			if strings.Contains(v.Field, fd.JSONName()) {
				return true
			}
		}
	}
	return false
}
