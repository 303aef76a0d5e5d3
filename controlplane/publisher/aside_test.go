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

// faulty is the kind of notes of which some cannot be published, by what they say.
func faulty() *kind.Kind {
	k := demo.Note()
	publish := k.Publish
	k.Publish = func(ctx context.Context, p kind.Publication, emit func(kind.Record) error) error {
		text := p.New.(*demov1.Note).GetSpec().GetText()
		switch {
		case text == "panic":
			panic("of its own")
		case text == "fail":
			return errors.New("it does not compile")
		case text == "many":
			for i := range 100 {
				r := kind.Record{
					Kind: "dark.demo.v1.Note", Stream: "org/a", Name: fmt.Sprint("many/", i),
					Lane: kind.LaneData, Value: make([]byte, 60<<10),
				}
				if err := emit(r); err != nil {
					return err
				}
			}
		}
		return publish(ctx, p, emit)
	}
	return k
}

func (w *world) faulty(node string) *Publisher {
	p := w.publisher(node)
	p.kinds["dark.demo.v1.Note"] = faulty()
	return p
}

func (w *world) setAside(name string) *statev1.SetAside {
	w.t.Helper()
	value, _, err := w.store.Meta("aside/dark.demo.v1.Note/a/notes/" + name)
	if err != nil {
		w.t.Fatal(err)
	}
	if value == nil {
		return nil
	}
	a := &statev1.SetAside{}
	if err := proto.Unmarshal(value, a); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// TestWhatCannotBePublishedIsSetAsideAlone: whatever is wrong with one resource, the
// others reach the edges, the edges keep what they had of it, and it is tried again when
// it changes and when another publisher begins.
func TestWhatCannotBePublishedIsSetAsideAlone(t *testing.T) {
	for text, reason := range map[string]string{
		"panic":                     "of its own",
		"fail":                      "does not compile",
		"many":                      "more than",
		strings.Repeat("x", 70<<10): "at most 65536",
	} {
		w := newWorld(t)
		p := w.faulty("one")
		w.note("a", "good", "bad")
		if err := w.step(p); err != nil {
			t.Fatal(err)
		}
		w.note("a", text, "bad")
		w.note("a", "1", "other")
		last := w.note("b", "1", "third")
		if err := w.step(p); err != nil {
			t.Fatalf("%.8s: %v", text, err)
		}
		got := w.published("org/a")
		if !strings.HasSuffix(got["notes/bad"], "good") || got["notes/other"] == "" || len(got) != 2 ||
			len(w.published("org/b")) != 1 {
			t.Errorf("%.8s: published %d records, the bad one %.20q", text, len(got), got["notes/bad"])
		}
		a := w.setAside("bad")
		if a == nil || !strings.Contains(a.Reason, reason) || a.Revision != last {
			t.Fatalf("%.8s: set aside: %v", text, a)
		}
		if more, err := p.publish(t.Context()); more || err != nil {
			t.Errorf("%.8s: it is tried again without a change: %v", text, err)
		}
		// Another leader tries once, and writes nothing where it fails again.
		second := w.faulty("two")
		if err := w.step(second); err != nil {
			t.Fatal(err)
		}
		if again := w.setAside("bad"); again == nil || again.Revision != a.Revision {
			t.Errorf("%.8s: after another publisher began: %v", text, again)
		}
		// One whose program can publish it does so without a change.
		third := w.publisher("three")
		if err := w.step(third); err != nil {
			t.Fatal(err)
		}
		if able := len(text) < 64<<10; able != (w.setAside("bad") == nil) {
			t.Errorf("%.8s: a publisher that is able left %v", text, w.setAside("bad"))
		}
		w.note("a", "better", "bad")
		if err := w.step(third); err != nil {
			t.Fatal(err)
		}
		if got := w.published("org/a"); !strings.HasSuffix(got["notes/bad"], "better") || w.setAside("bad") != nil {
			t.Errorf("%.8s: after the change %.20q, %v", text, got["notes/bad"], w.setAside("bad"))
		}
		w.frames("org/a")
	}
}

// TestTwoLargeChangesAtOnceArePublished: each fits, both together are more than a
// transaction takes.
func TestTwoLargeChangesAtOnceArePublished(t *testing.T) {
	w := newWorld(t)
	p := w.publisher("one")
	note := demo.Note()
	note.MaxRecord = kind.MaxRecord
	p.kinds["dark.demo.v1.Note"] = note
	w.note("a", strings.Repeat("x", 250<<10), "one")
	w.note("a", strings.Repeat("y", 250<<10), "two")
	w.note("b", strings.Repeat("z", 250<<10), "three")
	if err := w.step(p); err != nil {
		t.Fatal(err)
	}
	if a, b := w.published("org/a"), w.published("org/b"); len(a) != 2 || len(b) != 1 {
		t.Fatalf("%d and %d records", len(a), len(b))
	}
	w.frames("org/a")
}
