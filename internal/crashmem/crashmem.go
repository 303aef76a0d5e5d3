// Package crashmem is Pebble's crashable memory, for tests that take a crash clone while
// others write.
package crashmem

import (
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a vfs.MemFS that may be cloned at any time. MemFS takes its read lock twice in
// Link, Lock and ReuseForWrite: a CrashClone that begins to wait between the two waits for
// the first, and the second for it, for ever.
type FS struct {
	*vfs.MemFS
	cloning sync.RWMutex
}

// New is an empty file system.
func New() *FS { return &FS{MemFS: vfs.NewCrashableMem()} }

// CrashClone is vfs.MemFS's.
func (y *FS) CrashClone(cfg vfs.CrashCloneCfg) *FS {
	y.cloning.Lock()
	defer y.cloning.Unlock()
	return &FS{MemFS: y.MemFS.CrashClone(cfg)}
}

// Link implements vfs.FS.
func (y *FS) Link(old, name string) error {
	y.cloning.RLock()
	defer y.cloning.RUnlock()
	return y.MemFS.Link(old, name)
}

// Lock implements vfs.FS.
func (y *FS) Lock(name string) (io.Closer, error) {
	y.cloning.RLock()
	defer y.cloning.RUnlock()
	return y.MemFS.Lock(name)
}

// ReuseForWrite implements vfs.FS.
func (y *FS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	y.cloning.RLock()
	defer y.cloning.RUnlock()
	return y.MemFS.ReuseForWrite(old, name, c)
}
