package controlplane

import (
	"testing"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/errs"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// TestANodeEntersUnderItsOwnIDOnly: an id of another member is refused, be it that the names
// begin alike.
func TestANodeEntersUnderItsOwnIDOnly(t *testing.T) {
	_, n := begin(t)
	tx := &statev1.Transaction{Origin: &statev1.Origin{Who: "test"}}
	roles := map[string]string{"c2": ca.Control, "c2-abcdef": ca.Control, "c3": ca.Control, "e1": ca.Edge}
	for name, role := range roles {
		if err := putNode(tx, nodeResource(name, role, "", nil), 0); err != nil {
			t.Fatal(err)
		}
	}
	for name, id := range map[string]string{"c3": "c2-333333", "c2-abcdef": "c2-abcdef-111111"} {
		if err := putMeta(tx, metaMember+name, &statev1.MemberRecord{ServerId: id}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.core.log.Propose(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		peer, id string
		enters   bool
	}{
		{"c2", "c2", true},
		{"c2", "c2-010203", true},
		{"c2-abcdef", "c2-abcdef", true},
		{"c2-abcdef", "c2-abcdef-111111", true},
		{"c2-abcdef", "c2-abcdef-222222", true},
		{"c3", "c2-333333", true}, // it is recorded so

		{"c2", "c2-333333", false},        // another member announced it
		{"c2", "c2-abcdef", false},        // another node's name
		{"c2", "c2-abcdef-111111", false}, // another member's, and of another form
		{"c2", "c2-abcdef-222222", false},
		{"c2-abcdef", "c2", false},
		{"c2", "c1", false},
		{"c2", "c3", false},
		{"c2", "c", false},
		{"c2", "c2-", false},
		{"c2", "c2-01020", false},
		{"c2", "c2-01020304", false},
		{"c2", "c2-01020g", false},
		{"c2", "c2x010203", false},
		{"c2", "", false},
		{"e1", "e1", false},
		{"e1", "e1-010203", false},
		{"nobody", "nobody", false},
		{"", "", false},
	} {
		err := n.mayEnter(c.peer, c.id)
		if (err == nil) != c.enters || err != nil && !errs.Is(err, errs.Denied) {
			t.Errorf("%q as %q: %v", c.peer, c.id, err)
		}
	}
}
