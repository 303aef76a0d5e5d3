package edge

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/dark-ecosystem/dark/internal/keyring"
)

func TestDiskKeyIsSealedToTheMachineAndToTheRecoveryKey(t *testing.T) {
	dir := t.TempDir()
	m, err := keyring.LoadMachine(filepath.Join(dir, fileMachine))
	if err != nil {
		t.Fatal(err)
	}
	key, err := loadDiskKey(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	recovery, err := keyring.LoadMachine(filepath.Join(t.TempDir(), "recovery"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := readDiskKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := recovery.OpenSealed(f.Sealed); !errors.Is(err, keyring.ErrRecipient) {
		t.Fatalf("the recovery key opens what was not sealed to it: %v", err)
	}
	if err := shareDiskKey(dir, m, recovery.Recipient()); err != nil {
		t.Fatal(err)
	}
	if f, err = readDiskKey(dir); err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]*keyring.Machine{"machine": m, "recovery": recovery} {
		if b, err := who.OpenSealed(f.Sealed); err != nil || string(b) != string(key[:]) {
			t.Fatalf("%s: opens %d octets, %v", name, len(b), err)
		}
	}
	other, err := keyring.LoadMachine(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loadDiskKey(dir, other); !errors.Is(err, keyring.ErrRecipient) {
		t.Fatalf("another machine: %v", err)
	}
}

func TestLostDiskKeyIsNotMadeAgain(t *testing.T) {
	dir := t.TempDir()
	m, err := keyring.LoadMachine(filepath.Join(dir, fileMachine))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, dirStore), 0o700); err != nil {
		t.Fatal(err)
	}
	if key, err := loadDiskKey(dir, m); err == nil {
		t.Fatalf("a new key %x for a store that is there", key[:2])
	}
}
