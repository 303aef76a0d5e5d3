package zones

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// fillKey is where an import says how far it has filled a generation (FillMark).
func fillKey(org, segment string, generation uint64) string {
	return fmt.Sprintf("fill/%s/zones/%s/%016x", org, segment, generation)
}

// page emits the next record sets of a generation that the zone will turn to: of one that
// an import fills, as far as it has come.
func (z *Zones) page(ctx context.Context, p kind.Page, emit func(kind.Record) error) (kind.Paged, error) {
	segment := strings.TrimPrefix(p.Stored, "zones/")
	pub := publication{kind.Publication{After: p.Now, Organization: p.Organization, Stored: p.Stored}, z, segment, emit}
	zone, _, err := getZone(ctx, p.Now, p.Organization, segment)
	if err != nil {
		return kind.Paged{}, err
	}
	fill, importing, err := z.filled(p, segment)
	if err != nil {
		return kind.Paged{}, err
	}
	if !importing && served(zone) != p.Generation {
		return kind.Paged{Gone: true}, emit(kind.Record{
			Kind: setName, Stream: stream(p.Organization), Name: pub.prefix(p.Generation), Lane: kind.LaneData,
			Prefix: true,
		})
	}
	// The zone as it will be: its generation names the records.
	next := &dnsv1.Zone{Spec: zone.GetSpec(), Status: &dnsv1.ZoneStatus{Generation: p.Generation}}
	out := kind.Paged{After: p.After, Done: true}
	var bad error
	records, bytes := 0, 0
	pub.emit = func(r kind.Record) error {
		bytes += r.Cost()
		return emit(r)
	}
	err = p.List(setName, p.Organization, setPrefix(segment, p.Generation), p.After,
		func(name string, m proto.Message) bool {
			if !fill.All && name > fill.Through || records == p.Room.Records || bytes > p.Room.Bytes {
				out.Done = false
				return false
			}
			records++
			out.After = name
			bad = pub.set(next, name, m.(*dnsv1.RecordSet))
			return bad == nil
		})
	out.Done = out.Done && fill.All
	return out, errors.Join(err, bad)
}

// filled is how far the generation is filled at what the page reads, and whether an
// import is still at it. Without one all is there.
func (z *Zones) filled(p kind.Page, segment string) (*statev1.FillMark, bool, error) {
	mark, _, err := p.Meta(importKey(p.Organization, segment, p.Generation))
	if err != nil {
		return nil, false, err
	}
	if mark == nil {
		return &statev1.FillMark{All: true}, false, nil
	}
	fill := &statev1.FillMark{}
	value, revision, err := p.Meta(fillKey(p.Organization, segment, p.Generation))
	if err == nil {
		err = proto.Unmarshal(value, fill)
	}
	if !fill.All {
		revision = fill.Revision
	}
	if revision > p.Now.Revision() {
		return &statev1.FillMark{}, true, err // what it speaks of is later than what is read
	}
	return fill, true, err
}
