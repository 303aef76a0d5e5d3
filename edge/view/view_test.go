package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/internal/kind"
)

// fake is a service whose value is the list of names it was given.
func fake(name string, kinds ...string) (kind.Service, *[]string) {
	var now []string
	return kind.Service{
		Name:  name,
		Kinds: kinds,
		Compile: func(prev any, changes []kind.Change) (any, []kind.Refusal) {
			list, _ := prev.([]string)
			list = slices.Clone(list)
			var refused []kind.Refusal
			for _, c := range changes {
				switch {
				case strings.HasPrefix(c.Name, "panic"):
					panic("cannot " + c.Name)
				case strings.HasPrefix(c.Name, "bad"):
					refused = append(refused, kind.Refusal{Kind: c.Kind, Name: c.Name, Reason: "bad"})
				default:
					list = append(list, c.Name)
				}
			}
			return list, refused
		},
		Swap: func(next any) { now = next.([]string) },
	}, &now
}

func change(k, name string) Change {
	return Change{Change: kind.Change{Kind: k, Name: name, Value: []byte{1}}, Stream: "system", Lane: kind.LaneData}
}

func TestEachServiceGetsItsKinds(t *testing.T) {
	a, gotA := fake("a", "k1", "k2")
	b, gotB := fake("b", "k2")
	v, err := New(nil, a, b)
	if err != nil {
		t.Fatal(err)
	}
	v.Apply(5, []Change{change("k1", "x"), change("k2", "y"), change("k3", "z")})
	if !slices.Equal(*gotA, []string{"x", "y"}) || !slices.Equal(*gotB, []string{"y"}) || v.Revision() != 5 {
		t.Fatalf("a %v, b %v, revision %d", *gotA, *gotB, v.Revision())
	}
}

func TestOneBadChangeSpoilsNoOther(t *testing.T) {
	a, got := fake("a", "k")
	v, _ := New(nil, a)
	refused := v.Apply(1, []Change{change("k", "one"), change("k", "bad"), change("k", "two")})
	if !slices.Equal(*got, []string{"one", "two"}) || len(refused) != 1 || refused[0].Stream != "system" ||
		refused[0].Name != "bad" {
		t.Fatalf("value %v, refused %+v", *got, refused)
	}
}

func TestPanicIsARefusalOfThatChangeAlone(t *testing.T) {
	a, got := fake("a", "k")
	v, _ := New(nil, a)
	var changes []Change
	for i := range 100 {
		changes = append(changes, change("k", fmt.Sprint("n", i)))
	}
	changes[17].Name, changes[93].Name = "panic17", "panic93"
	refused := v.Apply(1, changes)
	if len(*got) != 98 || (*got)[97] != "n99" {
		t.Fatalf("%d names are left, want 98", len(*got))
	}
	if len(refused) != 2 || refused[0].Name != "panic17" || refused[1].Name != "panic93" ||
		!strings.Contains(refused[0].Reason, "cannot panic17") {
		t.Fatalf("refused %+v", refused)
	}
}

func TestGatedChangesAreRefused(t *testing.T) {
	a, got := fake("a", "k")
	v, _ := New(nil, a)
	g := change("k", "gated")
	g.Lane = kind.LaneGated
	refused := v.Apply(1, []Change{g, change("k", "x")})
	if !slices.Equal(*got, []string{"x"}) || len(refused) != 1 || refused[0].Reason != NoReleases {
		t.Fatalf("value %v, refused %+v", *got, refused)
	}
}
