package controlplane

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dark-ecosystem/dark/internal/consensus"
)

// ErrInitialised: the directory holds a node already.
var ErrInitialised = errors.New("this directory holds a node already")

// kept is what a directory keeps of a control node, and what `darkd rejoin` takes away. The certificate is the
// last: it tells whose directory it is when the rest is gone.
var kept = []string{dirLog, dirRows, fileMembers, fileRoot, fileNode, fileCert}

// Vacant refuses a directory that holds a node, or what is left of one: its root key and its log may be the only
// copies, and a new node would write over them.
func Vacant(dir string) error {
	if _, err := ReadSelf(dir); err == nil {
		return fmt.Errorf("%s: %w", dir, ErrInitialised)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return NoSelf(dir, err)
	}
	left, err := leftOf(dir)
	if err != nil || left == "" {
		return err
	}
	return fmt.Errorf("%s has the %s of a control node and no %s: %s; a new node takes an empty directory", dir, left,
		fileNode, restoreFile)
}

// leftOf names the first thing that a directory keeps of a control node; it is empty when there is none.
func leftOf(dir string) (string, error) {
	for _, name := range kept {
		_, err := os.Lstat(filepath.Join(dir, name))
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// Wipe removes what a directory keeps of a control node, so that it can join again; nothing while the node runs.
func Wipe(dir string) error {
	if err := consensus.Wipe(nil, filepath.Join(dir, dirLog)); err != nil {
		return fmt.Errorf("stop the control node first; nothing was removed: %w", err)
	}
	// The machine key goes, too: it may be what is damaged, and joining makes another one.
	for _, name := range append([]string{fileMachine}, kept...) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
