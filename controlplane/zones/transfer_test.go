package zones_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/controlplane/admit/statetest"
	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/kind"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// world is the kinds over a model of the state, without the API.
type world struct {
	t     *testing.T
	state *statetest.State
	z     *zones.Zones
	w     *admit.Writer
	tr    *zones.Transfers
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, state: statetest.New()}
	w.z = newZones(t.TempDir())
	w.w = &admit.Writer{State: w.state, Proposer: &pages{
		State: w.state, w: w,
		room: kind.Room{Records: 700, Bytes: 1 << 20},
	}, Validate: noViolations}
	w.tr = w.z.Transfers(w.w)
	return w
}

func newZones(dir string) *zones.Zones {
	return zones.New(zones.Options{Compilers: compilers(), NameServer: "ns1.dark.test.", Dir: dir})
}

func noViolations(proto.Message) []kind.Violation { return nil }

func splitLines(b []byte) []string { return strings.Split(string(b), "\n") }

func (w *world) do(org string, trusted bool, build func(context.Context, *admit.Tx) error) error {
	_, err := w.w.Do(w.t.Context(), admit.Request{
		Organization: org, Caller: kind.Caller{Who: "test", TrustedDomains: trusted},
		Origin: &statev1.Origin{Who: "test"},
	}, build)
	return err
}

func (w *world) zone(org, name string, trusted bool, spec *dnsv1.ZoneSpec) error {
	return w.do(org, trusted, func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Put(ctx, w.z.Zone(), &dnsv1.Zone{Name: name, Spec: spec}, admit.Options{})
		return err
	})
}

// set puts a record set; a negative TTL gives none.
func (w *world) set(org, name string, ttl int, records ...string) error {
	spec := &dnsv1.RecordSetSpec{Records: records}
	if ttl >= 0 {
		spec.Ttl = proto.Uint32(uint32(ttl))
	}
	return w.do(org, true, func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Put(ctx, w.z.RecordSet(), &dnsv1.RecordSet{Name: name, Spec: spec}, admit.Options{})
		return err
	})
}

// end deletes a record set.
func (w *world) end(org, name string) error {
	return w.do(org, false, func(ctx context.Context, tx *admit.Tx) error {
		_, err := tx.Delete(ctx, w.z.RecordSet(), name, admit.Options{})
		return err
	})
}

func (w *world) get(org, name string) *dnsv1.Zone {
	w.t.Helper()
	r, err := w.state.At(0)
	if err != nil {
		w.t.Fatal(err)
	}
	m, _, err := admit.NewView(r, nil).Get(w.t.Context(), "dark.dns.v1.Zone", org, name)
	if err != nil {
		w.t.Fatal(err)
	}
	z, _ := m.(*dnsv1.Zone)
	return z
}

// pipe is a stream with what the client sends, and what it was sent.
type pipe struct {
	ctx  context.Context
	in   []proto.Message
	sent []proto.Message
}

func (p *pipe) SetHeader(metadata.MD) error  { return nil }
func (p *pipe) SendHeader(metadata.MD) error { return nil }
func (p *pipe) SetTrailer(metadata.MD)       {}
func (p *pipe) Context() context.Context     { return p.ctx }
func (p *pipe) SendMsg(m any) error {
	p.sent = append(p.sent, proto.Clone(m.(proto.Message)))
	return nil
}

func (p *pipe) RecvMsg(m any) error {
	if len(p.in) == 0 {
		return io.EOF
	}
	proto.Merge(m.(proto.Message), p.in[0])
	p.in = p.in[1:]
	return nil
}

var _ grpc.ServerStream = (*pipe)(nil)

func (w *world) imports(org string, first *dnsv1.ImportZoneRequest, file string) (*dnsv1.ImportZoneResponse, error) {
	ctx := identity.With(w.t.Context(), identity.Caller{
		Who: "test", Organization: org,
		Permissions: []string{"dns:write", "dns:trust"},
	})
	p := &pipe{ctx: ctx, in: []proto.Message{first}}
	for b := []byte(file); len(b) > 0; {
		n := min(len(b), 100_001)
		p.in = append(p.in, &dnsv1.ImportZoneRequest{Data: b[:n]})
		b = b[n:]
	}
	if err := w.tr.Import(p); err != nil {
		return nil, err
	}
	last := p.sent[len(p.sent)-1].(*dnsv1.ImportZoneResponse)
	if !last.Done {
		w.t.Error("the last message does not say done")
	}
	return last, nil
}

func (w *world) exports(org, name string) string {
	w.t.Helper()
	ctx := identity.With(w.t.Context(), identity.Caller{
		Who: "test", Organization: org,
		Permissions: []string{"dns:read"},
	})
	p := &pipe{ctx: ctx, in: []proto.Message{&dnsv1.ExportZoneRequest{Name: name}}}
	if err := w.tr.Export(p); err != nil {
		w.t.Fatal(err)
	}
	var b bytes.Buffer
	for _, m := range p.sent {
		b.Write(m.(*dnsv1.ExportZoneResponse).Data)
	}
	return b.String()
}

const small = `$ORIGIN example.com.
$TTL 300
@ 3600 IN SOA ns1.example.net. host\.master.example.net. 2026010101 7200 900 1209600 300
@ IN NS ns1.example.net.
www IN A 192.0.2.1
WWW IN A 192.0.2.2
*.w IN TXT "a b" "c"
0/25 IN PTR a.example.net.
`

func TestImportThenExportIsTheSameZone(t *testing.T) {
	w := newWorld(t)
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "Example.COM", Create: true}, small)
	if err != nil {
		t.Fatal(err)
	}
	if got.Created != 4 || got.Records != 6 {
		t.Fatalf("%v", got)
	}
	z := w.get("acme", "zones/example.com")
	if z.Spec.MinimumSerial != 2026010101 || z.Spec.Contact != "host.master@example.net" ||
		z.Spec.PrimaryNameServer != "ns1.example.net" || z.Spec.GetNegativeTtl() != 300 {
		t.Fatalf("the SOA's settings: %v", z.Spec)
	}
	file := w.exports("acme", "example.com")
	again, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"}, file)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	if again.Unchanged != 4 || again.Created+again.Updated+again.Deleted != 0 {
		t.Fatalf("%v after\n%s", again, file)
	}
	other := newWorld(t)
	if _, err := other.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true}, file); err != nil {
		t.Fatal(err)
	}
	if f := other.exports("acme", "example.com"); f != file {
		t.Fatalf("exported\n%s\nthen\n%s", file, f)
	}
}

func TestImportSaysTheLine(t *testing.T) {
	w := newWorld(t)
	for file, want := range map[string]string{
		"@ 60 IN NS ns1.example.net.\nwww 60 IN A nonsense\n":           "line 2",
		"a 60 IN CNAME b\nb 60 IN A 192.0.2.1\na 60 IN A 192.0.2.1\n":   "a CNAME cannot be beside",
		"www 60 IN A 192.0.2.1\n\nwww.example.net. 60 IN A 192.0.2.1\n": "line 3",
	} {
		_, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true}, file)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", file, err, want)
		}
	}
	if w.get("acme", "zones/example.com") != nil {
		t.Error("a bad file made a zone")
	}
}

func TestImportReplacesACNAMEAndRefusesLargeDeletion(t *testing.T) {
	w := newWorld(t)
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true},
		"a 60 IN CNAME x.example.net.\nb 60 IN A 192.0.2.1\nc 60 IN A 192.0.2.1\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"},
		"a 60 IN A 192.0.2.7\nb 60 IN A 192.0.2.1\nc 60 IN A 192.0.2.1\n"); err != nil {
		t.Fatal(err)
	}
	before := w.state.Revision()
	_, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"}, "a 60 IN A 192.0.2.7\n")
	if admit.ReasonOf(err) != admit.ReasonLargeDeletion || w.state.Revision() != before {
		t.Fatalf("large deletion: %v", err)
	}
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", AllowLargeDeletion: true},
		"a 60 IN A 192.0.2.7\n")
	if err != nil || got.Deleted != 2 {
		t.Fatalf("%v %v", got, err)
	}
	dry, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", DryRun: true}, "a 60 IN A 192.0.2.8\n")
	if err != nil || dry.Updated != 1 {
		t.Fatalf("%v %v", dry, err)
	}
	if s := w.exports("acme", "example.com"); !strings.Contains(s, "192.0.2.7") {
		t.Fatalf("a dry run changed\n%s", s)
	}
}

func hosts(n int, ip string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "h%d 60 IN A %s\n", i, ip)
	}
	return b.String()
}

func TestLargeImportGoesByGenerations(t *testing.T) {
	w := newWorld(t)
	w.tr.SetSortMemory(64 << 10) // many runs
	const n = 2500
	got, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true}, hosts(n, "192.0.2.1"))
	if err != nil || got.Created != n {
		t.Fatalf("%v %v", got, err)
	}
	g1 := w.get("acme", "zones/example.com").Status.Generation
	got, err = w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"}, hosts(n, "192.0.2.2"))
	if err != nil || got.Updated != n {
		t.Fatalf("%v %v", got, err)
	}
	g2 := w.get("acme", "zones/example.com").Status.Generation
	if g1 == g2 || w.state.Revision() != got.Revision || len(own(w.state.MetaKeys())) != 0 {
		t.Fatalf("generations %d and %d, revision %d, keys %v", g1, g2, w.state.Revision(), w.state.MetaKeys())
	}
	// The flip is one small transaction.
	c, err := w.state.Commits(got.Revision-1, 1)
	if err != nil || len(c[0].Changed) != 1 || c[0].Changed[0].Name != "zones/example.com" {
		t.Fatalf("flip: %v %v", c, err)
	}
	if s := w.exports("acme", "example.com"); strings.Count(s, "192.0.2.2") != n || strings.Contains(s, "192.0.2.1\n") {
		t.Fatalf("%d of %d new", strings.Count(s, "192.0.2.2"), n)
	}
	// A few changes to it go the ordinary way again.
	commits := w.state.Revision()
	got, err = w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"},
		hosts(n-1, "192.0.2.2")+"new 60 IN A 192.0.2.3\n")
	if err != nil || got.Created != 1 || got.Deleted != 1 || w.state.Revision() != commits+1 ||
		w.get("acme", "zones/example.com").Status.Generation != g2 {
		t.Fatalf("%v %v", got, err)
	}
}

// own leaves out the publisher's notes, which it takes away itself.
func own(keys []string) []string {
	return slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, "bulk/") })
}

func TestConcurrentImportsConflict(t *testing.T) {
	w := newWorld(t)
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true},
		hosts(2100, "192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	// While the first one fills its generation, a second one begins and ends.
	once := true
	w.state.Before = func(tx *statev1.Transaction) {
		if once && len(tx.Ops) > 100 {
			once = false
			if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"},
				hosts(2100, "192.0.2.3")); err != nil {
				t.Errorf("second: %v", err)
			}
		}
	}
	_, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"}, hosts(2100, "192.0.2.2"))
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "another import replaced all its record sets") {
		t.Fatalf("first: %v", err)
	}
	if s := w.exports("acme", "example.com"); strings.Count(s, "192.0.2.3") != 2100 {
		t.Fatal("the zone is a mixture")
	}
	if keys := own(w.state.MetaKeys()); len(keys) != 0 {
		t.Fatalf("%v is left", keys)
	}
}

// TestAnImportConflictShowsBothSides: what somebody changed while a file was read is named, with what is
// stored and what the file has.
func TestAnImportConflictShowsBothSides(t *testing.T) {
	for _, c := range []struct {
		name   string
		meddle func(*world) error
		want   string
	}{
		{
			"a record set", func(w *world) error {
				return w.set("acme", "zones/example.com/records/www/A", 30, "192.0.2.9")
			},
			"zones/example.com/records/www/A was changed at revision 2, while the file was read: " +
				"stored is TTL 30 with 192.0.2.9, the file has TTL 60 with 192.0.2.2; import it again",
		},
		{
			"a record set that the file leaves out",
			func(w *world) error { return w.set("acme", "zones/example.com/records/old/A", 30, "192.0.2.9") },
			"zones/example.com/records/old/A was changed at revision 2, while the file was read: " +
				"stored is TTL 30 with 192.0.2.9, the file has no such record set; import it again",
		},
		{
			"a record set that ends",
			func(w *world) error { return w.end("acme", "zones/example.com/records/www/A") },
			"zones/example.com/records/www/A was deleted while the file was read; the file has TTL 60 with " +
				"192.0.2.2; import it again",
		},
		{
			"a field of the zone",
			func(w *world) error {
				return w.zone("acme", "zones/example.com", true, &dnsv1.ZoneSpec{
					Contact: "ops@example.net",
					Grants:  []string{"a", "b"},
				})
			},
			`spec.contact: stored is "ops@example.net", the import has no value; spec.grants: stored is "a", "b", ` +
				`the import has no value; import it again`,
		},
	} {
		w := newWorld(t)
		file := "www 60 IN A 192.0.2.1\nold 60 IN A 192.0.2.1\na 60 IN A 192.0.2.1\n"
		if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true}, file); err != nil {
			t.Fatal(err)
		}
		once := true
		w.state.Before = func(*statev1.Transaction) {
			if once {
				once = false // before the import's transaction, at the revision that it compared
				if err := c.meddle(w); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
		_, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com"},
			"www 60 IN A 192.0.2.2\na 60 IN A 192.0.2.1\n")
		if admit.ReasonOf(err) != admit.ReasonChanged || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestZoneMadeDuringItsImport: whoever makes the zone while an import fills it gets an
// empty zone, and the import a conflict.
func TestZoneMadeDuringItsImport(t *testing.T) {
	w := newWorld(t)
	once := true
	w.state.Before = func(tx *statev1.Transaction) {
		if once {
			once = false // before the import's first transaction, at the revision that it read
			if err := w.zone("acme", "zones/example.com", true, nil); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "example.com", Create: true},
		hosts(3000, "192.0.2.1")); !errs.Is(err, errs.Conflict) {
		t.Fatal(err)
	}
	if s := w.exports("acme", "example.com"); strings.Contains(s, "192.0.2.1") {
		t.Fatal("the zone took over what the import left")
	}
}
