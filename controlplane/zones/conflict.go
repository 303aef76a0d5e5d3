package zones

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// maxSide is how many octets a conflict shows of what is stored, and of what the file says.
const maxSide = 300

// zoneChanged refuses an import into a zone that changed, or was made or deleted, since the import began.
// It names each field that would be written over.
func (i *importing) zoneChanged(now *dnsv1.Zone, revision uint64) error {
	var how string
	switch {
	case now == nil:
		how = "was deleted while the file was read"
	case i.base == nil:
		how = fmt.Sprintf("was made at revision %d, while the file was read", revision)
	default:
		how = fmt.Sprintf("was changed at revision %d, while the file was read", revision)
	}
	if now != nil {
		how += i.zoneSides(now)
	}
	return admit.Because(errs.Conflict, admit.ReasonChanged, "%s %s; import it again", i.name, how)
}

func (i *importing) zoneSides(now *dnsv1.Zone) string {
	var sides []string
	stored, file := specOf(now.GetSpec()), specOf(i.spec)
	for fields, n := stored.Descriptor().Fields(), 0; n < fields.Len(); n++ {
		f := fields.Get(n)
		if was, is := fieldText(stored, f), fieldText(file, f); was != is {
			sides = append(sides, fmt.Sprintf("spec.%s: stored is %s, the import has %s", f.JSONName(), short(was),
				short(is)))
		}
	}
	switch {
	case sides != nil:
		return ": " + strings.Join(sides, "; ")
	case i.base != nil && now.GetStatus().GetGeneration() != i.base.GetStatus().GetGeneration():
		return ": another import replaced all its record sets"
	}
	return ": its spec is what the import has; its labels or its status are others"
}

func specOf(s *dnsv1.ZoneSpec) protoreflect.Message {
	if s == nil {
		s = &dnsv1.ZoneSpec{}
	}
	return s.ProtoReflect()
}

func fieldText(m protoreflect.Message, f protoreflect.FieldDescriptor) string {
	v := m.Get(f)
	switch {
	case !m.Has(f):
		return "no value"
	case f.IsList():
		var all []string
		for n := range v.List().Len() {
			all = append(all, strconv.Quote(v.List().Get(n).String()))
		}
		return strings.Join(all, ", ")
	case f.Kind() == protoreflect.StringKind:
		return strconv.Quote(v.String())
	}
	return v.String()
}

// setChanged refuses to write over a record set that changed after it was compared with the file.
func (i *importing) setChanged(c changed, now proto.Message, revision uint64) error {
	stored, _ := now.(*dnsv1.RecordSet)
	return admit.Because(errs.Conflict, admit.ReasonChanged,
		"%s/records/%s was changed at revision %d, while the file was read: stored is %s, the file has %s; import it "+
			"again",
		i.name, c.key, revision, i.setText(stored.GetSpec()), i.setText(c.set))
}

// setDeleted refuses to put again what somebody deleted meanwhile.
func (i *importing) setDeleted(c changed) error {
	return admit.Because(errs.Conflict, admit.ReasonChanged,
		"%s/records/%s was deleted while the file was read; the file has %s; import it again, if it is to be made "+
			"again",
		i.name, c.key, i.setText(c.set))
}

// setText is a record set's TTL and records in one line; nil is none.
func (i *importing) setText(s *dnsv1.RecordSetSpec) string {
	if s == nil {
		return "no such record set"
	}
	return short(fmt.Sprintf("TTL %d with %s", ttl(i.base, s), strings.Join(s.Records, ", ")))
}

// short cuts what would make an error too long for its header.
func short(text string) string {
	if len(text) <= maxSide {
		return text
	}
	return strings.ToValidUTF8(text[:maxSide], "") + "..."
}
