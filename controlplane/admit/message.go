package admit

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dark-ecosystem/dark/internal/kind"
)

// Decode reads a stored value of a kind.
func Decode(fullName string, value []byte) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(fullName))
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", fullName, err)
	}
	m := t.New().Interface()
	if err := proto.Unmarshal(value, m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", fullName, err)
	}
	return m, nil
}

// ETag of a resource whose last change was at a revision: no two states of one
// resource share a revision.
func ETag(revision uint64) string { return strconv.FormatUint(revision, 36) }

// Text returns a string field of a message by its proto name, "" where it has none.
func Text(m proto.Message, field string) string {
	r := m.ProtoReflect()
	fd := r.Descriptor().Fields().ByName(protoName(field))
	if fd == nil || fd.Kind() != protoreflect.StringKind || fd.Cardinality() == protoreflect.Repeated {
		return ""
	}
	return r.Get(fd).String()
}

// SetText sets a string field of a message where it has it.
func SetText(m proto.Message, field, value string) {
	r := m.ProtoReflect()
	if fd := r.Descriptor().Fields().ByName(protoName(field)); fd != nil && fd.Kind() == protoreflect.StringKind {
		r.Set(fd, protoreflect.ValueOfString(value))
	}
}

// clear empties top-level fields.
func clearFields(m proto.Message, fields ...string) {
	r := m.ProtoReflect()
	for _, f := range fields {
		if fd := r.Descriptor().Fields().ByName(protoName(f)); fd != nil {
			r.Clear(fd)
		}
	}
}

// HideSecrets clears the kind's secret fields.
func HideSecrets(k *kind.Kind, m proto.Message) {
	for _, path := range k.SecretFields {
		clearPath(m.ProtoReflect(), strings.Split(path, "."))
	}
}

func clearPath(r protoreflect.Message, path []string) {
	fd := r.Descriptor().Fields().ByName(protoName(path[0]))
	switch {
	case fd == nil:
	case len(path) == 1:
		r.Clear(fd)
	case fd.Message() != nil && !fd.IsMap() && !fd.IsList() && r.Has(fd):
		clearPath(r.Mutable(fd).Message(), path[1:])
	}
}

// SetUnpublished sets status.unpublished of a resource that has it.
func SetUnpublished(m proto.Message, reason string) {
	r := m.ProtoReflect()
	if fd := r.Descriptor().Fields().ByName("status"); fd != nil && fd.Message() != nil {
		SetText(r.Mutable(fd).Message().Interface(), "unpublished", reason)
	}
}

// Complete sets what the server says of every resource: etag, revision, times.
func Complete(m proto.Message, v Version) {
	r := m.ProtoReflect()
	set := func(name string, value protoreflect.Value) {
		if fd := r.Descriptor().Fields().ByName(protoName(name)); fd != nil {
			r.Set(fd, value)
		}
	}
	set("etag", protoreflect.ValueOfString(ETag(v.Revision)))
	set("revision", protoreflect.ValueOfUint64(v.Revision))
	set("create_time", protoreflect.ValueOfMessage(timestamppb.New(v.CreatedTime).ProtoReflect()))
	set("update_time", protoreflect.ValueOfMessage(timestamppb.New(v.Time).ProtoReflect()))
}

// Desired strips a message to what people decide: name, organization, labels, spec.
func Desired(m proto.Message) proto.Message {
	c := proto.Clone(m)
	clearFields(c, "etag", "revision", "create_time", "update_time", "status")
	return c
}
