package zones_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// TestDomainHijackMatrix: another organization's apex, parent, child, case and IDN
// variants are refused, or stored and not served.
func TestDomainHijackMatrix(t *testing.T) {
	const victim = "zones/bücher.example.com"
	for _, c := range []struct {
		asked string
		want  string // refused, pending: stored but not served
	}{
		{"zones/bücher.example.com", "refused"},
		{"zones/BÜCHER.example.com", "refused"},
		{"zones/xn--bcher-kva.example.com", "refused"},
		{"zones/XN--BCHER-KVA.EXAMPLE.COM.", "refused"},
		{"zones/bu\u0308cher.example.com", "refused"}, // decomposed
		{"zones/ｂücher.example.com", "refused"},       // full width
		{"zones/bücher。example.com", "refused"},       // ideographic full stop
		{"zones/example.com", "refused"},
		{"zones/EXAMPLE.com", "refused"},
		{"zones/com", "refused"},
		{"zones/www.bücher.example.com", "refused"},
		{"zones/a.b.c.xn--bcher-kva.example.com", "refused"},
		{"zones/*.bücher.example.com", "refused"},
		{"zones/.", "refused"},
		{"zones/xn--bcher-kva.example.com\x00", "refused"},
		{"zones/xn--bcher-kva.example.com%2F", "pending"}, // its last label is "com/", another name
		{"zones/bücher.example.net", "pending"},
		{"zones/other.example.com", "pending"}, // beside it
		{"zones/notbücher.example.com", "pending"},
	} {
		w := newWorld(t)
		if err := w.zone("victim", victim, true, nil); err != nil {
			t.Fatal(err)
		}
		err := w.zone("thief", c.asked, false, nil)
		switch {
		case c.want == "refused" && !errs.Is(err, errs.Conflict) && !errs.Is(err, errs.Invalid):
			t.Errorf("%q: %v, want a refusal", c.asked, err)
		case c.want == "pending" && err != nil:
			t.Errorf("%q: %v, want pending", c.asked, err)
		case c.want == "pending":
			name, _ := admit.Canonical(w.z.Zone(), c.asked)
			z := w.get("thief", name)
			if z.GetStatus().GetControl() != dnsv1.ZoneStatus_CONTROL_PENDING || z.Status.Challenge == "" {
				t.Errorf("%q: %v", c.asked, z)
			}
			if recs := w.publish("thief", name, nil); len(recs) != 0 {
				t.Errorf("%q is pending and published: %v", c.asked, recs)
			}
		}
	}
}

func TestGrantsAndOwnAncestors(t *testing.T) {
	w := newWorld(t)
	if err := w.zone("victim", "zones/example.com", true, &dnsv1.ZoneSpec{Grants: []string{"friend"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.zone("friend", "zones/sub.example.com", false, nil); err != nil {
		t.Fatal(err)
	}
	if z := w.get("friend", "zones/sub.example.com"); z.Status.Control != dnsv1.ZoneStatus_CONTROL_PENDING {
		t.Errorf("a grant is no proof of control: %v", z)
	}
	if err := w.zone("victim", "zones/own.example.com", false, nil); err != nil {
		t.Fatal(err)
	}
	if z := w.get("victim", "zones/own.example.com"); z.Status.Control != dnsv1.ZoneStatus_CONTROL_SHOWN {
		t.Errorf("below a zone of one's own: %v", z)
	}
	// A client cannot say of itself that control is shown.
	if err := w.do("thief", false, func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Put(ctx, w.z.Zone(), &dnsv1.Zone{
			Name:   "zones/example.net",
			Status: &dnsv1.ZoneStatus{Control: dnsv1.ZoneStatus_CONTROL_SHOWN},
		},
			admit.Options{Mask: []string{"status"}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if z := w.get("thief", "zones/example.net"); z.Status.Control != dnsv1.ZoneStatus_CONTROL_PENDING {
		t.Errorf("status was written: %v", z)
	}
}

func TestWhatMayStandTogether(t *testing.T) {
	w := newWorld(t)
	if err := w.zone("acme", "zones/example.com", true, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, record string
		ok           bool
	}{
		{"a/A", "192.0.2.1", true},
		{"a/CNAME", "b", false},
		{"c/CNAME", "b", true},
		{"c/TXT", "x", false},
		{"@/CNAME", "b", false},
		{"@/NS", "ns1.example.net.", true},
		{"d/NS", "ns1.example.net.", true},
		{"d/DNAME", "example.net.", false},
		{"e/DNAME", "example.net.", true},
		{"e/NS", "ns1.example.net.", false},
		{"e/A", "192.0.2.1", true},
		{"@/SOA", "a. b. 1 2 3 4 5", false},
		{"@/DS", "1 8 2 " + strings.Repeat("00", 32), false},
		{"*/NS", "ns1.example.net.", false},
		{"*/A", "192.0.2.1", true},
		{"a/TYPE65280", `\# 2 0001`, true},
		{"a/ANY", "x", false},
		{"big/TXT", strings.Repeat(`"`+strings.Repeat("x", 255)+`" `, 255), false},
	} {
		err := w.set("acme", "example.com/"+c.name, -1, c.record)
		if c.ok != (err == nil) || !c.ok && !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v, want ok %v", c.name, err, c.ok)
		}
	}
	if err := w.set("acme", "example.net/a/A", -1, "192.0.2.1"); !errs.Is(err, errs.NotFound) {
		t.Errorf("without a zone: %v", err)
	}
	if err := w.set("other", "example.com/a/A", -1, "192.0.2.1"); !errs.Is(err, errs.NotFound) {
		t.Errorf("another organization's zone: %v", err)
	}
}

// TestCNAMERace: two writers who each saw nothing cannot both win.
func TestCNAMERace(t *testing.T) {
	w := newWorld(t)
	if err := w.zone("acme", "zones/example.com", true, nil); err != nil {
		t.Fatal(err)
	}
	once := true
	err := w.do("acme", true, func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Put(ctx, w.z.RecordSet(), &dnsv1.RecordSet{
			Name: "example.com/a/CNAME",
			Spec: &dnsv1.RecordSetSpec{Records: []string{"b"}},
		}, admit.Options{})
		if once && err == nil {
			once = false
			if err := w.set("acme", "example.com/a/A", -1, "192.0.2.1"); err != nil {
				t.Error(err)
			}
		}
		return err
	})
	if err == nil {
		t.Fatal("a CNAME stands beside an address")
	}
}

func TestNamesAreCanonical(t *testing.T) {
	w := newWorld(t)
	for in, want := range map[string]string{
		"Example.COM/WWW/a":                               "zones/example.com/records/www/A",
		"zones/example.com./records/\\087ww/txt":          "zones/example.com/records/www/TXT",
		"zones/example.com/records/bücher/A":              "zones/example.com/records/xn--bcher-kva/A",
		"zones/example.com/records/0%2f25/PTR":            "zones/example.com/records/0%2F25/PTR",
		"zones/example.com/records/a%25b/TYPE1":           "zones/example.com/records/a%25b/A",
		"zones/example.com/records/@/mx":                  "zones/example.com/records/@/MX",
		"zones/example.com/records/_dmarc.x/TXT":          "zones/example.com/records/_dmarc.x/TXT",
		"zones/0%2F25.2.0.192.in-addr.arpa/records/1/PTR": "zones/0%2F25.2.0.192.in-addr.arpa/records/1/PTR",
	} {
		got, err := admit.Canonical(w.z.RecordSet(), in)
		if err != nil || got != want {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
		if again, err := admit.Canonical(w.z.RecordSet(), got); err != nil || again != got {
			t.Errorf("%s is not canonical: %s %v", got, again, err)
		}
	}
}

// publish runs a kind's Publish as the publisher does, between two revisions.
func (w *world) publish(org, stored string, before *uint64) []kind.Record {
	w.t.Helper()
	k := w.z.Zone()
	if strings.Count(stored, "/") > 1 {
		k = w.z.RecordSet()
	}
	at := w.state.Revision() - 1
	if before != nil {
		at = *before
	}
	b, err := w.state.At(at)
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := w.state.At(0)
	if err != nil {
		w.t.Fatal(err)
	}
	p := kind.Publication{
		Before: admit.NewView(b, w.state.Published), After: admit.NewView(a, w.state.Published),
		Organization: org, Stored: stored,
	}
	if p.Old, _, err = p.Before.Get(w.t.Context(), k.FullName(), org, stored); err != nil {
		w.t.Fatal(err)
	}
	if p.New, _, err = p.After.Get(w.t.Context(), k.FullName(), org, stored); err != nil {
		w.t.Fatal(err)
	}
	var out []kind.Record
	if err := k.Publish(w.t.Context(), p, func(r kind.Record) error { out = append(out, r); return nil }); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func names(rs []kind.Record) string {
	var out []string
	for _, r := range rs {
		n := r.Name
		switch {
		case r.Prefix:
			n = "-" + n + "*"
		case r.Value == nil:
			n = "-" + n
		}
		out = append(out, n)
	}
	return strings.Join(out, " ")
}

func (w *world) accept(rs []kind.Record) {
	for _, r := range rs {
		w.state.SetPublished(r.Stream, r.Kind, r.Name, r.Value)
	}
}

func TestPublish(t *testing.T) {
	w := newWorld(t)
	pending := w.zone("acme", "zones/example.com", false, &dnsv1.ZoneSpec{
		MinimumSerial: 100,
		DefaultTtl:    proto.Uint32(60),
	})
	if pending != nil {
		t.Fatal(pending)
	}
	gen := w.get("acme", "zones/example.com").Status.Generation
	stored := fmt.Sprintf("zones/example.com/%016x/www/A", gen)
	if err := w.set("acme", "example.com/www/A", -1, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if err := w.set("acme", "example.com/x/A", 5, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if rs := w.publish("acme", stored, nil); len(rs) != 0 {
		t.Fatalf("pending: %s", names(rs))
	}
	if err := w.zone("acme", "zones/example.com", true, &dnsv1.ZoneSpec{
		MinimumSerial: 100,
		DefaultTtl:    proto.Uint32(60),
	}); err != nil {
		t.Fatal(err)
	}
	rs := w.publish("acme", "zones/example.com", nil)
	want := fmt.Sprintf("zones/example.com/%d/www/A zones/example.com/%d/x/A zones/example.com", gen, gen)
	if names(rs) != want || rs[0].Stream != "org/acme" {
		t.Fatalf("served: %s", names(rs))
	}
	set := &dnsv1.PublishedRecordSet{}
	if err := proto.Unmarshal(rs[0].Value, set); err != nil || set.Ttl != 60 || set.Type != 1 || len(set.Rdata) != 1 ||
		string(set.Rdata[0]) != "\xc0\x00\x02\x01" {
		t.Fatalf("%v %v", set, err)
	}
	serial := func(rs []kind.Record) uint32 {
		z := &dnsv1.PublishedZone{}
		for _, r := range rs {
			if r.Kind == "dark.dns.v1.Zone" {
				if err := proto.Unmarshal(r.Value, z); err != nil {
					t.Fatal(err)
				}
			}
		}
		return z.Serial
	}
	if serial(rs) != 100 {
		t.Fatalf("serial %d", serial(rs))
	}
	w.accept(rs)
	// One record set changes: itself and the serial, the same however often it is asked.
	if err := w.set("acme", "example.com/www/A", -1, "192.0.2.2"); err != nil {
		t.Fatal(err)
	}
	one, two := w.publish("acme", stored, nil), w.publish("acme", stored, nil)
	if names(one) != fmt.Sprintf("zones/example.com/%d/www/A zones/example.com", gen) || serial(one) != 101 ||
		serial(two) != 101 {
		t.Fatalf("one set: %s, serial %d, %d", names(one), serial(one), serial(two))
	}
	w.accept(one)
	// The zone's TTL is that of sets that give none.
	if err := w.zone("acme", "zones/example.com", true, &dnsv1.ZoneSpec{
		MinimumSerial: 100,
		DefaultTtl:    proto.Uint32(61),
	}); err != nil {
		t.Fatal(err)
	}
	if rs = w.publish("acme", "zones/example.com",
		nil); names(rs) != fmt.Sprintf("zones/example.com/%d/www/A zones/example.com", gen) {
		t.Fatalf("default TTL: %s", names(rs))
	}
	w.accept(rs)
	// A large import turns the zone to another generation.
	before := w.state.Revision()
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", AllowLargeDeletion: true},
		hosts(2500, "192.0.2.9")); err != nil {
		t.Fatal(err)
	}
	g2 := w.get("acme", "zones/example.com").Status.Generation
	rs = w.publish("acme", "zones/example.com", &before)
	if len(rs) != 2502 || names(rs[2500:]) != fmt.Sprintf("zones/example.com -zones/example.com/%d/*", gen) ||
		g2 == gen {
		t.Fatalf("flip: %d records, %s", len(rs), names(rs[max(0, len(rs)-2):]))
	}
	if rs := w.publish("acme", fmt.Sprintf("zones/example.com/%016x/h1/A", g2), &before); len(rs) != 0 {
		t.Fatalf("a set of the new generation by itself: %s", names(rs))
	}
	w.accept(rs)
	if err := w.do("acme", true, func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Delete(ctx, w.z.Zone(), "example.com", admit.Options{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if rs = w.publish("acme", "zones/example.com", nil); names(rs) != "-zones/example.com -zones/example.com/*" {
		t.Fatalf("ended: %s", names(rs))
	}
}

func TestSerialFollowsRFC1982(t *testing.T) {
	for _, c := range []struct{ prev, least, want uint32 }{
		{0, 0, 1},
		{1, 0, 2},
		{0, 2026010101, 2026010101},
		{2026010101, 2026010101, 2026010102},
		{1<<32 - 1, 0, 1},
		{5, 9, 9},
		{9, 5, 10},
		{1<<32 - 2, 3, 3},
		{3, 1<<32 - 2, 4},
	} {
		if got := zones.NextSerial(c.prev, c.least); got != c.want {
			t.Errorf("after %d, at least %d: %d, want %d", c.prev, c.least, got, c.want)
		}
	}
}
