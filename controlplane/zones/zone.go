package zones

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

const (
	// maxSmall is how many record sets one ordinary transaction may touch; what has more
	// goes by generations.
	maxSmall = 2000

	defaultRefresh, defaultRetry, defaultExpire   = 7200, 900, 1209600
	defaultNegativeTTL, defaultSOATTL, defaultTTL = 300, 3600, 3600
)

type generationKey struct{}

// withGeneration makes the admission of a zone choose a generation: an import's flip.
func withGeneration(ctx context.Context, generation uint64) context.Context {
	return context.WithValue(ctx, generationKey{}, generation)
}

// admitZone judges a zone and decides what the server says of it.
func (z *Zones) admitZone(ctx context.Context, a *kind.Admission) error {
	segment := strings.TrimPrefix(a.Name, "zones/")
	apex := decode(segment)
	if a.New == nil {
		return z.endZone(ctx, a, segment)
	}
	zone := a.New.(*dnsv1.Zone)
	z.checkSpec(a, apex, zone.GetSpec())
	if err := z.status(ctx, a, apex, zone); err != nil {
		return err
	}
	// RFC 1034 4.2.1: authority over a name is over all below it, so a name above or
	// below another organization's zone needs its grant.
	a.Claims = []kind.Claim{{Space: "dns", Name: apex, Hierarchical: true, Grants: zone.GetSpec().GetGrants()}}
	return nil
}

func (z *Zones) checkSpec(a *kind.Admission, apex string, s *dnsv1.ZoneSpec) {
	if ns := s.GetPrimaryNameServer(); ns != "" {
		if _, err := z.host(ns); err != nil {
			a.Bad("spec.primaryNameServer", "%v", err)
		}
	}
	if c := s.GetContact(); c != "" {
		if _, err := z.mailbox(apex, c); err != nil {
			a.Bad("spec.contact", "%v", err)
		}
	}
	for i, g := range s.GetGrants() {
		if strings.ToLower(g) != g || strings.ContainsAny(g, "/ ") {
			a.Bad(fmt.Sprintf("spec.grants[%d]", i), "%q is not the name of an organization", g)
		}
	}
}

// status keeps what the server said of the zone, or says it for the first time. Only
// control is raised later: by trust, by a zone of the same owner above, or by the
// controller that looks for the challenge.
func (z *Zones) status(ctx context.Context, a *kind.Admission, apex string, zone *dnsv1.Zone) error {
	if zone.Status == nil {
		zone.Status = &dnsv1.ZoneStatus{}
	}
	s := zone.Status
	s.Serial = 0 // shown from what is published, never kept
	if s.Generation == 0 {
		s.Generation = firstGeneration(a.Reader.Revision())
	}
	if g, ok := ctx.Value(generationKey{}).(uint64); ok {
		s.Generation = g
	}
	if s.Control == dnsv1.ZoneStatus_CONTROL_SHOWN {
		return nil
	}
	above, err := z.shownAbove(ctx, a, apex)
	if err != nil {
		return err
	}
	if a.Caller.TrustedDomains || above {
		s.Control = dnsv1.ZoneStatus_CONTROL_SHOWN
		s.Challenge = ""
		return nil
	}
	s.Control = dnsv1.ZoneStatus_CONTROL_PENDING
	if s.Challenge == "" {
		s.Challenge = challenge()
	}
	return nil
}

// Generations come of the revision that is read, so that no earlier one of the same
// zone has their number. Those of new zones are even and those that imports fill odd:
// a zone that is made while an import of it is on its way must not take the import's
// half-filled generation for its own.
func firstGeneration(revision uint64) uint64  { return 2 * (revision + 1) }
func importGeneration(revision uint64) uint64 { return 2*(revision+1) + 1 }

// challenge is 160 random bits as letters.
func challenge() string {
	var b [20]byte
	rand.Read(b[:])
	return "dark-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// shownAbove reports whether the organization has shown control over a name above.
func (z *Zones) shownAbove(ctx context.Context, a *kind.Admission, apex string) (bool, error) {
	for {
		_, parent, ok := strings.Cut(apex, ".")
		if !ok {
			return false, nil
		}
		apex = parent
		p, _, err := getZone(ctx, a.Reader, a.Organization, encode(apex))
		if err != nil {
			return false, err
		}
		if p.GetStatus().GetControl() == dnsv1.ZoneStatus_CONTROL_SHOWN {
			return true, nil
		}
	}
}

// endZone ends a zone's record sets with it: each by name where they are few, so that
// history and rollback have them, or else by leaving their generation, which nobody can
// name any more, to the sweeper.
func (z *Zones) endZone(ctx context.Context, a *kind.Admission, segment string) error {
	generation := a.Old.(*dnsv1.Zone).GetStatus().GetGeneration()
	var ops []*statev1.Op
	many := false
	err := a.Reader.List(ctx, setName, a.Organization, setPrefix(segment, generation),
		func(stored string, _ proto.Message) bool {
			many = len(ops) == maxSmall
			ops = append(ops, &statev1.Op{Op: &statev1.Op_DeleteResource{DeleteResource: &statev1.Ref{
				Kind:         setName,
				Organization: a.Organization, Name: stored,
			}}})
			return !many
		})
	if err != nil {
		return err
	}
	if !many {
		a.Ops = append(a.Ops, ops...)
	}
	return nil
}

// importKey is where the sweeper finds a generation that an import fills; it drops what
// is not made active within a day.
func importKey(org, segment string, generation uint64) string {
	return fmt.Sprintf("import/%s/zones/%s/%016x", org, segment, generation)
}

func putMeta(key string, seconds int64) *statev1.Op {
	return &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: key, Value: []byte(fmt.Sprint(seconds))}}}
}

func deleteMeta(key string) *statev1.Op {
	return &statev1.Op{Op: &statev1.Op_DeleteMeta{DeleteMeta: key}}
}

// showZone adds the serial that is served.
func (z *Zones) showZone(_ context.Context, r kind.Reader, m proto.Message) error {
	zone := m.(*dnsv1.Zone)
	p, err := published(r, zone.GetOrganization(), zone.GetName())
	if err == nil && p != nil && zone.Status != nil {
		zone.Status.Serial = p.Serial
	}
	return err
}

// mailbox writes a contact as SOA RNAME (RFC 1035 8): user@host as user.host., dots in
// the user escaped; without "@" it is a domain name already.
func (z *Zones) mailbox(apex, contact string) (string, error) {
	if contact == "" {
		return "hostmaster." + apex + ".", nil
	}
	user, host, ok := strings.Cut(contact, "@")
	if !ok {
		return z.host(contact)
	}
	host, err := z.o.CanonicalApex(host)
	if err != nil {
		return "", err
	}
	if user == "" || len(user) > 63 || strings.ContainsAny(user, " \t\"\\();@") || !ascii(user) {
		return "", fmt.Errorf("%q is not a mailbox such as hostmaster@example.net", contact)
	}
	return strings.ReplaceAll(user, ".", `\.`) + "." + host + ".", nil
}

// host is an absolute domain name as the SOA has it. "." is one: it says that there is none.
func (z *Zones) host(name string) (string, error) {
	if name == "." {
		return name, nil
	}
	h, err := z.o.CanonicalApex(name)
	return h + ".", err
}

// soa is a zone's SOA with every default filled in.
func (z *Zones) soa(apex string, s *dnsv1.ZoneSpec) SOA {
	or := func(v *uint32, d uint32) uint32 {
		if v == nil {
			return d
		}
		return *v // 0 is a value: RFC 1035 3.2.1 has it for what must not be cached
	}
	if s == nil {
		s = &dnsv1.ZoneSpec{}
	}
	out := SOA{
		MName: z.o.NameServer, Refresh: or(s.Refresh, defaultRefresh), Retry: or(s.Retry, defaultRetry),
		Expire: or(s.Expire, defaultExpire), NegativeTTL: or(s.NegativeTtl, defaultNegativeTTL),
		TTL: or(s.SoaTtl, defaultSOATTL),
	}
	if ns := s.GetPrimaryNameServer(); ns != "" {
		if h, err := z.host(ns); err == nil {
			out.MName = h
		}
	}
	m, err := z.mailbox(apex, s.GetContact())
	if err != nil {
		m = "hostmaster." + apex + "." // admitted once, by another version
	}
	out.RName = m
	return out
}

// ttl of a record set, from the zone where it gives none.
func ttl(zone *dnsv1.Zone, s *dnsv1.RecordSetSpec) uint32 {
	switch {
	case s != nil && s.Ttl != nil:
		return *s.Ttl
	case zone != nil && zone.Spec != nil && zone.Spec.DefaultTtl != nil:
		return *zone.Spec.DefaultTtl
	}
	return defaultTTL
}
