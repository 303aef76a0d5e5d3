// Package zones is the control side of authoritative DNS: the kinds Zone and RecordSet,
// how they are stored and published, and the import and export of master files
// (RFC 1035 5). What a record is and which may stand together is decided by the
// compiler that the edges run; it comes in as values (Compilers), so that this package
// imports no service.
//
// A record set is stored under its zone's generation, "zones/APEX/GENERATION/OWNER/TYPE"
// with the generation in 16 hexadecimal digits: a large import fills another generation
// and one small transaction on the zone makes it the one that counts.
//
// The package owns no state: everything is in the replicated state.
package zones

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Set is the records of one owner and type, compiled.
type Set struct {
	Owner string // relative, "@" at the apex
	Type  uint16
	TTL   uint32
	RData [][]byte // uncompressed, in canonical order
}

// Bad is what is wrong with one record, or with the set as a whole where Index is -1.
type Bad struct {
	Index int
	Text  string
}

// Line is one record of a master file.
type Line struct {
	Owner string
	Type  uint16
	TTL   uint32
	Text  string // RDATA in presentation format, relative names being below the zone

	Line, Column int    // of the type
	Doubt        string // what is not kept as it is written
}

// SOA is the settings of a zone's SOA record (RFC 1035 3.3.13).
type SOA struct {
	MName, RName                             string // absolute, with the last dot
	Refresh, Retry, Expire, NegativeTTL, TTL uint32
}

// MasterWriter writes a master file.
type MasterWriter interface {
	SOA(soa SOA, serial uint32) error
	RRset(s Set) error
	Flush() error
}

// Compilers are the functions of the service that serves what is admitted here.
type Compilers struct {
	// CanonicalApex returns a zone's name in lower-case A-labels without the last dot.
	CanonicalApex func(string) (string, error)
	// CanonicalOwner returns an owner relative to the apex as it is written, case kept.
	CanonicalOwner func(apex, owner string) (string, error)
	ParseType      func(string) (uint16, error)
	FormatType     func(uint16) string
	// ParseRecordSet compiles records in presentation format, as they are admitted.
	ParseRecordSet func(apex, owner, typ string, ttl uint32, records []string) (Set, []Bad)
	// LoadRecordSet compiles what is stored, perhaps since a version that admitted more.
	LoadRecordSet func(apex, owner, typ string, ttl uint32, records []string) (Set, []Bad)
	// StoredRecords are records that ParseRecordSet takes as they are stored and served, which
	// is nearly always as they were written.
	StoredRecords func(apex, typ string, records []string) []string
	// CheckOwner refuses types that cannot be at one owner together, and says which is too
	// many.
	CheckOwner func(apex bool, types []uint16) (culprit uint16, err error)
	// ReadMaster calls emit for each record of a master file, the SOA included. Its errors
	// have a method Place, or several of them come as what Unwrap() []error returns.
	ReadMaster func(r io.Reader, apex string, emit func(Line) error) error
	NewMaster  func(w io.Writer, apex string) MasterWriter
}

// Options of the kinds.
type Options struct {
	Compilers
	// NameServer is the primary name server of zones that name none, absolute.
	NameServer string
	// Dir holds what large imports sort; it is on the node's data volume, and Clean makes it.
	Dir string
	// Room says whether the disk has room for so many octets more; nil: it has.
	Room func(octets int64) bool
	// Bounds of imports; the zero value stands for 8 at once, 2 of an organization, 6 GiB
	// and 2 GiB.
	Bounds Bounds
}

// Zones makes the kinds and the methods beside the standard ones.
type Zones struct {
	o Options
	// zoneKind and setKind are made once: kinds are compared by identity.
	zoneKind, setKind *kind.Kind
	imports           underWay
}

const (
	zoneName = "dark.dns.v1.Zone"
	setName  = "dark.dns.v1.RecordSet"
)

// New returns the family of kinds.
func New(o Options) *Zones {
	if o.NameServer == "" {
		o.NameServer = "ns.invalid."
	}
	if o.Bounds == (Bounds{}) {
		o.Bounds = defaultBounds
	}
	z := &Zones{o: o, imports: underWay{bounds: o.Bounds, room: o.Room}}
	z.zoneKind = &kind.Kind{
		Message: &dnsv1.Zone{}, Plural: "zones", Pattern: "zones/{zone}", Service: "dns", Lane: kind.LaneData,
		ConfirmDelete: true,
		NameRule:      z.zoneIDs, Admit: z.admitZone, Show: z.showZone, Publish: z.publishZone, Page: z.page,
		Columns: []kind.Column{
			{Title: "CONTROL", Path: "status.control"},
			{Title: "SERIAL", Path: "status.serial"},
			{Title: "TTL", Path: "spec.defaultTtl"},
		},
	}
	z.setKind = &kind.Kind{
		Message: &dnsv1.RecordSet{}, Plural: "recordsets", Pattern: "zones/{zone}/records/{owner}/{type}",
		Service: "dns", Lane: kind.LaneData,
		NameRule: z.setIDs, Locate: z.locate, Unlocate: unlocate, Displaces: z.displaces, Admit: z.admitSet,
		Show:   z.showSet,
		Silent: silentSet, Publish: z.publishSet,
		Columns: []kind.Column{{Title: "TTL", Path: "spec.ttl"}, {Title: "RECORDS", Path: "spec.records"}},
	}
	return z
}

// Zone is the kind of zones.
func (z *Zones) Zone() *kind.Kind { return z.zoneKind }

// RecordSet is the kind of record sets.
func (z *Zones) RecordSet() *kind.Kind { return z.setKind }

// getZone reads a zone; nil and 0 when there is none.
func getZone(ctx context.Context, r kind.Reader, org, segment string) (*dnsv1.Zone, uint64, error) {
	m, rev, err := r.Get(ctx, zoneName, org, "zones/"+segment)
	if err != nil || m == nil {
		return nil, rev, err
	}
	return m.(*dnsv1.Zone), rev, nil
}

// locate places a record set, or a zone's list of them, under the active generation.
// The zone must not change meanwhile; writes then try again.
func (z *Zones) locate(ctx context.Context, r kind.Reader, org, name string) (string, []*statev1.Precondition, error) {
	f := strings.SplitN(name, "/", 4) // zones, ZONE, records, rest
	if len(f) != 4 {
		return "", nil, errs.New(errs.Internal, "%q is not below a zone", name)
	}
	zone, rev, err := getZone(ctx, r, org, f[1])
	if err != nil {
		return "", nil, err
	}
	if zone == nil {
		return "", nil, errs.New(errs.NotFound, "zones/%s does not exist", f[1])
	}
	guard := &statev1.Precondition{Condition: &statev1.Precondition_ResourceAt{ResourceAt: &statev1.ResourceAt{
		Ref: &statev1.Ref{Kind: zoneName, Organization: org, Name: "zones/" + f[1]}, Revision: rev,
	}}}
	return setPrefix(f[1], zone.GetStatus().GetGeneration()) + f[3], []*statev1.Precondition{guard}, nil
}

// setPrefix begins the stored names of a generation's record sets.
func setPrefix(segment string, generation uint64) string {
	return fmt.Sprintf("zones/%s/%016x/", segment, generation)
}

// unlocate is the reverse of locate, "" for what is no record set.
func unlocate(stored string) string {
	f := strings.Split(stored, "/")
	if len(f) != 5 {
		return ""
	}
	return "zones/" + f[1] + "/records/" + f[3] + "/" + f[4]
}
