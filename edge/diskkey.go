package edge

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/dark-ecosystem/dark/internal/keyring"
)

// fileDiskKey holds the key of the store's database files, below the node's directory.
const fileDiskKey = "disk.key"

// keysBack is what to do about a key of the machine's that is damaged or gone.
const keysBack = "put the file back from a backup: docs/operations/nodes.md"

// machineKey opens the machine key. An edge that has a disk key has one: another one, made in
// its place, would open nothing that is sealed to this machine.
func machineKey(dir string) (*keyring.Machine, error) {
	name := filepath.Join(dir, fileMachine)
	_, merr := os.Stat(name)
	_, derr := os.Stat(filepath.Join(dir, fileDiskKey))
	if errors.Is(merr, fs.ErrNotExist) && derr == nil {
		return nil, fmt.Errorf("%s is gone; %s", name, keysBack)
	}
	m, err := keyring.LoadMachine(name)
	if err != nil {
		return nil, fmt.Errorf("%w; %s", err, keysBack)
	}
	return m, nil
}

// diskKeyFile is a random key, sealed to the machine key and, once the node was told of
// it, to the installation's recovery key: a machine that is lost takes no names of
// objects with it.
type diskKeyFile struct {
	Recipients []string `json:"recipients"`
	Sealed     []byte   `json:"sealed"`
}

// loadDiskKey opens the node's disk key, or makes it where there is neither a key nor a
// store that needs one.
func loadDiskKey(dir string, m *keyring.Machine) (*[32]byte, error) {
	f, err := readDiskKey(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return newDiskKey(dir, m)
	}
	if err != nil {
		return nil, err
	}
	key, err := f.open(m)
	if err != nil {
		return nil, fmt.Errorf("%s does not open with %s: %w; %s", filepath.Join(dir, fileDiskKey),
			filepath.Join(dir, fileMachine), err, keysBack)
	}
	return key, nil
}

// open opens the key with a machine's key, or the recovery key.
func (f *diskKeyFile) open(m *keyring.Machine) (*[32]byte, error) {
	b, err := m.OpenSealed(f.Sealed)
	if err != nil {
		return nil, err
	}
	if len(b) != len([32]byte{}) {
		return nil, fmt.Errorf("it holds a key of %d octets", len(b))
	}
	return (*[32]byte)(b), nil
}

func readDiskKey(dir string) (f diskKeyFile, err error) {
	b, err := os.ReadFile(filepath.Join(dir, fileDiskKey))
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, fmt.Errorf("read %s: %w; %s", filepath.Join(dir, fileDiskKey), err, keysBack)
	}
	return f, nil
}

// newDiskKey makes a key before there is a store. One that was lost cannot be made again.
func newDiskKey(dir string, m *keyring.Machine) (*[32]byte, error) {
	if _, err := os.Stat(filepath.Join(dir, dirStore)); err == nil {
		return nil, fmt.Errorf("%s is gone, and the store in %s cannot be read without it; %s",
			filepath.Join(dir, fileDiskKey), dir, keysBack)
	}
	var key [32]byte
	rand.Read(key[:]) // never fails
	return &key, writeDiskKey(dir, &key, m.Recipient())
}

func writeDiskKey(dir string, key *[32]byte, recipients ...string) error {
	g, err := keyring.NewGroup(recipients...)
	if err != nil {
		return err
	}
	f := diskKeyFile{Recipients: recipients}
	if f.Sealed, err = g.Seal(key[:]); err != nil {
		return err
	}
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return keyring.WriteFile(filepath.Join(dir, fileDiskKey), b, 0o600)
}

// shareDiskKey seals the key to the recovery key, too, unless it is already.
func shareDiskKey(dir string, m *keyring.Machine, recovery string) error {
	f, err := readDiskKey(dir)
	if err != nil || recovery == "" || slices.Contains(f.Recipients, recovery) {
		return err
	}
	key, err := loadDiskKey(dir, m)
	if err != nil {
		return err
	}
	return writeDiskKey(dir, key, m.Recipient(), recovery)
}
