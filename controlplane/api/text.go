package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// badOctet stands for an octet that is not UTF-8 while the field that holds it is sought.
const badOctet = "\uFFFDnot-utf-8\uFFFD"

// notUTF8In names the field of a JSON object that holds octets which are not UTF-8, ""
// where they stand outside of all.
func notUTF8In(object []byte) string {
	var v any
	if json.Unmarshal(bytes.ToValidUTF8(object, []byte(badOctet)), &v) != nil {
		return ""
	}
	return strings.TrimPrefix(badOctetIn(v, ""), ".")
}

func badOctetIn(v any, path string) string {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, badOctet) {
			return path
		}
	case []any:
		for i, x := range v {
			if p := badOctetIn(x, fmt.Sprintf("%s[%d]", path, i)); p != "" {
				return p
			}
		}
	case map[string]any:
		for k, x := range v {
			if strings.Contains(k, badOctet) {
				return path + "." + strings.ReplaceAll(k, badOctet, "\uFFFD")
			}
			if p := badOctetIn(x, path+"."+k); p != "" {
				return p
			}
		}
	}
	return ""
}

// notUTF8 names the text field of a marshalled message that is not UTF-8, "" for none.
func notUTF8(d protoreflect.MessageDescriptor, b []byte) string {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return ""
		}
		m := protowire.ConsumeFieldValue(num, typ, b[n:])
		if m < 0 {
			return ""
		}
		fd := d.Fields().ByNumber(num)
		if value, n := protowire.ConsumeBytes(b[n:]); fd != nil && typ == protowire.BytesType && n >= 0 {
			if name, bad := badField(fd, value); bad {
				return name
			}
		}
		b = b[n+m:]
	}
	return ""
}

func badField(fd protoreflect.FieldDescriptor, value []byte) (string, bool) {
	switch {
	case fd.Kind() == protoreflect.StringKind:
		return fd.JSONName(), !utf8.Valid(value)
	case fd.Message() == nil:
		return "", false
	}
	below := notUTF8(fd.Message(), value)
	if fd.IsMap() {
		return fd.JSONName(), below != ""
	}
	return fd.JSONName() + "." + below, below != ""
}

// decoding is a message on its way in: what is wrong with it is kept, since gRPC itself
// would make an error of the server of it.
type decoding struct {
	into proto.Message
	err  error
}

// strictCodec is gRPC's codec of messages; requests are decoded by way of decoding.
type strictCodec struct{ encoding.CodecV2 }

func (c strictCodec) Unmarshal(data mem.BufferSlice, v any) error {
	d, ok := v.(*decoding)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	if err := c.CodecV2.Unmarshal(data, d.into); err != nil {
		d.err = errs.New(errs.Invalid, "the request is no %s: %v", d.into.ProtoReflect().Descriptor().Name(), err)
		if name := notUTF8(d.into.ProtoReflect().Descriptor(), data.Materialize()); name != "" {
			d.err = errs.Bad(errs.Field{Name: name, Text: notText})
		}
	}
	return nil
}

// registrar has requests decoded by strictCodec.
type registrar struct{ *grpc.Server }

func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	d := *desc
	d.Methods = slices.Clone(desc.Methods)
	for i, m := range desc.Methods {
		d.Methods[i].Handler = func(srv any, ctx context.Context, dec func(any) error,
			icpt grpc.UnaryServerInterceptor,
		) (any, error) {
			return m.Handler(srv, ctx, strictly(dec), icpt)
		}
	}
	r.Server.RegisterService(&d, impl)
}

// strictly decodes a message, or says with a code of its own what is wrong with it.
func strictly(dec func(any) error) func(any) error {
	return func(v any) error {
		m, ok := v.(proto.Message)
		if !ok {
			return dec(v)
		}
		d := &decoding{into: m}
		if err := dec(d); err != nil || d.err == nil {
			return err
		}
		return toStatus(d.err, "").Err()
	}
}
