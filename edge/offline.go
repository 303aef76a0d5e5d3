package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/keyring"
	"github.com/dark-ecosystem/dark/internal/kind"
)

// OfflineStore says how to open the store of an edge that is not running, with the keys
// that the edge was given, and which buckets it keeps. It needs no control node.
func OfflineStore(dir string, log *slog.Logger) (store.Options, BucketNames, error) {
	o, err := openOffline(dir, nil, log)
	if err != nil {
		return store.Options{}, nil, err
	}
	return o.store, bucketsOf(o.view), nil
}

// offlineEdge is what an edge that does not run keeps, and what it was told of it.
type offlineEdge struct {
	store store.Options
	view  *s3.View // its buckets, and no access key
}

// openOffline reads an edge's directory with the machine's own key, or with the recovery key where one is
// given.
func openOffline(dir string, recovery *keyring.Machine, log *slog.Logger) (*offlineEdge, error) {
	self, err := ReadSelf(dir)
	if err != nil {
		return nil, fmt.Errorf("%s holds no edge: %w", dir, err)
	}
	key := recovery
	if key == nil {
		if key, err = machineKey(dir); err != nil {
			return nil, err
		}
	}
	changes, err := toldOffline(dir, self, log)
	if err != nil {
		return nil, err
	}
	s := &s3Server{machine: key, keys: newStorageKeys()}
	compiled, refused := s.compileStorage(nil, changes)
	for _, r := range refused {
		log.Warn("what this was told cannot be read; what a key seals is compared with its hash only", "kind", r.Kind,
			"name", r.Name, "reason", r.Reason)
	}
	v := compiled.(*storageView)
	s.keys.set(&v.keys)
	disk, err := diskKeyOffline(dir, key, recovery != nil)
	if err != nil {
		return nil, err
	}
	return &offlineEdge{view: v.s3, store: store.Options{
		Dir: filepath.Join(dir, dirStore), Cell: self.Name, Keys: s.keys, DiskKey: disk, Logger: log,
	}}, nil
}

// toldOffline is what the edge was told of buckets and their keys.
func toldOffline(dir string, self Self, log *slog.Logger) (changes []kind.Change, err error) {
	noLink := func() (*tls.Config, error) { return nil, errors.New("offline") }
	c, all, err := config.Open(config.Options{
		Dir: dir, Cluster: self.ClusterID, Pinned: self.PublishingKey,
		TLS: noLink, Self: func() ca.Name {
			return ca.Name{Node: self.Name}
		}, Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("%w; is the edge still running?", err)
	}
	for _, ch := range all {
		if ch.Kind == kindKeys || ch.Kind == kindBucket {
			changes = append(changes, ch.Change)
		}
	}
	return changes, c.Close()
}

func diskKeyOffline(dir string, key *keyring.Machine, recovery bool) (*[32]byte, error) {
	if !recovery {
		return loadDiskKey(dir, key)
	}
	f, err := readDiskKey(dir)
	if err != nil {
		return nil, err
	}
	disk, err := f.open(key)
	if err != nil {
		return nil, fmt.Errorf("%s does not open with this recovery key: %w; the right one was printed by "+
			"`darkd init` of this installation", filepath.Join(dir, fileDiskKey), err)
	}
	return disk, nil
}
