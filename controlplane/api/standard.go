package api

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
)

// unary is one method of any service.
type unary func(ctx context.Context, req proto.Message) (proto.Message, error)

// standard is the service of one kind: its methods are found by name in the service's
// descriptor, the fields of requests and responses by name in theirs.
type standard struct {
	c *core
	k *kind.Kind
}

// method returns the standard method of a name, the verb that it needs, and the
// request's field that holds the resource; nil when it is none.
func (s standard) method(md protoreflect.MethodDescriptor) (unary, string, protoreflect.FieldDescriptor) {
	short, many := s.k.ShortName(), repeatedOf(md.Output(), s.k)
	in := singleOf(md.Input(), s.k)
	switch string(md.Name()) {
	case "Get" + short:
		return s.get, identity.Read, nil
	case "Create" + short:
		if in != nil {
			return func(ctx context.Context, req proto.Message) (proto.Message, error) {
				return s.create(ctx, req, in)
			}, identity.Write, in
		}
	case "Update" + short:
		if in != nil {
			return func(ctx context.Context, req proto.Message) (proto.Message, error) {
				return s.update(ctx, req, in)
			}, identity.Write, in
		}
	case "Delete" + short:
		return func(ctx context.Context, req proto.Message) (proto.Message, error) {
			return s.delete(ctx, req, md)
		}, identity.Write, nil
	default:
		if many != nil && md.Name() == "List"+pluralOf(md) {
			return func(ctx context.Context, req proto.Message) (proto.Message, error) {
				return s.list(ctx, req, md, many)
			}, identity.Read, nil
		}
	}
	return nil, "", nil
}

// pluralOf is what follows List in a method's name.
func pluralOf(md protoreflect.MethodDescriptor) protoreflect.Name {
	if n := md.Name(); len(n) > 4 && n[:4] == "List" {
		return n[4:]
	}
	return ""
}

func singleOf(d protoreflect.MessageDescriptor, k *kind.Kind) protoreflect.FieldDescriptor {
	return fieldOf(d, k, false)
}

func repeatedOf(d protoreflect.MessageDescriptor, k *kind.Kind) protoreflect.FieldDescriptor {
	return fieldOf(d, k, true)
}

func fieldOf(d protoreflect.MessageDescriptor, k *kind.Kind, list bool) protoreflect.FieldDescriptor {
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		if fd.Message() != nil && string(fd.Message().FullName()) == k.FullName() && fd.IsList() == list &&
			!fd.IsMap() {
			return fd
		}
	}
	return nil
}

// fields reads a request's fields by name; what a request does not have is zero.
type fields struct{ m protoreflect.Message }

func fieldsOf(m proto.Message) fields { return fields{m.ProtoReflect()} }

func (f fields) get(name string) (protoreflect.Value, bool) {
	fd := f.m.Descriptor().Fields().ByName(protoreflect.Name(name))
	if fd == nil {
		return protoreflect.Value{}, false
	}
	return f.m.Get(fd), true
}

func (f fields) text(name string) string {
	if v, ok := f.get(name); ok {
		return v.String()
	}
	return ""
}

func (f fields) flag(name string) bool { v, ok := f.get(name); return ok && v.Bool() }

func (f fields) number(name string) uint64 {
	if v, ok := f.get(name); ok {
		return v.Uint()
	}
	return 0
}

func (f fields) size() int32 {
	if v, ok := f.get("page_size"); ok {
		return int32(v.Int())
	}
	return 0
}

// mask returns the paths of update_mask.
func (f fields) mask() []string {
	v, ok := f.get("update_mask")
	if !ok {
		return nil
	}
	var out []string
	paths := v.Message().Get(v.Message().Descriptor().Fields().ByName("paths")).List()
	for i := range paths.Len() {
		if p := paths.Get(i).String(); p != "" { // what the gateway makes of the body {}
			out = append(out, p)
		}
	}
	return out
}

func (s standard) get(ctx context.Context, req proto.Message) (proto.Message, error) {
	f := fieldsOf(req)
	return s.c.get(ctx, s.k, f.text("name"), f.number("revision"), f.flag("stale"))
}

func (s standard) list(ctx context.Context, req proto.Message, md protoreflect.MethodDescriptor,
	many protoreflect.FieldDescriptor,
) (proto.Message, error) {
	f := fieldsOf(req)
	p, err := s.c.list(ctx, s.k, f.text("parent"), f.size(), f.text("page_token"), f.number("revision"),
		f.flag("stale"))
	if err != nil {
		return nil, err
	}
	out, err := newMessage(md.Output())
	if err != nil {
		return nil, err
	}
	list := out.ProtoReflect().Mutable(many).List()
	for _, m := range p.resources {
		list.Append(protoreflect.ValueOfMessage(m.ProtoReflect()))
	}
	set(out, "next_page_token", protoreflect.ValueOfString(p.next))
	set(out, "revision", protoreflect.ValueOfUint64(p.revision))
	return out, nil
}

func (s standard) create(ctx context.Context, req proto.Message,
	in protoreflect.FieldDescriptor,
) (proto.Message, error) {
	f := fieldsOf(req)
	m := proto.Clone(req.ProtoReflect().Get(in).Message().Interface())
	if parent := f.text("parent"); parent != "" {
		if err := under(s.c.kinds, s.k, parent, m); err != nil {
			return nil, err
		}
	}
	return s.put(ctx, req, m, admit.Options{MustNotExist: true})
}

func (s standard) update(ctx context.Context, req proto.Message,
	in protoreflect.FieldDescriptor,
) (proto.Message, error) {
	f := fieldsOf(req)
	m := req.ProtoReflect().Get(in).Message().Interface()
	mask := f.mask()
	if len(mask) == 0 {
		mask = given(m)
	}
	if len(mask) == 0 {
		return nil, s.c.nothingGiven(m, errs.Field{
			Name: in.JSONName(),
			Text: "has neither spec nor labels, so there is nothing to change; to clear one, name it in updateMask",
		})
	}
	return s.put(ctx, req, m, admit.Options{
		MustExist: !f.flag("allow_missing"), ETag: admit.Text(m, "etag"),
		Mask: mask,
	})
}

// nothingGiven refuses an update of nothing, and says what else is wrong with it.
func (c *core) nothingGiven(m proto.Message, why errs.Field) error {
	bad := []errs.Field{why}
	for _, v := range c.valid.violations(m) {
		bad = append(bad, errs.Field{Name: v.Field, Text: v.Text})
	}
	return errs.Bad(bad...)
}

// given is the mask of an update that has none: what the request fills (AIP-134).
func given(m proto.Message) []string {
	var out []string
	for _, name := range []protoreflect.Name{"labels", "spec"} {
		if fd := m.ProtoReflect().Descriptor().Fields().ByName(name); fd != nil && m.ProtoReflect().Has(fd) {
			out = append(out, string(name))
		}
	}
	return out
}

// under refuses a resource whose name is not below the parent that the request names.
func under(ks *admit.Kinds, k *kind.Kind, parent string, m proto.Message) error {
	prefix, err := ks.Collection(k, parent)
	if err != nil {
		return err
	}
	name, err := admit.Canonical(k, admit.Text(m, "name"))
	if err != nil {
		return err
	}
	if len(name) <= len(prefix) || name[:len(prefix)] != prefix {
		return errs.Bad(errs.Field{Name: "parent", Text: fmt.Sprintf("%s is not below %s", name, parent)})
	}
	return nil
}

// sameOrganization refuses a resource that says it belongs to another organization
// than the one that the caller acts for.
func sameOrganization(org string, m proto.Message) error {
	if o := admit.Text(m, "organization"); o != "" && o != org {
		return errs.Bad(errs.Field{
			Name: "organization",
			Text: fmt.Sprintf("%q is not the organization that is written to; name it in the header Dark-Organization",
				o),
		})
	}
	return nil
}

func (s standard) put(ctx context.Context, req, m proto.Message, o admit.Options) (proto.Message, error) {
	f := fieldsOf(req)
	if err := sameOrganization(organization(askedOf(ctx), s.k), m); err != nil {
		return nil, err
	}
	var ch admit.Change
	q := write(ctx, req, f.text("request_id"), f.text("reason"), f.flag("validate_only"))
	done, err := s.c.writer.Do(ctx, q, func(ctx context.Context, tx *admit.Tx) (err error) {
		ch, err = tx.Put(ctx, s.k, m, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	if q.DryRun {
		out := proto.Clone(ch.After)
		admit.HideSecrets(s.k, out)
		return out, nil
	}
	name := ch.Name
	if name == "" {
		name = admit.Text(m, "name") // a repeated request that would be refused now
	}
	r, err := s.c.readBack(ctx, done.Revision)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out, err := s.c.getFrom(ctx, r, s.k, name)
	if err == nil && done.Made && ch.Reply != nil {
		ch.Reply(out)
	}
	return out, err
}

func (s standard) delete(ctx context.Context, req proto.Message,
	md protoreflect.MethodDescriptor,
) (proto.Message, error) {
	f := fieldsOf(req)
	done, err := s.c.remove(ctx, s.k, req, f.text("name"), f.text("etag"), f.text("request_id"), f.text("reason"),
		f.text("force"), f.flag("validate_only"))
	if err != nil {
		return nil, err
	}
	out, err := newMessage(md.Output())
	if err == nil {
		set(out, "revision", protoreflect.ValueOfUint64(done.Revision))
	}
	return out, err
}

// remove deletes one resource.
func (c *core) remove(ctx context.Context, k *kind.Kind, req proto.Message, name, etag, id, reason, force string,
	dryRun bool,
) (admit.Done, error) {
	return c.writer.Do(ctx, write(ctx, req, id, reason, dryRun), func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Delete(ctx, k, name, admit.Options{ETag: etag, Force: force})
		return err
	})
}

func set(m proto.Message, name string, v protoreflect.Value) {
	if fd := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)); fd != nil {
		m.ProtoReflect().Set(fd, v)
	}
}

func newMessage(d protoreflect.MessageDescriptor) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		return nil, fmt.Errorf("find message %s: %w", d.FullName(), err)
	}
	return t.New().Interface(), nil
}

// handler makes a gRPC method of a unary one.
func handler(md protoreflect.MethodDescriptor, full string, u unary) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: string(md.Name()), Handler: func(_ any, ctx context.Context, dec func(any) error,
		icpt grpc.UnaryServerInterceptor,
	) (any, error) {
		req, err := newMessage(md.Input())
		if err != nil {
			return nil, err
		}
		if err := dec(req); err != nil {
			return nil, err
		}
		call := func(ctx context.Context, req any) (any, error) { return u(ctx, req.(proto.Message)) }
		if icpt == nil {
			return call(ctx, req)
		}
		return icpt(ctx, req, &grpc.UnaryServerInfo{FullMethod: full}, call)
	}}
}
