package consensus

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// What is asked of the disk, by the file it is asked for; vfs.FS wants a category.
const diskCategory = vfs.WriteCategoryUnspecified

// syncDir makes the entries of dir durable.
func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir creates dir with all its parents and makes the whole way to it durable,
// whether or not it was there: an earlier process may have died before its sync.
// Parents that we may not open are somebody else's to keep.
func makeDir(fsys vfs.FS, dir string) error {
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for at := dir; ; {
		parent := fsys.PathDir(at)
		if err := syncDir(fsys, parent); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		if parent == at || parent == "." || parent == "" {
			return syncDir(fsys, dir)
		}
		at = parent
	}
}

// writeFile creates name with data and syncs its contents; its directory entry is the
// caller's to sync.
func writeFile(fsys vfs.FS, name string, data []byte) error {
	f, err := fsys.Create(name, diskCategory)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// exists reports whether name is there.
func exists(fsys vfs.FS, name string) (bool, error) {
	_, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Wipe removes everything a Node keeps below dir, for a member that is to join again
// under a new id. Nothing is removed while a Node has it open, in whichever process.
func Wipe(fsys vfs.FS, dir string) error {
	if fsys == nil {
		fsys = vfs.Default
	}
	lock, err := fsys.Lock(fsys.PathJoin(dir, logDir, "LOCK"))
	if err == nil {
		defer lock.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: a member runs on it: %w", dir, err)
	}
	for _, name := range []string{logDir, sideDir, snapshotDir} {
		if err := fsys.RemoveAll(fsys.PathJoin(dir, name)); err != nil {
			return err
		}
	}
	ok, err := exists(fsys, dir)
	if err != nil || !ok {
		return err
	}
	return syncDir(fsys, dir)
}

// Directories below Config.Dir.
const (
	logDir      = "log"
	sideDir     = "side"
	snapshotDir = "snapshots"
)
