package zones_test

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// bounded is a world whose imports have bounds.
func bounded(t *testing.T, b zones.Bounds, room func(int64) bool) *world {
	w := newWorld(t)
	w.z = zones.New(zones.Options{
		Compilers: compilers(), NameServer: "ns1.dark.test.", Dir: t.TempDir(), Bounds: b,
		Room: room,
	})
	w.tr = w.z.Transfers(w.w)
	return w
}

var wide = zones.Bounds{
	Imports: 8, ImportsOf: 8, Bytes: 1 << 40, BytesOf: 1 << 40, Part: time.Minute,
	Receive: time.Hour, Patience: time.Hour,
}

// held is a stream of a client that sends a first part, and the rest when it is let go.
type held struct {
	pipe
	begun chan struct{}
	letGo chan struct{}
}

func (h *held) RecvMsg(m any) error {
	if len(h.in) == 0 {
		close(h.begun)
		select {
		case <-h.letGo:
		case <-h.ctx.Done():
			return h.ctx.Err()
		}
		return io.EOF
	}
	return h.pipe.RecvMsg(m)
}

func (w *world) hold(org, zone string) (h *held, done chan error) {
	ctx := identity.With(w.t.Context(), identity.Caller{
		Who: "test", Organization: org,
		Permissions: []string{"dns:write", "dns:trust"},
	})
	h = &held{pipe: pipe{ctx: ctx, in: []proto.Message{&dnsv1.ImportZoneRequest{
		Name: zone, Create: true,
		DryRun: true,
	}}}, begun: make(chan struct{}), letGo: make(chan struct{})}
	done = make(chan error, 1)
	go func() { done <- w.tr.Import(h) }()
	return h, done
}

// TestImportsAtOnceAreBounded, of one organization and in all, dry runs too; a place is
// free again when one ends.
func TestImportsAtOnceAreBounded(t *testing.T) {
	b := wide
	b.Imports, b.ImportsOf = 3, 2
	w := bounded(t, b, nil)
	first, done := w.hold("acme", "a.example")
	second, done2 := w.hold("acme", "b.example")
	<-first.begun
	<-second.begun
	dry := &dnsv1.ImportZoneRequest{Name: "c.example", Create: true, DryRun: true}
	_, err := w.imports("acme", dry, "@ 60 IN A 192.0.2.1\n")
	if !errs.Is(err, errs.Exhausted) || !strings.Contains(err.Error(), "acme has 2 imports") ||
		!strings.Contains(err.Error(), "try again when") {
		t.Errorf("a third one: %v", err)
	}
	third, done3 := w.hold("other", "d.example")
	<-third.begun
	_, err = w.imports("third", &dnsv1.ImportZoneRequest{Name: "e.example", Create: true}, "@ 60 IN A 192.0.2.1\n")
	if !errs.Is(err, errs.Exhausted) || !strings.Contains(err.Error(), "try again in a minute") {
		t.Errorf("a fourth one in all: %v", err)
	}
	for _, h := range []*held{first, second, third} {
		close(h.letGo)
	}
	for _, d := range []chan error{done, done2, done3} {
		if err := <-d; err != nil {
			t.Error(err)
		}
	}
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "c.example", Create: true},
		"@ 60 IN A 192.0.2.1\n"); err != nil {
		t.Errorf("after they ended: %v", err)
	}
}

// TestImportsAreBoundedInOctets, not by the number of records alone; what ended holds
// nothing, and the disk is not filled.
func TestImportsAreBoundedInOctets(t *testing.T) {
	b := wide
	b.BytesOf = 3 << 20
	w := bounded(t, b, nil)
	text := strings.Repeat("x", 250)
	file := strings.Repeat("t 60 IN TXT \""+text+"\"\n", 12_000)
	for range 2 {
		_, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "a.example", Create: true, DryRun: true}, file)
		if !errs.Is(err, errs.Exhausted) || !strings.Contains(err.Error(), "at most 3 at once") {
			t.Fatalf("3 MiB in a dry run: %v", err)
		}
	}
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "a.example", Create: true},
		hosts(3000, "192.0.2.1")); err != nil {
		t.Errorf("a smaller one: %v", err)
	}
	full := bounded(t, wide, func(int64) bool { return false })
	if _, err := full.imports("acme", &dnsv1.ImportZoneRequest{Name: "a.example", Create: true},
		hosts(2, "192.0.2.1")); !errs.Is(err, errs.Exhausted) || !strings.Contains(err.Error(), "disk") {
		t.Errorf("without room on the disk: %v", err)
	}
}

// TestAClientThatSendsNothingLosesItsPlace.
func TestAClientThatSendsNothingLosesItsPlace(t *testing.T) {
	b := wide
	b.Part = time.Millisecond
	w := bounded(t, b, nil)
	_, done := w.hold("acme", "a.example")
	if err := <-done; !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "too slowly") {
		t.Errorf("it ended with %v", err)
	}
}

// TestAStalledImportGivesItsPlaceToOneThatWaits, and keeps it while nobody does; one whose
// file is there, or that has not had its time, is not displaced.
func TestAStalledImportGivesItsPlaceToOneThatWaits(t *testing.T) {
	b := wide
	b.Imports, b.Patience = 1, 0
	w := bounded(t, b, nil)
	stalled, done := w.hold("acme", "a.example")
	<-stalled.begun
	select {
	case err := <-done:
		t.Fatalf("it ended with %v while nobody waited", err)
	default:
	}
	next := &dnsv1.ImportZoneRequest{Name: "b.example", Create: true}
	if _, err := w.imports("other", next, "@ 60 IN A 192.0.2.1\n"); err != nil {
		t.Errorf("one that waits: %v", err)
	}
	if err := <-done; !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "while other imports waited") {
		t.Errorf("the stalled one ended with %v", err)
	}
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "c.example", Create: true},
		"@ 60 IN A 192.0.2.2\n"); err != nil {
		t.Errorf("after both: %v", err)
	}

	b.Patience = time.Hour
	w = bounded(t, b, nil)
	young, done := w.hold("acme", "a.example")
	<-young.begun
	if _, err := w.imports("other", next, "@ 60 IN A 192.0.2.1\n"); !errs.Is(err, errs.Exhausted) {
		t.Errorf("beside one that has time left: %v", err)
	}
	close(young.letGo)
	if err := <-done; err != nil {
		t.Errorf("the young one: %v", err)
	}
}

// TestSortingLeavesNothingBehind: what is spilled is in the node's directory, and what a
// crash left there is gone at the next start.
func TestSortingLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir() + "/imports"
	if err := zones.Clean(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/dark-import-1", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := zones.Clean(dir); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); len(left) != 0 || err != nil {
		t.Fatalf("%v, %v", left, err)
	}
	t.Setenv("TMPDIR", "/nowhere")
	w := newWorld(t)
	w.z = newZones(dir)
	w.tr = w.z.Transfers(w.w)
	w.tr.SetSortMemory(4 << 10)
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "a.example", Create: true},
		hosts(500, "192.0.2.1")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil { // it is empty
		t.Fatal(err)
	}
	if _, err := w.imports("acme", &dnsv1.ImportZoneRequest{Name: "b.example", Create: true},
		hosts(500, "192.0.2.1")); err == nil {
		t.Error("it spills elsewhere")
	}
}
