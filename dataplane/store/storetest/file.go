package storetest

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Sector is what a disk writes whole or not at all.
const Sector = 512

// node is a file or a directory.
type node struct {
	dir      bool
	links    int
	data     []byte
	reserved int64 // space taken by Preallocate
	// old has the durable contents of sectors that were written since the last sync, and
	// lost those of sectors that a failed sync was to make durable.
	old, lost map[int64][]byte
	flights   []*flight // oldest first
	size      int64     // durable
}

// flight is a sync that runs. It makes durable what was written before it began, and
// nothing that comes later.
type flight struct {
	old  map[int64][]byte
	size int64
}

func (n *node) space() int64 { return max(n.reserved, int64(len(n.data))) }

// overwrite changes data from off on, which must be within data.
func (n *node) overwrite(p []byte, off int64) {
	if n.old == nil {
		n.old = map[int64][]byte{}
	}
	for s := off / Sector; s*Sector < off+int64(len(p)); s++ {
		if _, ok := n.old[s]; ok {
			continue
		}
		if was, ok := n.lost[s]; ok {
			n.old[s] = was
			delete(n.lost, s)
			continue
		}
		n.old[s] = append([]byte(nil), n.data[s*Sector:min((s+1)*Sector, int64(len(n.data)))]...)
	}
	copy(n.data[off:], p)
}

// grow makes the file longer, with zeros.
func (n *node) grow(size int64) {
	if more := size - int64(len(n.data)); more > 0 {
		n.data = append(n.data, make([]byte, more)...)
	}
}

func (n *node) takeOff() *flight {
	f := &flight{n.old, int64(len(n.data))}
	n.old = nil
	n.flights = append(n.flights, f)
	return f
}

// land ends a sync that succeeded, and with it those that began before.
func (n *node) land(f *flight) {
	if i := slices.Index(n.flights, f); i >= 0 {
		n.flights = n.flights[i+1:]
	}
	n.size = max(n.size, f.size)
}

// crashLand ends a sync that failed.
func (n *node) crashLand(f *flight) {
	if n.lost == nil {
		n.lost = map[int64][]byte{}
	}
	maps.Copy(n.lost, f.old)
	n.flights = slices.DeleteFunc(n.flights, func(g *flight) bool { return g == f })
}

// unsynced has the durable contents of every sector that may not survive.
func (n *node) unsynced() map[int64][]byte {
	all := map[int64][]byte{}
	maps.Copy(all, n.old)
	for _, f := range slices.Backward(n.flights) {
		maps.Copy(all, f.old)
	}
	maps.Copy(all, n.lost)
	return all
}

// file is an open file. Unlike pebble's its Write leaves the caller's buffer alone.
type file struct {
	fs    *FS
	n     *node
	name  string
	write bool
	pos   int64
}

var _ vfs.File = (*file)(nil)

func (f *file) Close() error { return nil }

func (f *file) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.n.dir {
		return 0, failed("read", f.name, syscall.EISDIR)
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.WriteAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

// WriteAt writes what there is space for.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if !f.write {
		return 0, failed("write", f.name, syscall.EBADF)
	}
	var err error
	if over := off + int64(len(p)) - f.n.space(); over > 0 {
		got := f.fs.faults.take(over)
		if got < over {
			err = failed("write", f.name, syscall.ENOSPC)
			p = p[:max(0, int64(len(p))-(over-got))]
		}
	}
	if len(p) > 0 {
		f.n.grow(off + int64(len(p)))
		f.n.overwrite(p, off)
	}
	return len(p), err
}

func (f *file) Preallocate(off, length int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	over := off + length - f.n.space()
	if over <= 0 {
		return nil
	}
	if got := f.fs.faults.take(over); got < over {
		f.fs.faults.give(got)
		return failed("fallocate", f.name, syscall.ENOSPC)
	}
	f.n.reserved = off + length
	return nil
}

func (f *file) Stat() (vfs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return info{path.Base(f.name), int64(len(f.n.data)), f.n.dir}, nil
}

// Sync makes the file durable, or the names in the directory.
func (f *file) Sync() error {
	name := f.name
	if f.n.dir {
		name += "/"
	}
	hook, lies, err := f.fs.beginSync(name)
	if lies && err == nil {
		hook(name)
		return nil
	}
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	flight := f.n.takeOff()
	f.fs.mu.Unlock()
	hook(name)
	f.fs.mu.Lock()
	switch {
	case err != nil:
		f.n.crashLand(flight)
		return failed("sync", f.name, err)
	case f.n.dir:
		f.fs.syncNames(f.name)
	}
	f.n.land(flight)
	return nil
}

func (f *file) SyncData() error { return f.Sync() }

// SyncTo promises nothing, as on Linux.
func (f *file) SyncTo(int64) (bool, error) { return false, nil }

func (f *file) Prefetch(int64, int64) error { return nil }

func (f *file) Fd() uintptr { return vfs.InvalidFd }

type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string           { return i.name }
func (i info) Size() int64            { return i.size }
func (i info) IsDir() bool            { return i.dir }
func (i info) ModTime() time.Time     { return time.Time{} }
func (i info) Sys() any               { return nil }
func (i info) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
func (i info) Mode() os.FileMode {
	if i.dir {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
