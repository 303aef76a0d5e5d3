package controlplane

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dark-ecosystem/dark/controlplane/state"
	"github.com/dark-ecosystem/dark/controlplane/zones"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/clock"
	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/diskroom"
	"github.com/dark-ecosystem/dark/internal/keyring"
)

// group is the name of the control plane's Raft group.
const group = "control"

// Files below a control node's directory.
const (
	fileNode    = "node.json"   // who this node is
	fileCert    = "node.pem"    // its certificate and key
	fileMachine = "machine.key" // what opens root.age unattended
	fileRoot    = "root.age"    // the root key, wrapped
	dirLog      = "raft"        // the log of consensus
	dirRows     = "state"       // the rows, which are made from it
)

// Self is what a control node knows of itself before it has read any state.
type Self struct {
	ClusterID string `json:"clusterID"`
	Name      string `json:"name"`
	// ServerID is its id in consensus: another one after it lost its log.
	ServerID string `json:"serverID"`
	// Bootstrap: this node began the cluster and is its first member.
	Bootstrap bool `json:"bootstrap,omitempty"`
}

func (s Self) write(dir string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return keyring.WriteFile(filepath.Join(dir, fileNode), append(b, '\n'), 0o600)
}

// core is what is replicated: keys, consensus, the state and the way to write to it.
type core struct {
	self  Self
	root  *keyring.Root
	creds *ca.Credentials
	store *state.Store
	node  *consensus.Node
	group *consensus.Group
	log   *state.Log
	disk  *diskroom.Disk // of the node's directory
	clock clock.Clock

	started atomic.Pointer[consensus.Group] // group, for the transport, which begins before it
	used    chan usedKey                    // of certificates, by nodes that are known
}

type coreConfig struct {
	dir       string
	listen    string // address of the transport
	advertise string
	timing    consensus.Timing
	clock     clock.Clock
	logger    *slog.Logger
	synced    func(time.Duration) // told of each sync of the log; may be nil
}

// importDir is the folder of the node's directory in which imports sort.
const importDir = "imports"

// openCore opens a node that was made by Init or Join.
func openCore(c coreConfig) (_ *core, err error) {
	k := &core{clock: c.clock, used: make(chan usedKey, 64)}
	if k.self, k.root, k.creds, err = readOwn(c.dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	k.disk = diskroom.Local(c.dir)
	if err := k.disk.Restock(); err != nil {
		c.logger.Warn("disk", "err", err)
	}
	if err := zones.Clean(filepath.Join(c.dir, importDir)); err != nil {
		return nil, err
	}
	disk := k.disk.FS()
	rows := filepath.Join(c.dir, dirRows)
	if k.store, err = state.Open(rows, state.Options{FS: disk, Logger: c.logger}); err != nil {
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) { // the lock
			return nil, fmt.Errorf("%w; another process runs on this directory", err)
		}
		return nil, fmt.Errorf("%w; the rows in %s are made from the log: if they are damaged, move that directory "+
			"away and start again", err, rows)
	}
	ln, err := net.Listen("tcp", c.listen)
	if err != nil {
		return nil, fmt.Errorf("listen for other control nodes on %s: %w", c.listen, err)
	}
	k.node, err = consensus.Open(consensus.Config{
		FS: disk, Disk: k.disk, Dir: filepath.Join(c.dir, dirLog), ID: consensus.ServerID(k.self.ServerID),
		Listener: ln, Advertise: c.advertise,
		TLS: consensus.TLS{Config: k.creds.TLS, Peer: k.controlPeer}, Timing: c.timing, Logger: c.logger,
		Synced: c.synced,
	})
	if err != nil {
		return nil, err
	}
	gc := consensus.GroupConfig{Name: group, Machine: k.store}
	if k.self.Bootstrap {
		gc.Bootstrap = []consensus.Server{{ID: consensus.ServerID(k.self.ServerID), Addr: k.node.Addr()}}
	}
	if k.group, err = k.node.Start(gc); err != nil {
		return nil, err
	}
	k.started.Store(k.group)
	k.log = state.NewLog(k.store, k.node, k.group, c.clock)
	return k, nil
}

// controlPeer admits control nodes that are known to the transport, and nobody else.
func (k *core) controlPeer(c *x509.Certificate) (string, error) {
	n, err := k.known(ca.Control, c)
	return n.Node, err
}

func (k *core) close() error {
	var err error
	if k.log != nil {
		k.log.Close()
	}
	if k.group != nil {
		err = errors.Join(err, k.group.Close())
	}
	if k.node != nil {
		err = errors.Join(err, k.node.Close())
	}
	if k.store != nil {
		err = errors.Join(err, k.store.Close())
	}
	return err
}
