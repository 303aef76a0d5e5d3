package controlplane

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/keyring"
)

// The files of a control node's own say who it is and open the cluster's keys. Each of them may
// be damaged, gone, or be another node's: then the node does not start, the error names the file
// and what to do, and nothing is written in the directory.

// restoreFile is what to do about a damaged file of a control node's own.
const restoreFile = "put the file back from a copy of this directory; or, only where a majority of the other control " +
	"nodes is well, wipe this one with `darkd rejoin` and let it join again (docs/operations/quorum.md)"

// ReadSelf reads who a directory's node is.
func ReadSelf(dir string) (Self, error) {
	var s Self
	path := filepath.Join(dir, fileNode)
	b, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	if s.ClusterID == "" || s.Name == "" || s.ServerID == "" {
		return s, fmt.Errorf("%s lacks clusterID, name or serverID", path)
	}
	if !idFits(s.Name, s.ServerID) {
		return s, fmt.Errorf("%s: serverID %q is not one of a node called %s", path, s.ServerID, s.Name)
	}
	return s, nil
}

// idFits reports whether an id in consensus has the form that a control node of this name gets:
// its name, and what its enrolment added.
func idFits(name, id string) bool {
	added, ok := strings.CutPrefix(id, name+"-")
	raw, err := hex.DecodeString(added)
	return id == name || ok && err == nil && len(raw) == incarnationLen
}

// NoSelf explains why a directory's node.json was not read. `darkd init` is for a directory
// without one: where there is a damaged one there is a cluster.
func NoSelf(dir string, err error) error {
	if left, _ := leftOf(dir); errors.Is(err, fs.ErrNotExist) && left == "" {
		return fmt.Errorf("this directory holds no control node: %w; run `darkd init`, or `darkd control --join "+
			"TOKEN --through HOST:PORT`", err)
	}
	return fmt.Errorf("who the control node in %s is cannot be read: %w; %s", dir, err, restoreFile)
}

// readOwn reads the files of a control node's own, and holds them against each other.
func readOwn(dir string) (Self, *keyring.Root, *ca.Credentials, error) {
	self, err := ReadSelf(dir)
	if err != nil {
		return self, nil, nil, NoSelf(dir, err)
	}
	root, err := readRoot(dir)
	if err != nil {
		return self, nil, nil, fmt.Errorf("%w; %s", err, restoreFile)
	}
	creds, err := readCert(dir, self)
	if err != nil {
		return self, nil, nil, fmt.Errorf("%w; %s", err, restoreFile)
	}
	return self, root, creds, nil
}

// readRoot opens the root key with the machine key. A machine key that is gone is not made
// again: a new one opens nothing.
func readRoot(dir string) (*keyring.Root, error) {
	key, path := filepath.Join(dir, fileMachine), filepath.Join(dir, fileRoot)
	machine, err := keyring.ReadMachine(key)
	if err != nil {
		return nil, err
	}
	wrapped, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("root key: %w", err)
	}
	root, err := keyring.UnwrapRoot(wrapped, machine.Identity())
	if err != nil {
		return nil, fmt.Errorf("%s does not open with %s, so one of them is damaged or is another node's: %w", path,
			key, err)
	}
	return root, nil
}

func readCert(dir string, self Self) (*ca.Credentials, error) {
	path := filepath.Join(dir, fileCert)
	creds, err := ca.LoadCredentials(path)
	if err != nil {
		return nil, err
	}
	name, err := creds.Name()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if name.Cluster != self.ClusterID || name.Role != ca.Control || name.Node != self.Name {
		return nil, fmt.Errorf("%s is of %s %s of cluster %s, and %s of control node %s of cluster %s", path, name.Role,
			name.Node, name.Cluster, filepath.Join(dir, fileNode), self.Name, self.ClusterID)
	}
	return creds, nil
}

// ownFilesEvery is how often a node that runs looks at its own files, and so how often the log
// says at most that one of them is lost.
const ownFilesEvery = time.Minute

// watchOwn tells the log while a file of a running node's own is lost: the node goes on with what
// it has in memory, and would not start again.
func watchOwn(ctx context.Context, dir string, log *slog.Logger) {
	lost := false
	every(ctx, ownFilesEvery, func(context.Context) {
		_, _, _, err := readOwn(dir)
		switch {
		case err != nil:
			log.Error("a file of this control node's own is lost: it goes on, and would not start again", "err", err)
		case lost:
			log.Info("the files of this control node's own are whole again")
		}
		lost = err != nil
	})
}
