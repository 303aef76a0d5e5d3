package dns

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/dns/rdata"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
	"github.com/dark-ecosystem/dark/internal/kind"
	"github.com/dark-ecosystem/dark/internal/tree"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// Full names of the published kinds.
const (
	KindZone      = "dark.dns.v1.Zone"
	KindRecordSet = "dark.dns.v1.RecordSet"
)

// Service returns the edge side of DNS; swap publishes each view.
func Service(swap func(*View)) kind.Service {
	return kind.Service{
		Name:    "dns",
		Kinds:   []string{KindZone, KindRecordSet},
		Compile: func(prev any, changes []kind.Change) (any, []kind.Refusal) { return compileAny(prev, changes) },
		Swap:    func(next any) { swap(next.(*View)) },
	}
}

func compileAny(prev any, changes []kind.Change) (*View, []kind.Refusal) {
	v, _ := prev.(*View)
	if v == nil {
		v = &View{}
	}
	return v.Compile(changes)
}

// Compile returns the view after changes, in order. What cannot be compiled is
// refused and leaves what was there.
func (v *View) Compile(changes []kind.Change) (*View, []kind.Refusal) {
	c := compiler{from: v, zones: map[string]*work{}}
	for _, ch := range changes {
		if err := c.apply(ch); err != nil {
			c.refuse(ch, err)
		}
	}
	return c.finish(), c.refused
}

// compiler is one batch of changes on its way to a view.
type compiler struct {
	from    *View
	zones   map[string]*work
	refused []kind.Refusal
	set     dnsv1.PublishedRecordSet // reused from change to change
}

// work is what a batch does to one apex.
type work struct {
	apex   string
	prev   *known
	served *settings
	gens   map[uint64]*zone.Editor
	last   kind.Change // the last change of the zone's settings, for its refusal
}

func (c *compiler) refuse(ch kind.Change, err error) {
	c.refused = append(c.refused, kind.Refusal{
		Kind: ch.Kind, Organization: ch.Organization, Name: ch.Name, Revision: ch.Revision, Reason: err.Error(),
	})
}

func (c *compiler) apply(ch kind.Change) error {
	switch {
	case ch.Kind != KindZone && ch.Kind != KindRecordSet:
		return fmt.Errorf("kind %s is not one of this service", ch.Kind)
	case ch.Prefix:
		return c.deletePrefix(ch)
	case ch.Kind == KindZone && ch.Value == nil:
		return c.deleteZone(ch)
	case ch.Kind == KindZone:
		return c.putZone(ch)
	case ch.Value == nil:
		return c.deleteSet(ch)
	}
	return c.putSet(ch)
}

// at returns the work on an apex, begun with all that the view has of it.
func (c *compiler) at(apex string) *work {
	if w, ok := c.zones[apex]; ok {
		return w
	}
	w := &work{apex: apex, gens: map[uint64]*zone.Editor{}}
	if k, ok := c.from.all.Get(apex); ok {
		w.prev, w.served = k, k.served
		for _, g := range k.gens {
			w.gens[g.number] = g.zone.Edit()
		}
	}
	c.zones[apex] = w
	return w
}

func (c *compiler) putZone(ch kind.Change) error {
	var m dnsv1.PublishedZone
	if err := proto.Unmarshal(ch.Value, &m); err != nil {
		return fmt.Errorf("published zone: %w", err)
	}
	s := &settings{
		generation: m.GetGeneration(), serial: m.GetSerial(), ended: m.GetEndedGenerations(),
		soa: zone.SOA{
			MName: m.GetPrimaryNameServer(), RName: m.GetMailbox(), Refresh: m.GetRefresh(),
			Retry: m.GetRetry(), Expire: m.GetExpire(), Minimum: m.GetNegativeTtl(), TTL: m.GetSoaTtl(),
		},
	}
	if _, err := zone.New(m.GetApex(), s.soa, s.serial); err != nil {
		return err
	}
	w := c.at(m.GetApex())
	w.served, w.last = s, ch
	for _, g := range s.ended {
		delete(w.gens, g)
	}
	return nil
}

func (c *compiler) deleteZone(ch kind.Change) error {
	segment, ok := strings.CutPrefix(ch.Name, "zones/")
	apex, err := url.PathUnescape(segment)
	if !ok || err != nil {
		return fmt.Errorf("%q is not the name of a zone", ch.Name)
	}
	c.at(apex).served = nil
	return nil
}

func (c *compiler) putSet(ch kind.Change) error {
	m := &c.set
	m.Reset()
	if err := proto.Unmarshal(ch.Value, m); err != nil {
		return fmt.Errorf("published record set: %w", err)
	}
	if m.GetType() > 0xffff {
		return fmt.Errorf("record type %d is above 65535", m.GetType())
	}
	w := c.at(m.GetApex())
	if w.served != nil && slices.Contains(w.served.ended, m.GetGeneration()) {
		return nil // late for a generation that nobody will answer from
	}
	ed, err := w.editor(m.GetGeneration())
	if err != nil {
		return err
	}
	return ed.Put(zone.RRset{Owner: m.GetOwner(), Type: uint16(m.GetType()), TTL: m.GetTtl(), RData: m.GetRdata()})
}

func (w *work) editor(gen uint64) (*zone.Editor, error) {
	if ed, ok := w.gens[gen]; ok {
		return ed, nil
	}
	z, err := zone.New(w.apex, zone.SOA{}, 0) // the SOA comes when the generation is active
	if err != nil {
		return nil, err
	}
	w.gens[gen] = z.Edit()
	return w.gens[gen], nil
}

func (c *compiler) deleteSet(ch kind.Change) error {
	id, err := parseSetName(ch.Name)
	if err != nil {
		return err
	}
	if ed, ok := c.at(id.apex).gens[id.generation]; ok {
		return ed.Delete(id.owner, id.typ)
	}
	return nil
}

// setName is what the name of a published record set says.
type setName struct {
	apex       string
	generation uint64
	owner      string
	typ        uint16
}

// parseSetName reads "zones/APEX/GENERATION/OWNER/TYPE".
func parseSetName(name string) (id setName, err error) {
	f := strings.Split(name, "/")
	if len(f) != 5 || f[0] != "zones" {
		return id, fmt.Errorf("%q is not the name of a published record set", name)
	}
	if id.apex, err = url.PathUnescape(f[1]); err != nil {
		return id, fmt.Errorf("%q: apex: %w", name, err)
	}
	if id.generation, err = strconv.ParseUint(f[2], 10, 64); err != nil {
		return id, fmt.Errorf("%q: generation: %w", name, err)
	}
	if id.owner, err = url.PathUnescape(f[3]); err != nil {
		return id, fmt.Errorf("%q: owner: %w", name, err)
	}
	if n, err := strconv.ParseUint(f[4], 10, 16); err == nil {
		id.typ = uint16(n)
		return id, nil
	}
	if id.typ, err = rdata.ParseType(f[4]); err != nil {
		return id, fmt.Errorf("%q: %w", name, err)
	}
	return id, nil
}

// deletePrefix deletes all records of a kind whose names begin with ch.Name.
func (c *compiler) deletePrefix(ch kind.Change) error {
	for _, apex := range c.apexes(ch.Name) {
		w := c.at(apex)
		name := "zones/" + escape(apex)
		if ch.Kind == KindZone {
			if strings.HasPrefix(name, ch.Name) {
				w.served = nil
			}
			continue
		}
		for g := range w.gens {
			prefix := name + "/" + strconv.FormatUint(g, 10) + "/"
			switch {
			case strings.HasPrefix(prefix, ch.Name):
				delete(w.gens, g)
			case strings.HasPrefix(ch.Name, prefix):
				if err := w.deleteOwners(g, prefix, ch.Name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// apexes are the known apexes that records under a prefix of names may belong to.
func (c *compiler) apexes(prefix string) []string {
	rest, ok := strings.CutPrefix(prefix, "zones/")
	if !ok {
		if !strings.HasPrefix("zones/", prefix) {
			return nil
		}
		rest = ""
	}
	if segment, _, whole := strings.Cut(rest, "/"); whole {
		apex, err := url.PathUnescape(segment)
		if err != nil {
			return nil
		}
		return []string{apex}
	}
	found := map[string]bool{}
	c.from.all.Ascend("", func(k *known) bool {
		found[k.apex] = strings.HasPrefix(escape(k.apex), rest)
		return true
	})
	for apex := range c.zones {
		found[apex] = strings.HasPrefix(escape(apex), rest)
	}
	maps.DeleteFunc(found, func(_ string, ok bool) bool { return !ok })
	return slices.Collect(maps.Keys(found))
}

// escape is a name as one segment of a record's name: apexes of RFC 2317 and owners may
// hold a slash.
func escape(name string) string { return segments.Replace(name) }

var segments = strings.NewReplacer("%", "%25", "/", "%2F")

// deleteOwners deletes the sets of a generation whose names begin with under, a
// prefix longer than that of the generation. It reads the whole generation.
func (w *work) deleteOwners(gen uint64, prefix, under string) error {
	z := w.gens[gen].Zone()
	ed := z.Edit()
	var errs []error
	z.Ascend(func(n *zone.Node) bool {
		owner := n.Owner()
		escaped := escape(owner)
		for _, s := range n.Sets() {
			mnemonic := prefix + escaped + "/" + rdata.FormatType(s.Type)
			if strings.HasPrefix(mnemonic, under) {
				errs = append(errs, ed.Delete(owner, s.Type))
			}
		}
		return true
	})
	w.gens[gen] = ed
	return errors.Join(errs...)
}

// finish makes the view of all the work.
func (c *compiler) finish() *View {
	next := *c.from
	e := new(tree.Edit)
	for _, w := range c.zones {
		k := &known{apex: w.apex, served: w.served}
		if w.prev != nil {
			k.number = w.prev.number
		} else {
			next.numbers++
			k.number = next.numbers
		}
		for _, g := range slices.Sorted(maps.Keys(w.gens)) {
			if z := w.gens[g].Zone(); z.RRsets() > 0 {
				k.gens = append(k.gens, generation{g, z})
			}
		}
		if k.served == nil && len(k.gens) == 0 {
			next.all, _ = next.all.Delete(e, k.apex)
		} else {
			next.all = next.all.Put(e, k)
		}
		z, err := k.active()
		switch {
		case err != nil:
			c.refuse(w.last, err)
		case z != nil:
			next.Zones = next.Zones.WithEdit(e, z)
		default:
			next.Zones = next.Zones.Without(k.apex)
		}
	}
	return &next
}
