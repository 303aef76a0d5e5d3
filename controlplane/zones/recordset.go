package zones

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// stored is what the stored name of a record set says.
type stored struct {
	segment string // of the zone's name, encoded
	gen     string // 16 hexadecimal digits
	owner   string
	typ     string
}

func parseStored(name string) (stored, error) {
	f := strings.Split(name, "/")
	if len(f) != 5 || f[0] != "zones" {
		return stored{}, errs.New(errs.Internal, "%q is not the stored name of a record set", name)
	}
	return stored{f[1], f[2], decode(f[3]), f[4]}, nil
}

func (s stored) apex() string { return decode(s.segment) }
func (s stored) prefix() string {
	return "zones/" + s.segment + "/" + s.gen + "/" + encode(s.owner) + "/"
}

// admitSet compiles a record set as the edges will, and asks that what stands beside it
// may, at the moment of the commit too.
func (z *Zones) admitSet(ctx context.Context, a *kind.Admission) error {
	if a.New == nil {
		return nil
	}
	id, err := parseStored(a.Stored)
	if err != nil {
		return err
	}
	set := a.New.(*dnsv1.RecordSet)
	if set.GetSpec() == nil || len(set.Spec.Records) == 0 {
		a.Bad("spec.records", "value must have at least 1 item")
		return nil
	}
	zone, _, err := getZone(ctx, a.Reader, a.Organization, id.segment)
	if err != nil {
		return err
	}
	_, bad := z.o.ParseRecordSet(id.apex(), id.owner, id.typ, ttl(zone, set.Spec), set.Spec.Records)
	for _, b := range bad {
		field := "spec.records"
		if b.Index >= 0 {
			field = fmt.Sprintf("spec.records[%d]", b.Index)
		}
		a.Bad(field, "%s", b.Text)
	}
	if len(bad) > 0 {
		return nil
	}
	set.Spec.Records = z.o.StoredRecords(id.apex(), id.typ, set.Spec.Records)
	return z.beside(ctx, a, id)
}

// showSet shows what an earlier version stored as it was written as it is served.
func (z *Zones) showSet(_ context.Context, _ kind.Reader, m proto.Message) error {
	set := m.(*dnsv1.RecordSet)
	f := strings.Split(set.GetName(), "/")
	records := set.GetSpec().GetRecords()
	if len(f) == 5 && (len(records) > 1 || len(records) == 1 && len(records[0]) > 255) {
		set.Spec.Records = z.o.StoredRecords(decode(f[1]), f[4], records)
	}
	return nil
}

// beside refuses types that cannot be at one owner together.
func (z *Zones) beside(ctx context.Context, a *kind.Admission, id stored) error {
	mine, err := z.o.ParseType(id.typ)
	if err != nil {
		return err
	}
	types := []uint16{mine}
	err = a.Reader.List(ctx, setName, a.Organization, id.prefix(), func(name string, _ proto.Message) bool {
		if t, err := z.o.ParseType(name[strings.LastIndexByte(name, '/')+1:]); err == nil && t != mine {
			types = append(types, t)
		}
		return true
	})
	if err != nil {
		return err
	}
	if _, err := z.o.CheckOwner(id.owner == "@", types); err != nil {
		a.Bad("name", "%s: %v", strings.TrimPrefix(a.Name, "zones/"), err)
		return nil
	}
	none := func(prefix string, except ...string) {
		a.Preconditions = append(a.Preconditions, admit.NoneUnder(setName, a.Organization, prefix, except...))
	}
	switch id.typ {
	case "CNAME":
		none(id.prefix(), a.Stored) // RFC 1034 3.6.2: no other data
		return nil
	case "DNAME":
		if id.owner != "@" {
			none(id.prefix() + "NS") // RFC 6672 2.3
		}
	case "NS":
		if id.owner != "@" {
			none(id.prefix() + "DNAME")
		}
	}
	none(id.prefix() + "CNAME")
	return nil
}

// displaces names the sets of an owner that cannot stand beside a set: of a CNAME all
// others, of any other set the CNAME, and DNAME and NS of each other.
func (z *Zones) displaces(ctx context.Context, r kind.Reader, organization, name string) ([]string, error) {
	id, err := parseStored(name)
	if err != nil {
		return nil, err
	}
	mine, err := z.o.ParseType(id.typ)
	if err != nil {
		return nil, err
	}
	var names []string
	err = r.List(ctx, setName, organization, id.prefix(), func(other string, _ proto.Message) bool {
		t, err := z.o.ParseType(other[strings.LastIndexByte(other, '/')+1:])
		if err != nil || t == mine {
			return true
		}
		if _, err := z.o.CheckOwner(id.owner == "@", []uint16{mine, t}); err != nil {
			names = append(names, unlocate(other))
		}
		return true
	})
	return names, err
}
