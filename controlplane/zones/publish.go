package zones

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

func stream(org string) string { return "org/" + org }

// published is what edges were last told of a zone; nil when it is not served.
func published(r kind.Reader, org, name string) (*dnsv1.PublishedZone, error) {
	b, err := r.Published(stream(org), zoneName, name)
	if err != nil || b == nil {
		return nil, err
	}
	p := &dnsv1.PublishedZone{}
	if err := proto.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("read published %s: %w", name, err)
	}
	return p, nil
}

// served is the generation that edges answer from; 0 when the zone is not served.
func served(z *dnsv1.Zone) uint64 {
	if z.GetStatus().GetControl() != dnsv1.ZoneStatus_CONTROL_SHOWN {
		return 0
	}
	return z.GetStatus().GetGeneration()
}

// nextSerial follows prev (RFC 1982): one more, never 0, and never below least.
func nextSerial(prev, least uint32) uint32 {
	s := prev + 1
	if s == 0 {
		s = 1 // RFC 2136 4.2: 0 is skipped, some servers read it as none
	}
	if least != 0 && (prev == 0 || int32(least-s) > 0) {
		s = least
	}
	return s
}

// publication is one zone's part of what is published together.
type publication struct {
	kind.Publication
	z       *Zones
	segment string
	emit    func(kind.Record) error
}

// publishZone tells edges of a zone. When another generation counts now, its record
// sets go first, then the zone, then what ended: at no point does an edge that applies
// them in order answer from half a zone. Where the sets are too many for one publication
// they go out in pages (page.go), and the zone when they are out.
func (z *Zones) publishZone(ctx context.Context, p kind.Publication, emit func(kind.Record) error) error {
	pub := publication{p, z, strings.TrimPrefix(p.Stored, "zones/"), emit}
	old, _ := p.Old.(*dnsv1.Zone)
	now, _ := p.New.(*dnsv1.Zone)
	was, is := served(old), served(now)
	prev, err := published(p.Before, p.Organization, p.Stored)
	if err != nil {
		return err
	}
	if is == 0 {
		if was == 0 && prev == nil {
			return nil
		}
		return pub.end()
	}
	fresh := prev == nil || was != is || prev.Generation != is
	otherTTL := old.GetSpec().GetDefaultTtl() != now.GetSpec().GetDefaultTtl()
	if fresh || otherTTL {
		if bulk, err := pub.sets(ctx, now, fresh, otherTTL); err != nil || bulk != nil {
			return pub.later(now, prev, bulk, err)
		}
	}
	if err := pub.zone(now, prev); err != nil {
		return err
	}
	for _, gone := range ended(is, was, prev.GetGeneration()) {
		if err := emit(kind.Record{
			Kind: setName, Stream: stream(p.Organization), Name: pub.prefix(gone),
			Lane: kind.LaneData, Prefix: true,
		}); err != nil {
			return err
		}
	}
	return nil
}

// later has the record sets of a zone go out in pages. Edges go on with what they have of
// the zone; a generation that they have already takes the zone's new settings at once.
func (p publication) later(now *dnsv1.Zone, prev *dnsv1.PublishedZone, bulk *kind.Bulk, err error) error {
	if err == nil && prev.GetGeneration() == bulk.Generation {
		err = p.zone(now, prev)
	}
	if err != nil {
		return err
	}
	return bulk
}

// ended lists generations that edges may still hold and that do not count.
func ended(is uint64, others ...uint64) []uint64 {
	var out []uint64
	for _, g := range others {
		if g != 0 && g != is && (len(out) == 0 || out[0] != g) {
			out = append(out, g)
		}
	}
	return out
}

func (p publication) prefix(generation uint64) string {
	return "zones/" + p.segment + "/" + strconv.FormatUint(generation, 10) + "/"
}

// end withdraws a zone and all that it had.
func (p publication) end() error {
	if err := p.emit(kind.Record{
		Kind: zoneName, Stream: stream(p.Organization), Name: p.zoneName(),
		Lane: kind.LaneData,
	}); err != nil {
		return err
	}
	return p.emit(kind.Record{
		Kind: setName, Stream: stream(p.Organization), Name: p.zoneName() + "/",
		Lane: kind.LaneData, Prefix: true,
	})
}

func (p publication) zoneName() string { return "zones/" + p.segment }

// sets emits the record sets of the zone's generation: all, or those whose TTL comes
// from the zone. Where they went out in pages it emits none, and where they are too many
// it says which bulk they are.
func (p publication) sets(ctx context.Context, zone *dnsv1.Zone, all, otherTTL bool) (*kind.Bulk, error) {
	generation := zone.GetStatus().GetGeneration()
	if p.Paged != nil && p.Paged(generation) {
		return nil, nil
	}
	w := p
	var made []kind.Record
	w.emit = func(r kind.Record) error {
		made = append(made, r)
		return nil
	}
	var bad error
	room, bytes, full := p.Room, 0, false
	err := p.After.List(ctx, setName, p.Organization, setPrefix(p.segment, generation),
		func(name string, m proto.Message) bool {
			if set := m.(*dnsv1.RecordSet); all || set.GetSpec().Ttl == nil {
				bad = w.set(zone, name, set)
				bytes += proto.Size(set)
			}
			full = room.Records > 0 && (len(made) > room.Records || bytes > room.Bytes)
			return bad == nil && !full
		})
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	if full {
		return &kind.Bulk{Generation: generation, Anew: otherTTL}, nil
	}
	for _, r := range made {
		if err := p.emit(r); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// set emits one record set. One that cannot be compiled any more, since it was admitted
// by another version, is left out: edges keep its last good value.
func (p publication) set(zone *dnsv1.Zone, name string, set *dnsv1.RecordSet) error {
	id, err := parseStored(name)
	if err != nil {
		return err
	}
	compiled, bad := p.z.o.LoadRecordSet(id.apex(), id.owner, id.typ, ttl(zone, set.GetSpec()),
		set.GetSpec().GetRecords())
	if len(bad) > 0 {
		return nil
	}
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(&dnsv1.PublishedRecordSet{
		Apex: id.apex(), Generation: zone.GetStatus().GetGeneration(), Owner: id.owner,
		Type: uint32(compiled.Type), Ttl: compiled.TTL, Rdata: compiled.RData,
	})
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	return p.emit(kind.Record{
		Kind: setName, Stream: stream(p.Organization), Name: p.setName(zone, id),
		Lane: kind.LaneData, Value: value,
	})
}

func (p publication) setName(zone *dnsv1.Zone, id stored) string {
	return p.prefix(zone.GetStatus().GetGeneration()) + encode(id.owner) + "/" + id.typ
}

// zone emits the zone with its next serial. The serial follows what was published
// before, so that several changes of one publication raise it once.
func (p publication) zone(zone *dnsv1.Zone, prev *dnsv1.PublishedZone) error {
	soa := p.z.soa(decode(p.segment), zone.GetSpec())
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(&dnsv1.PublishedZone{
		Apex: decode(p.segment), Generation: zone.GetStatus().GetGeneration(), Serial: nextSerial(prev.GetSerial(),
			zone.GetSpec().GetMinimumSerial()),
		PrimaryNameServer: soa.MName, Mailbox: soa.RName, Refresh: soa.Refresh, Retry: soa.Retry, Expire: soa.Expire,
		NegativeTtl: soa.NegativeTTL, SoaTtl: soa.TTL,
	})
	if err != nil {
		return fmt.Errorf("publish zones/%s: %w", p.segment, err)
	}
	return p.emit(kind.Record{
		Kind: zoneName, Stream: stream(p.Organization), Name: p.zoneName(), Lane: kind.LaneData,
		Value: value,
	})
}

// silentSet: a set that is not of the generation that is served, in an import on its way
// or a zone pending, is not told of. And where that generation is new to the edges, the
// zone brings all of its sets.
func silentSet(ctx context.Context, p kind.Publication) (bool, error) {
	id, err := parseStored(p.Stored)
	if err != nil {
		return false, err
	}
	now, _, err := getZone(ctx, p.After, p.Organization, id.segment)
	if err != nil {
		return false, err
	}
	before, _, err := getZone(ctx, p.Before, p.Organization, id.segment)
	is := served(now)
	return is == 0 || !strings.HasPrefix(p.Stored, setPrefix(id.segment, is)) || served(before) != is, err
}

// publishSet tells edges of one record set, and of the zone's new serial with it.
func (z *Zones) publishSet(ctx context.Context, p kind.Publication, emit func(kind.Record) error) error {
	silent, err := silentSet(ctx, p)
	if silent || err != nil {
		return err
	}
	id, err := parseStored(p.Stored)
	if err != nil {
		return err
	}
	now, _, err := getZone(ctx, p.After, p.Organization, id.segment)
	if err != nil {
		return err
	}
	pub := publication{p, z, id.segment, emit}
	if p.New != nil {
		err = pub.set(now, p.Stored, p.New.(*dnsv1.RecordSet))
	} else {
		err = emit(kind.Record{
			Kind: setName, Stream: stream(p.Organization), Name: pub.setName(now, id),
			Lane: kind.LaneData,
		})
	}
	if err != nil {
		return err
	}
	prev, err := published(p.Before, p.Organization, pub.zoneName())
	if err != nil || prev.GetGeneration() != served(now) {
		return err // the zone is told of when all of its generation is out
	}
	return pub.zone(now, prev)
}
