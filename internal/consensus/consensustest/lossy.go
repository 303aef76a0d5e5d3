package consensustest

import "github.com/cockroachdb/pebble/v2/vfs"

// Lossy is a file system that forgets to sync what Drop names, for control runs: a
// crash test that passes on it does not bite.
type Lossy struct {
	vfs.FS
	// Drop reports whether a sync of name, a file or a directory, does nothing.
	Drop func(name string, dir bool) bool
}

type lossyFile struct{ vfs.File }

func (lossyFile) Sync() error                { return nil }
func (lossyFile) SyncData() error            { return nil }
func (lossyFile) SyncTo(int64) (bool, error) { return false, nil }

func (l *Lossy) wrap(name string, dir bool, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !l.Drop(name, dir) {
		return f, err
	}
	return lossyFile{f}, nil
}

// Create implements vfs.FS.
func (l *Lossy) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, c)
	return l.wrap(name, false, f, err)
}

// OpenReadWrite implements vfs.FS.
func (l *Lossy) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := l.FS.OpenReadWrite(name, c, o...)
	return l.wrap(name, false, f, err)
}

// OpenDir implements vfs.FS.
func (l *Lossy) OpenDir(name string) (vfs.File, error) {
	f, err := l.FS.OpenDir(name)
	return l.wrap(name, true, f, err)
}

// ReuseForWrite implements vfs.FS.
func (l *Lossy) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.ReuseForWrite(old, name, c)
	return l.wrap(name, false, f, err)
}
