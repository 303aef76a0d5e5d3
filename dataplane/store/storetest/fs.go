package storetest

import (
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the disk. All methods may be called by any goroutine.
type FS struct {
	mu      sync.Mutex
	names   map[string]*node // as programs see them
	durable map[string]*node // after a crash at which nothing unsynced survives
	pending []change         // from durable to names
	locks   map[string]bool
	faults  faults
}

var _ vfs.FS = (*FS)(nil)

// change is what one call did to names; nil nodes are removals.
type change []entry

type entry struct {
	name string
	node *node
}

// New is an empty disk.
func New() *FS {
	root := &node{dir: true}
	return &FS{
		names:   map[string]*node{"/": root},
		durable: map[string]*node{"/": root},
		locks:   map[string]bool{},
		faults:  faults{free: -1},
	}
}

func clean(name string) string { return path.Clean("/" + name) }

func failed(op, name string, err error) error { return &os.PathError{Op: op, Path: name, Err: err} }

// set changes names by one call.
func (y *FS) set(c ...entry) {
	for _, e := range c {
		if old := y.names[e.name]; old != nil {
			old.links--
		}
		if e.node == nil {
			delete(y.names, e.name)
		} else {
			e.node.links++
			y.names[e.name] = e.node
		}
	}
	y.pending = append(y.pending, c)
}

func (y *FS) parentOf(op, name string) error {
	if d := y.names[path.Dir(name)]; d == nil || !d.dir {
		return failed(op, name, fs.ErrNotExist)
	}
	return nil
}

// Create implements vfs.FS.
func (y *FS) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.create(clean(name))
}

func (y *FS) create(name string) (vfs.File, error) {
	if err := y.parentOf("create", name); err != nil {
		return nil, err
	}
	if old := y.names[name]; old != nil && old.dir {
		return nil, failed("create", name, syscall.EISDIR)
	}
	n := &node{}
	y.drop(y.names[name])
	y.set(entry{name, n})
	return &file{fs: y, n: n, name: name, write: true}, nil
}

// drop gives the space of a file back whose last name goes.
func (y *FS) drop(n *node) {
	if n != nil && n.links == 1 {
		y.faults.give(n.space())
	}
}

// Link implements vfs.FS.
func (y *FS) Link(oldname, newname string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	oldname, newname = clean(oldname), clean(newname)
	n := y.names[oldname]
	if n == nil {
		return failed("link", oldname, fs.ErrNotExist)
	}
	if y.names[newname] != nil {
		return failed("link", newname, fs.ErrExist)
	}
	y.set(entry{newname, n})
	return nil
}

func (y *FS) open(name string, write bool) (vfs.File, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	name = clean(name)
	if n := y.names[name]; n != nil {
		return &file{fs: y, n: n, name: name, write: write && !n.dir}, nil
	}
	if write {
		return y.create(name)
	}
	return nil, failed("open", name, fs.ErrNotExist)
}

// Open implements vfs.FS.
func (y *FS) Open(name string, _ ...vfs.OpenOption) (vfs.File, error) { return y.open(name, false) }

// OpenReadWrite implements vfs.FS.
func (y *FS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return y.open(name, true)
}

// OpenDir implements vfs.FS.
func (y *FS) OpenDir(name string) (vfs.File, error) { return y.open(name, false) }

// Remove implements vfs.FS.
func (y *FS) Remove(name string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	name = clean(name)
	n := y.names[name]
	if n == nil {
		return failed("remove", name, fs.ErrNotExist)
	}
	if n.dir && len(y.under(name)) > 0 {
		return failed("remove", name, syscall.ENOTEMPTY)
	}
	y.drop(n)
	y.set(entry{name, nil})
	return nil
}

// RemoveAll implements vfs.FS.
func (y *FS) RemoveAll(name string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	name = clean(name)
	all := y.under(name)
	if y.names[name] != nil {
		all = append(all, name)
	}
	for _, each := range all {
		y.drop(y.names[each])
		y.set(entry{each, nil})
	}
	return nil
}

// under is every name below a directory.
func (y *FS) under(dir string) (all []string) {
	for name := range y.names {
		if name != "/" && strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/") {
			all = append(all, name)
		}
	}
	return all
}

// Rename implements vfs.FS; of files only.
func (y *FS) Rename(oldname, newname string) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	oldname, newname = clean(oldname), clean(newname)
	n := y.names[oldname]
	if n == nil {
		return failed("rename", oldname, fs.ErrNotExist)
	}
	if n.dir {
		return failed("rename", oldname, syscall.ENOTSUP)
	}
	if err := y.parentOf("rename", newname); err != nil {
		return err
	}
	y.drop(y.names[newname])
	y.set(entry{oldname, nil}, entry{newname, n})
	return nil
}

// ReuseForWrite implements vfs.FS.
func (y *FS) ReuseForWrite(oldname, newname string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	if err := y.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return y.open(newname, true)
}

// MkdirAll implements vfs.FS.
func (y *FS) MkdirAll(dir string, _ os.FileMode) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	at := ""
	for _, part := range strings.Split(clean(dir)[1:], "/") {
		if part == "" {
			continue
		}
		at += "/" + part
		switch n := y.names[at]; {
		case n == nil:
			y.set(entry{at, &node{dir: true}})
		case !n.dir:
			return failed("mkdir", at, syscall.ENOTDIR)
		}
	}
	return nil
}

// Lock implements vfs.FS.
func (y *FS) Lock(name string) (io.Closer, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	name = clean(name)
	if y.locks[name] {
		return nil, syscall.EAGAIN
	}
	if _, err := y.create(name); err != nil {
		return nil, err
	}
	y.locks[name] = true
	return unlocker{y, name}, nil
}

type unlocker struct {
	y    *FS
	name string
}

func (u unlocker) Close() error {
	u.y.mu.Lock()
	defer u.y.mu.Unlock()
	delete(u.y.locks, u.name)
	return nil
}

// List implements vfs.FS.
func (y *FS) List(dir string) ([]string, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	dir = clean(dir)
	if n := y.names[dir]; n == nil || !n.dir {
		return nil, failed("list", dir, fs.ErrNotExist)
	}
	all := []string{}
	for name := range y.names {
		if name != "/" && path.Dir(name) == dir {
			all = append(all, path.Base(name))
		}
	}
	return all, nil
}

// Stat implements vfs.FS.
func (y *FS) Stat(name string) (vfs.FileInfo, error) {
	f, err := y.open(name, false)
	if err != nil {
		return nil, err
	}
	return f.Stat()
}

// PathBase implements vfs.FS.
func (*FS) PathBase(name string) string { return path.Base(name) }

// PathJoin implements vfs.FS.
func (*FS) PathJoin(elem ...string) string { return path.Join(elem...) }

// PathDir implements vfs.FS.
func (*FS) PathDir(name string) string { return path.Dir(name) }

// GetDiskUsage implements vfs.FS: what SetFree left.
func (y *FS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.faults.free < 0 {
		return vfs.DiskUsage{}, vfs.ErrUnsupported
	}
	free := uint64(y.faults.free)
	return vfs.DiskUsage{AvailBytes: free, TotalBytes: free + y.used(), UsedBytes: y.used()}, nil
}

func (y *FS) used() (n uint64) {
	for _, each := range y.names {
		n += uint64(each.space())
	}
	return n
}

// Unwrap implements vfs.FS.
func (*FS) Unwrap() vfs.FS { return nil }
