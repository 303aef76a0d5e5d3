package publisher

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/controlplane/demo"
	"github.com/dark-ecosystem/dark/internal/kind"
	demov1 "github.com/dark-ecosystem/dark/proto/dark/demo/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// denying is the kind of notes whose end is denied.
func denying() *kind.Kind {
	k := demo.Note()
	k.Deny = func(_ context.Context, p kind.Publication, emit func(kind.Record) error) error {
		if p.New != nil {
			return nil
		}
		return emit(kind.Record{Kind: "dark.demo.v1.Note", Stream: "system", Name: "note:" + p.Stored, Lane: kind.LaneDeny, Value: []byte("x")})
	}
	return k
}

func (w *world) end(org, name string) {
	w.t.Helper()
	_, err := w.log.Propose(w.t.Context(), &statev1.Transaction{Ops: []*statev1.Op{{Op: &statev1.Op_DeleteResource{
		DeleteResource: &statev1.Ref{Kind: "dark.demo.v1.Note", Organization: org, Name: "notes/" + name},
	}}}})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestRevocationsGoFirst: behind a backlog of many publications a revocation is in the
// first one, and no publication is over the bounds. Without bounds there is one of all.
func TestRevocationsGoFirst(t *testing.T) {
	for _, bounded := range []bool{true, false} {
		w := newWorld(t)
		p := w.publisher("one")
		p.kinds["dark.demo.v1.Note"] = denying()
		p.Bounds = Bounds{Records: 1 << 20, Bytes: 1 << 30, Deny: 1 << 20, Scan: 1 << 30}
		if bounded {
			p.Bounds = Bounds{Records: 40, Bytes: 64 << 10, Deny: 1 << 20, Scan: 1000}
		}
		w.note("a", "1", "key")
		if err := w.step(p); err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			w.note("a", strings.Repeat("x", 500), fmt.Sprint("n", i))
		}
		w.end("a", "key")
		for i := range 10 {
			w.note("a", strings.Repeat("x", 20<<10), fmt.Sprint("big", i))
		}
		rounds := 0
		for more := true; more; rounds++ {
			before, _ := w.store.Through()
			var err error
			if more, err = p.publish(t.Context()); err != nil {
				t.Fatal(err)
			}
			records, octets := w.brought("org/a", before)
			if bounded && (records > 40 || octets > 64<<10+40*200) {
				t.Errorf("publication %d has %d records of %d octets", rounds, records, octets)
			}
			if denied := w.published("system")["note:notes/key"]; rounds == 0 && denied == "" {
				t.Error("the first publication has not the revocation")
			}
		}
		if got := w.published("org/a"); len(got) != 210 {
			t.Fatalf("%d records", len(got))
		}
		if many := rounds > 5; many != bounded {
			t.Errorf("bounded %t: %d publications", bounded, rounds)
		}
		w.frames("org/a")
		w.frames("system")
	}
}

// brought counts what a stream got after a revision.
func (w *world) brought(stream string, after uint64) (records, octets int) {
	for _, f := range w.frames(stream) {
		if f.Revision > after {
			records += len(f.Items)
			for _, i := range f.Items {
				octets += len(i.Value) + len(i.Name)
			}
		}
	}
	return records, octets
}

// TestABulkGoesOutInPagesBetweenOtherChanges: the note waits until all pages are out,
// another publisher goes on where the first stopped, and changes go between.
func TestABulkGoesOutInPagesBetweenOtherChanges(t *testing.T) {
	w := newWorld(t)
	bulky := demo.Note()
	publish := bulky.Publish
	bulky.Publish = func(ctx context.Context, p kind.Publication, emit func(kind.Record) error) error {
		if n, _ := p.New.(*demov1.Note); n.GetSpec().GetText() == "bulk" && !p.Paged(7) {
			return &kind.Bulk{Generation: 7}
		}
		return publish(ctx, p, emit)
	}
	bulky.Page = func(_ context.Context, p kind.Page, emit func(kind.Record) error) (kind.Paged, error) {
		at := 0
		if p.After != "" {
			fmt.Sscan(p.After, &at)
		}
		for n := 0; n < p.Room.Records && at < 100; n++ {
			if err := emit(kind.Record{Kind: "dark.demo.v1.Note", Stream: "org/a", Name: fmt.Sprintf("page/%03d", at), Lane: kind.LaneData, Value: []byte("x")}); err != nil {
				return kind.Paged{}, err
			}
			at++
		}
		return kind.Paged{After: fmt.Sprint(at), Done: at == 100}, nil
	}
	begin := func(node string) *Publisher {
		p := w.publisher(node)
		p.kinds["dark.demo.v1.Note"] = bulky
		p.Bounds = Bounds{Records: 20, Bytes: 64 << 10, Deny: 1 << 20, Scan: 1000}
		return p
	}
	p := begin("one")
	w.note("a", "bulk", "large")
	for i := range 12 {
		if i == 3 {
			p = begin("two")
		}
		w.note("b", fmt.Sprint(i), "small")
		if err := w.step(p); err != nil {
			t.Fatal(err)
		}
		if got := w.published("org/b")["notes/small"]; !strings.HasSuffix(got, fmt.Sprint(i)) {
			t.Fatalf("publication %d: the other organization has %q", i, got)
		}
		got := w.published("org/a")
		if _, flipped := got["notes/large"]; flipped != (len(got) == 101) {
			t.Fatalf("publication %d: the note counts with %d records", i, len(got))
		}
	}
	if got := w.published("org/a"); len(got) != 101 {
		t.Fatalf("%d records", len(got))
	}
	if names, err := w.store.MetaNames("bulk/"); len(names) != 0 || err != nil {
		t.Fatalf("%v is left, %v", names, err)
	}
	seen := map[string]int{}
	for _, f := range w.frames("org/a") {
		page := 0
		for _, i := range f.Items {
			seen[i.Name]++
			page++
		}
		if page > 21 {
			t.Errorf("a publication of %d records", page)
		}
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s went out %d times", name, n)
		}
	}
}
