package publisher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

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
		return emit(kind.Record{
			Kind: "dark.demo.v1.Note", Stream: "system", Name: "note:" + p.Stored,
			Lane: kind.LaneDeny, Value: []byte("x"),
		})
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

// paging is the kind of notes of which those that say bulk wait for a hundred records in
// pages. The second page of a bulk fails where fails says so.
func paging(fails func() bool) *kind.Kind {
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
		if fails != nil && at > 0 && fails() {
			return kind.Paged{}, errors.New("the page does not compile")
		}
		for n := 0; n < p.Room.Records && at < 100; n++ {
			if err := emit(kind.Record{
				Kind: "dark.demo.v1.Note", Stream: "org/a", Name: fmt.Sprintf("page/%03d", at),
				Lane: kind.LaneData, Value: []byte("x"),
			}); err != nil {
				return kind.Paged{}, err
			}
			at++
		}
		return kind.Paged{After: fmt.Sprint(at), Done: at == 100}, nil
	}
	return bulky
}

// TestABulkGoesOutInPagesBetweenOtherChanges: the note waits until all pages are out,
// another publisher goes on where the first stopped, and changes go between.
func TestABulkGoesOutInPagesBetweenOtherChanges(t *testing.T) {
	w := newWorld(t)
	bulky := paging(nil)
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

// TestABulkWhosePageFailsIsNotTakenForDone: the note that waits is set aside and edges are
// not told of it; others go on, another publisher tries again, and once it can be done all
// pages go out from the first one on, and then the note.
func TestABulkWhosePageFailsIsNotTakenForDone(t *testing.T) {
	for _, changed := range []bool{true, false} {
		w, fails := newWorld(t), true
		begin := func(node string) *Publisher {
			p := w.publisher(node)
			p.kinds["dark.demo.v1.Note"] = paging(func() bool { return fails })
			p.Bounds = Bounds{Records: 20, Bytes: 64 << 10, Deny: 1 << 20, Scan: 1000}
			return p
		}
		p := begin("one")
		w.note("a", "bulk", "large")
		for i := range 5 {
			w.note("b", fmt.Sprint(i), "small")
			if err := w.step(p); err != nil {
				t.Fatal(err)
			}
			if got := w.published("org/b")["notes/small"]; !strings.HasSuffix(got, fmt.Sprint(i)) {
				t.Fatalf("publication %d: the other organization has %q", i, got)
			}
		}
		if p = begin("two"); changed {
			w.note("a", "bulk", "large")
		}
		for range 5 {
			if err := w.step(p); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.published("org/a"); got["notes/large"] != "" || len(got) >= 100 {
			t.Fatalf("the note counts though its pages failed; %d records", len(got))
		}
		if a := w.setAside("large"); a == nil || !strings.Contains(a.Reason, "the page does not compile") {
			t.Fatalf("set aside: %v", a)
		}
		fails = false
		if changed {
			w.note("a", "bulk", "large")
		} else {
			p = begin("three")
		}
		for range 8 {
			if err := w.step(p); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.published("org/a"); got["notes/large"] == "" || len(got) != 101 {
			t.Fatalf("changed %t: %d records, the note is %q", changed, len(got), got["notes/large"])
		}
		if a := w.setAside("large"); a != nil {
			t.Errorf("it is set aside still: %v", a)
		}
		if names, err := w.store.MetaNames("bulk/"); len(names) != 0 || err != nil {
			t.Errorf("%v is left, %v", names, err)
		}
	}
}

// TestABulkThatNothingWaitsForIsTakenBack, one that is out and one that failed: an import
// may end after its last page. While there are changes that the round does not see, it
// stays: the import may have ended well.
func TestABulkThatNothingWaitsForIsTakenBack(t *testing.T) {
	for _, b := range []*statev1.Bulk{{After: "100", Done: true}, {After: "20", Failed: "its page failed"}} {
		w := newWorld(t)
		p := w.publisher("one")
		gone, late := false, false
		note := demo.Note()
		note.Page = func(_ context.Context, q kind.Page, emit func(kind.Record) error) (kind.Paged, error) {
			if q.Room.Records != 0 {
				t.Error("a bulk that ended is asked for records")
			}
			if !gone {
				return kind.Paged{After: q.After, Done: true}, nil
			}
			if late {
				w.note("a", "later", "large")
			}
			return kind.Paged{Gone: true}, emit(kind.Record{
				Kind: "dark.demo.v1.Note", Stream: "org/a", Name: "page/",
				Lane: kind.LaneData, Prefix: true,
			})
		}
		p.kinds["dark.demo.v1.Note"] = note
		b.Ref, b.Generation = &statev1.Ref{Kind: "dark.demo.v1.Note", Organization: "a", Name: "notes/large"}, 7
		value, err := proto.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		key := kind.BulkKey(b.Ref.Kind, "a", b.Ref.Name, 7)
		if _, err := w.log.Propose(t.Context(), &statev1.Transaction{Ops: []*statev1.Op{
			{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: key, Value: value}}},
		}}); err != nil {
			t.Fatal(err)
		}
		for _, s := range []struct{ gone, late, left bool }{
			{false, false, true},
			{true, true, true},
			{true, false, false},
		} {
			gone, late = s.gone, s.late
			w.note("b", "1", "x")
			if err := w.step(p); err != nil {
				t.Fatal(err)
			}
			if left, _, err := w.store.Meta(key); (left != nil) != s.left || err != nil {
				t.Errorf("done %t, %+v: the note of it is %q, %v", b.Done, s, left, err)
			}
		}
	}
}

// TestWhatOneTransactionFansOutToIsBounded: many resources change at once, each of which
// brings as much as one publication may have. They go out in pages, and a revocation that
// comes meanwhile does not wait for them.
func TestWhatOneTransactionFansOutToIsBounded(t *testing.T) {
	const each, notes = 15, 30
	w := newWorld(t)
	wide := denying()
	publish := wide.Publish
	records := func(name string, from, to int, emit func(kind.Record) error) error {
		for n := from; n < to; n++ {
			if err := emit(kind.Record{Kind: "dark.demo.v1.Note", Stream: "org/a", Name: fmt.Sprintf("%s/%03d", name,
				n), Lane: kind.LaneData, Value: []byte("x")}); err != nil {
				return err
			}
		}
		return nil
	}
	wide.Publish = func(ctx context.Context, p kind.Publication, emit func(kind.Record) error) error {
		if n, _ := p.New.(*demov1.Note); n.GetSpec().GetText() == "wide" && !p.Paged(7) {
			if each > p.Room.Records {
				return &kind.Bulk{Generation: 7}
			}
			if err := records(p.Stored, 0, each, emit); err != nil {
				return err
			}
		}
		return publish(ctx, p, emit)
	}
	wide.Page = func(_ context.Context, p kind.Page, emit func(kind.Record) error) (kind.Paged, error) {
		at := 0
		if p.After != "" {
			fmt.Sscan(p.After, &at)
		}
		to := min(at+p.Room.Records, each)
		return kind.Paged{After: fmt.Sprint(to), Done: to == each}, records(p.Stored, at, to, emit)
	}
	p := w.publisher("one")
	p.kinds["dark.demo.v1.Note"] = wide
	p.Bounds = Bounds{Records: 20, Bytes: 64 << 10, Deny: 1 << 20, Scan: 1000}
	w.note("a", "1", "key")
	if err := w.step(p); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range notes {
		names = append(names, fmt.Sprint("n", i))
	}
	w.note("a", "wide", names...)
	for round, more := 0, true; more; round++ {
		before, _ := w.store.Through()
		var err error
		if more, err = p.publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _ := w.brought("org/a", before); n > 20+1 {
			t.Errorf("publication %d has %d records", round, n)
		}
		if round == 0 {
			w.end("a", "key")
		}
		if denied := w.published("system")["note:notes/key"]; round == 1 && denied == "" {
			t.Error("the revocation waits for what changed before it")
		}
	}
	if got := len(w.published("org/a")); got != notes*(each+1) {
		t.Errorf("%d records are out, not %d", got, notes*(each+1))
	}
}
