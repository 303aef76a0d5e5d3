package zones

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

const exportPiece = 64 << 10

// Export writes a zone as a master file (RFC 1035 5), as at one revision.
func (t *Transfers) Export(s grpc.ServerStream) error {
	stream := &grpc.GenericServerStream[dnsv1.ExportZoneRequest, dnsv1.ExportZoneResponse]{ServerStream: s}
	q := &dnsv1.ExportZoneRequest{}
	if err := s.RecvMsg(q); err != nil {
		return err
	}
	ctx := s.Context()
	name, err := admit.Canonical(t.z.zoneKind, q.Name)
	if err != nil {
		return err
	}
	if err := t.w.Proposer.Current(ctx); err != nil {
		return err
	}
	r, err := t.w.State.At(q.Revision)
	if err != nil {
		return err
	}
	defer r.Close()
	return t.export(ctx, r, name, &pieces{stream: stream})
}

// pieces sends what is written to it.
type pieces struct {
	stream *grpc.GenericServerStream[dnsv1.ExportZoneRequest, dnsv1.ExportZoneResponse]
	sets   uint64
}

func (p *pieces) Write(b []byte) (int, error) {
	for at := 0; at < len(b); at += exportPiece {
		data := append([]byte(nil), b[at:min(at+exportPiece, len(b))]...)
		if err := p.stream.Send(&dnsv1.ExportZoneResponse{Data: data, RecordSets: p.sets}); err != nil {
			return at, err
		}
	}
	return len(b), nil
}

func (t *Transfers) export(ctx context.Context, r admit.Reader, name string, out *pieces) error {
	caller, _ := identity.From(ctx)
	segment := name[len("zones/"):]
	view := admit.NewView(r, t.w.State.Published)
	zone, _, err := getZone(ctx, view, caller.Organization, segment)
	if err != nil {
		return err
	}
	if zone == nil {
		return errs.New(errs.NotFound, "%s does not exist", name)
	}
	p, err := published(view, caller.Organization, name)
	if err != nil {
		return err
	}
	serial := p.GetSerial()
	if serial == 0 {
		serial = nextSerial(0, zone.GetSpec().GetMinimumSerial())
	}
	apex := decode(segment)
	w := t.z.o.NewMaster(out, apex)
	if err := w.SOA(t.z.soa(apex, zone.GetSpec()), serial); err != nil {
		return err
	}
	prefix := setPrefix(segment, zone.GetStatus().GetGeneration())
	l := loadable{r: r, org: caller.Organization, prefix: prefix, apex: apex}
	var bad error
	err = r.Scan(setName, caller.Organization, prefix, "",
		func(v admit.Version) bool {
			out.sets++
			bad = t.exportSet(w, zone, v, &l)
			return bad == nil && ctx.Err() == nil
		})
	if err == nil {
		err = bad
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return err
	}
	warnings, err := l.warnings(t.z.soa(apex, zone.GetSpec()).MName)
	if err != nil {
		return err
	}
	return out.warn(warnings)
}

// warn ends the file with why other servers refuse it.
func (p *pieces) warn(warnings []string) error {
	if len(warnings) == 0 {
		return nil
	}
	return p.stream.Send(&dnsv1.ExportZoneResponse{RecordSets: p.sets, Warnings: warnings})
}

func (t *Transfers) exportSet(w MasterWriter, zone *dnsv1.Zone, v admit.Version, l *loadable) error {
	set := &dnsv1.RecordSet{}
	if err := proto.Unmarshal(v.Value, set); err != nil {
		return fmt.Errorf("read %s: %w", v.Name, err)
	}
	id, err := parseStored(v.Name)
	if err != nil {
		return err
	}
	compiled, bad := t.z.o.LoadRecordSet(id.apex(), id.owner, id.typ, ttl(zone, set.Spec), set.GetSpec().GetRecords())
	if len(bad) > 0 {
		return errs.New(errs.Internal, "%s cannot be compiled: %s", v.Name, bad[0].Text)
	}
	l.see(id.owner, compiled)
	return w.RRset(compiled)
}
