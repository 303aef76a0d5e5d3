package keyring

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
)

func TestRootKeyOpensForMachineAndRecoveryOnly(t *testing.T) {
	m, err := LoadMachine(filepath.Join(t.TempDir(), "machine.key"))
	if err != nil {
		t.Fatal(err)
	}
	secret, recipient, err := NewRecovery()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := ParseRecipient(recipient)
	if err != nil {
		t.Fatal(err)
	}
	mr, err := ParseRecipient(m.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	root := NewRoot()
	wrapped, err := root.Wrap(mr, rec)
	if err != nil {
		t.Fatal(err)
	}
	recovery, err := age.ParseX25519Identity(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []age.Identity{m.Identity(), recovery} {
		got, err := UnwrapRoot(wrapped, id)
		if err != nil || got.key != root.key {
			t.Fatalf("unwrapped %v, %v", got, err)
		}
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := UnwrapRoot(wrapped, stranger); err == nil {
		t.Fatal("a stranger opened the root key")
	}
}

func TestSealedOpensOnlyUnderItsPurposeAndName(t *testing.T) {
	root := NewRoot()
	sealed := root.Seal(CA, "secret/ca", []byte("private"))
	if got, err := root.Open(CA, "secret/ca", sealed); err != nil || string(got) != "private" {
		t.Fatalf("%q, %v", got, err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)/2] ^= 1
	for _, c := range []struct {
		root   *Root
		p      Purpose
		name   string
		sealed []byte
	}{
		{root, Publishing, "secret/ca", sealed},
		{root, CA, "secret/other", sealed},
		{NewRoot(), CA, "secret/ca", sealed},
		{root, CA, "secret/ca", flipped},
		{root, CA, "secret/ca", sealed[:5]},
	} {
		if _, err := c.root.Open(c.p, c.name, c.sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("%s %s: %v", c.p, c.name, err)
		}
	}
}

func TestMachineKeyIsKeptAndRefusedWhenOthersCanReadIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "machine.key")
	a, err := LoadMachine(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := LoadMachine(path)
	if err != nil || a.Recipient() != b.Recipient() {
		t.Fatalf("a second load gave another key: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMachine(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("err = %v", err)
	}
}
