package admit

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// serverFields are set by the server; a mask may name them (AIP-203), to no effect.
var serverFields = map[string]bool{
	"name": true, "organization": true, "etag": true, "revision": true,
	"create_time": true, "update_time": true, "status": true,
}

// applyMask copies the fields that paths name from src to dst; none means labels and spec.
func applyMask(dst, src proto.Message, paths []string) error {
	if len(paths) == 0 {
		paths = []string{"labels", "spec"}
	}
	var bad []errs.Field
	for _, p := range paths {
		segs := strings.Split(p, ".")
		if serverFields[segs[0]] {
			continue
		}
		if err := copyPath(dst.ProtoReflect(), src.ProtoReflect(), segs); err != nil {
			bad = append(bad, errs.Field{Name: "update_mask", Text: fmt.Sprintf("%q: %v", p, err)})
		}
	}
	if bad != nil {
		return errs.Bad(bad...)
	}
	return nil
}

func copyPath(dst, src protoreflect.Message, segs []string) error {
	fields := dst.Descriptor().Fields()
	fd := fields.ByName(protoName(segs[0]))
	if fd == nil {
		fd = fields.ByJSONName(segs[0])
	}
	switch {
	case fd == nil:
		return fmt.Errorf("%s has no field %q", dst.Descriptor().Name(), segs[0])
	case len(segs) == 1:
		if !src.Has(fd) {
			dst.Clear(fd)
			return nil
		}
		dst.Set(fd, proto.Clone(src.Interface()).ProtoReflect().Get(fd))
		return nil
	case fd.IsMap():
		return copyKey(dst, src, fd, strings.Join(segs[1:], "."))
	case fd.Message() == nil || fd.IsList():
		return fmt.Errorf("%s has no fields of its own", segs[0])
	}
	return copyPath(dst.Mutable(fd).Message(), src.Get(fd).Message(), segs[1:])
}

func copyKey(dst, src protoreflect.Message, fd protoreflect.FieldDescriptor, key string) error {
	if fd.MapKey().Kind() != protoreflect.StringKind || fd.MapValue().Message() != nil {
		return fmt.Errorf("%s must be given as a whole", fd.Name())
	}
	k := protoreflect.ValueOfString(key).MapKey()
	if v := src.Get(fd).Map(); v.Has(k) {
		dst.Mutable(fd).Map().Set(k, v.Get(k))
	} else {
		dst.Mutable(fd).Map().Clear(k)
	}
	return nil
}
