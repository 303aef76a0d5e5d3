package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/edge/config"
	"github.com/dark-ecosystem/dark/internal/ca"
	"github.com/dark-ecosystem/dark/internal/kind"
)

// OfflineStore says how to open the store of an edge that is not running, with the keys
// that the edge was given, and which buckets it keeps. It needs no control node.
func OfflineStore(dir string, log *slog.Logger) (store.Options, BucketNames, error) {
	self, err := ReadSelf(dir)
	if err != nil {
		return store.Options{}, nil, fmt.Errorf("%s holds no edge: %w", dir, err)
	}
	machine, err := machineKey(dir)
	if err != nil {
		return store.Options{}, nil, err
	}
	noLink := func() (*tls.Config, error) { return nil, errors.New("offline") }
	c, all, err := config.Open(config.Options{
		Dir: dir, Cluster: self.ClusterID, Pinned: self.PublishingKey,
		TLS: noLink, Self: func() ca.Name {
			return ca.Name{Node: self.Name}
		}, Log: log,
	})
	if err != nil {
		return store.Options{}, nil, fmt.Errorf("%w; is the edge still running?", err)
	}
	if err := c.Close(); err != nil {
		return store.Options{}, nil, err
	}
	var changes []kind.Change
	for _, ch := range all {
		if ch.Kind == kindKeys || ch.Kind == kindBucket {
			changes = append(changes, ch.Change)
		}
	}
	s := &s3Server{machine: machine, keys: newStorageKeys()}
	v, refused := s.compileStorage(nil, changes)
	for _, r := range refused {
		log.Warn("what this was told cannot be read; what a key seals is compared with its hash only", "kind", r.Kind,
			"name", r.Name, "reason", r.Reason)
	}
	s.keys.set(&v.(*storageView).keys)
	disk, err := loadDiskKey(dir, machine)
	if err != nil {
		return store.Options{}, nil, err
	}
	return store.Options{Dir: filepath.Join(dir, dirStore), Cell: self.Name, Keys: s.keys, DiskKey: disk, Logger: log},
		bucketsOf(v.(*storageView).s3), nil
}
