package keyring

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
)

// Machine is the key that lets this machine open what is sealed to it without a person
// being there. This is its `file` form: it keeps nothing from who takes the disk, and
// `darkd doctor` says so.
type Machine struct{ identity *age.X25519Identity }

// LoadMachine reads the machine key at path, or makes it with mode 0600.
func LoadMachine(path string) (*Machine, error) {
	m, err := ReadMachine(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newMachine(path)
	}
	return m, err
}

// ReadMachine reads the machine key at path.
func ReadMachine(path string) (*Machine, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("machine key: %w", err)
	}
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("machine key %s can be read by others (mode %04o): run chmod 600 %s, and join again "+
			"if it was read", path, st.Mode().Perm(), path)
	}
	id, err := age.ParseX25519Identity(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, fmt.Errorf("machine key %s: %w", path, err)
	}
	return &Machine{id}, nil
}

func newMachine(path string) (*Machine, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make machine key: %w", err)
	}
	if err := WriteFile(path, []byte(id.String()+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("make machine key: %w", err)
	}
	return &Machine{id}, nil
}

// ReadRecovery reads a recovery key, as `darkd init` printed it. It opens what is sealed to the recovery
// key in place of a machine.
func ReadRecovery(text string) (*Machine, error) {
	id, err := age.ParseX25519Identity(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("a recovery key begins with AGE-SECRET-KEY-1 and is one word; this is none")
	}
	return &Machine{id}, nil
}

// Identity opens what is sealed to the machine.
func (m *Machine) Identity() age.Identity { return m.identity }

// Recipient is the public part.
func (m *Machine) Recipient() string { return m.identity.Recipient().String() }

// ParseRecipient reads a machine's or a recovery key's public part.
func ParseRecipient(s string) (age.Recipient, error) {
	r, err := age.ParseX25519Recipient(s)
	if err != nil {
		return nil, fmt.Errorf("recipient: %w", err)
	}
	return r, nil
}

// NewRecovery makes an offline recovery key: the secret is for a person to keep, the
// recipient for the installation.
func NewRecovery() (secret, recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", "", fmt.Errorf("make recovery key: %w", err)
	}
	return id.String(), id.Recipient().String(), nil
}

// WriteFile writes a file so that after a power cut it is there whole or not at all.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
