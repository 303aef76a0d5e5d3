package dns

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

func zoneChange(t testing.TB, apex string, gen uint64, serial uint32, ended ...uint64) kind.Change {
	v, err := proto.Marshal(&dnsv1.PublishedZone{
		Apex: apex, Generation: gen, Serial: serial, PrimaryNameServer: "ns1." + apex + ".",
		Mailbox: "hostmaster." + apex + ".",
		Refresh: 1, Retry: 2, Expire: 3, NegativeTtl: 4, SoaTtl: 5, EndedGenerations: ended,
	})
	if err != nil {
		t.Fatal(err)
	}
	return kind.Change{Kind: KindZone, Organization: "acme", Name: "zones/" + apex, Value: v}
}

func setChange(t testing.TB, apex string, gen uint64, owner string, last byte) kind.Change {
	v, err := proto.Marshal(&dnsv1.PublishedRecordSet{
		Apex: apex, Generation: gen, Owner: owner, Type: 1, Ttl: 60, Rdata: [][]byte{{192, 0, 2, last}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return kind.Change{Kind: KindRecordSet, Organization: "acme", Name: fmt.Sprintf("zones/%s/%d/%s/A", apex, gen,
		owner), Value: v}
}

// address is the last octet of the A record at owner, 0 when there is none.
func address(v *View, apex, owner string) byte {
	z, ok := v.Zones.Zone(apex)
	if !ok {
		return 0
	}
	var last byte
	z.Ascend(func(n *zone.Node) bool {
		if n.Owner() == owner {
			s, _ := n.Set(wire.TypeA)
			rd, _, _ := s.Next(0)
			last = rd[3]
		}
		return true
	})
	return last
}

func TestCompile(t *testing.T) {
	svc := Service(func(*View) {})
	var prev any
	step := func(refused int, changes ...kind.Change) *View {
		t.Helper()
		next, bad := svc.Compile(prev, changes)
		if len(bad) != refused {
			t.Fatalf("refused %v, want %d", bad, refused)
		}
		prev = next
		return next.(*View)
	}
	v := step(0, setChange(t, "example.com", 1, "www", 1))
	if v.Zones.Len() != 0 {
		t.Fatal("record sets alone must not be served")
	}
	v = step(0, zoneChange(t, "example.com", 1, 10))
	if address(v, "example.com", "www") != 1 {
		t.Fatal("not served")
	}
	old := v
	// a bad change is refused by name and leaves the last good answer
	bad := setChange(t, "example.com", 1, "www", 2)
	bad.Value = []byte{0xff}
	wrong := setChange(t, "example.com", 1, "a..b", 2)
	v = step(2, bad, wrong, setChange(t, "example.com", 1, "ftp", 3))
	if address(v, "example.com", "www") != 1 || address(v, "example.com", "ftp") != 3 {
		t.Fatal("a refusal spoiled another change")
	}
	// the next generation gathers beside, then flips in one step
	v = step(0, setChange(t, "example.com", 2, "www", 9))
	if address(v, "example.com", "www") != 1 {
		t.Fatal("the next generation shows before it is active")
	}
	v = step(0, zoneChange(t, "example.com", 2, 11, 1))
	if address(v, "example.com", "www") != 9 || address(v, "example.com", "ftp") != 0 {
		t.Fatal("the flip")
	}
	v = step(0, kind.Change{Kind: KindRecordSet, Name: "zones/example.com/1/www/A"}, setChange(t, "example.com", 1,
		"late", 7))
	if k, _ := v.all.Get("example.com"); len(k.gens) != 1 {
		t.Fatal("an ended generation came back")
	}
	v = step(0, kind.Change{Kind: KindRecordSet, Name: "zones/example.com/2/www/A"})
	if address(v, "example.com", "www") != 0 || v.Zones.Len() != 1 {
		t.Fatal("delete of a set")
	}
	v = step(0, kind.Change{Kind: KindZone, Name: "zones/example.com"})
	if v.Zones.Len() != 0 {
		t.Fatal("delete of the zone")
	}
	if address(old, "example.com", "www") != 1 {
		t.Fatal("an earlier view changed")
	}
}

func TestDeletePrefix(t *testing.T) {
	first := []kind.Change{zoneChange(t, "a.example", 1, 1), zoneChange(t, "b.example", 1, 1)}
	for _, apex := range []string{"a.example", "b.example"} {
		for _, o := range []string{"x", "xy", `p\/q`, "z"} {
			first = append(first, setChange(t, apex, 1, o, 1), setChange(t, apex, 2, o, 2))
		}
	}
	for _, c := range []struct {
		kind, prefix string
		a, b, zones  int
	}{
		{KindRecordSet, "zones/a.example/1/", 0, 4, 2},
		{KindRecordSet, "zones/a.example/", 0, 4, 2},
		{KindRecordSet, "zones/", 0, 0, 2},
		{KindRecordSet, "", 0, 0, 2},
		{KindRecordSet, "zones/a.example/1/x", 2, 4, 2},
		{KindRecordSet, "zones/a.example/1/x/", 3, 4, 2},
		{KindRecordSet, "zones/a", 0, 4, 2},
		{KindZone, "zones/a", -1, 4, 1},
		{KindZone, "zones/", -1, -1, 0},
		{KindZone, "", -1, -1, 0},
	} {
		v, bad := new(View).Compile(append(first[:len(first):len(first)], kind.Change{
			Kind: c.kind, Name: c.prefix,
			Prefix: true,
		}))
		if bad != nil {
			t.Fatal(bad)
		}
		n := func(apex string) int {
			z, ok := v.Zones.Zone(apex)
			if !ok {
				return -1
			}
			return z.RRsets()
		}
		if n("a.example") != c.a || n("b.example") != c.b || v.Zones.Len() != c.zones {
			t.Errorf("%s %q: %d %d of %d zones, want %d %d of %d", c.kind, c.prefix, n("a.example"), n("b.example"),
				v.Zones.Len(), c.a, c.b, c.zones)
		}
	}
}

// TestSnapshot: 10,000 zones with 1,000,000 names in all start in under 10 s.
func TestSnapshot(t *testing.T) {
	zones, names := 10_000, 100
	if testing.Short() || raceEnabled {
		zones = 200
	}
	var cs []kind.Change
	for i := range zones {
		apex := fmt.Sprintf("zone%d.example", i)
		cs = append(cs, zoneChange(t, apex, 1, 1))
		for j := range names {
			cs = append(cs, setChange(t, apex, 1, fmt.Sprintf("host%d", j), byte(j)))
		}
	}
	start := time.Now()
	v, bad := new(View).Compile(cs)
	took := time.Since(start)
	t.Logf("%d changes in %v", len(cs), took)
	if bad != nil || v.Zones.Len() != zones {
		t.Fatal(len(bad), v.Zones.Len())
	}
	if took > 20*time.Second { // twice the budget: a shared machine
		t.Errorf("took %v", took)
	}
}

// TestApexWithASlash: RFC 2317 4 delegates parts of a reverse zone as "0/25.2.0.192.in-addr.arpa".
func TestApexWithASlash(t *testing.T) {
	const apex, name = "0/25.2.0.192.in-addr.arpa", "zones/0%2F25.2.0.192.in-addr.arpa"
	value := func(m proto.Message) []byte {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	soa := &dnsv1.PublishedZone{
		Apex: apex, Generation: 2, Serial: 1, PrimaryNameServer: "ns.example.",
		Mailbox: "h.example.",
	}
	set := &dnsv1.PublishedRecordSet{
		Apex: apex, Generation: 2, Owner: "1", Type: 16, Ttl: 60,
		Rdata: [][]byte{{1, 'x'}},
	}
	v, refused := (&View{}).Compile([]kind.Change{
		{Kind: KindRecordSet, Name: name + "/2/1/TXT", Value: value(set)},
		{Kind: KindZone, Name: name, Value: value(soa)},
	})
	if len(refused) > 0 {
		t.Fatal(refused)
	}
	sets := func(v *View) int {
		z, ok := v.Zones.Zone(apex)
		if !ok {
			return -1
		}
		return z.RRsets()
	}
	before := sets(v)
	v2, _ := v.Compile([]kind.Change{{Kind: KindRecordSet, Name: name + "/2/1/TXT"}})
	if before < 1 || sets(v2) != before-1 {
		t.Fatalf("%d sets, %d after one was deleted", before, sets(v2))
	}
	v3, _ := v.Compile([]kind.Change{{Kind: KindZone, Name: name}, {
		Kind: KindRecordSet, Name: name + "/",
		Prefix: true,
	}})
	if sets(v3) != -1 {
		t.Fatalf("the zone is still there with %d sets", sets(v3))
	}
}
