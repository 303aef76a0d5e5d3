package keyring

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"filippo.io/age"
)

func TestEachOfAGroupAloneOpensAndNobodyElse(t *testing.T) {
	var machines []*Machine
	var recipients []string
	for _, name := range []string{"a", "b", "c"} {
		m, err := LoadMachine(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		machines, recipients = append(machines, m), append(recipients, m.Recipient())
	}
	recovery, public, err := NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGroup(recipients[1], public, recipients[0])
	if err != nil {
		t.Fatal(err)
	}
	same, err := NewGroup(public, recipients[0], recipients[0], recipients[1])
	if err != nil || same.Hash() != g.Hash() || same.Len() != 3 {
		t.Fatalf("order and repetition make another group: %v", err)
	}
	if other, err := NewGroup(public, recipients[0]); err != nil || other.Hash() == g.Hash() {
		t.Fatalf("fewer recipients make the same group: %v", err)
	}
	sealed, err := g.Seal([]byte("secret"))
	if err != nil || bytes.Contains(sealed, []byte("secret")) {
		t.Fatalf("%v: %q", err, sealed)
	}
	for i, m := range machines {
		got, err := m.OpenSealed(sealed)
		if in := i < 2; in != (err == nil) || in && string(got) != "secret" {
			t.Errorf("machine %d: %q, %v", i, got, err)
		} else if !in && !errors.Is(err, ErrRecipient) {
			t.Errorf("machine %d: %v", i, err)
		}
	}
	id, err := age.ParseX25519Identity(recovery)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := openSealed(sealed, id); err != nil || string(got) != "secret" {
		t.Errorf("recovery: %q, %v", got, err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if got, err := machines[0].OpenSealed(bad); err == nil && string(got) != "secret" {
			t.Fatalf("octet %d changed: %q", i, got)
		}
	}
	if _, err := NewGroup("age1nonsense"); err == nil {
		t.Error("nonsense is a recipient")
	}
}

func TestMoreThanASecretIsNotOpened(t *testing.T) {
	m, err := LoadMachine(filepath.Join(t.TempDir(), "m"))
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewGroup(m.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := g.Seal(make([]byte, maxOpened+1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.OpenSealed(sealed); err == nil {
		t.Error("opened")
	}
}
