package store

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walFS overwrites what a log file held before Pebble uses it again, while keys are being
// destroyed. Otherwise the old octets stay, since overwriting blocks that were written
// before syncs twice as fast.
type walFS struct {
	vfs.FS
	shred atomic.Bool
}

// ReuseForWrite implements vfs.FS.
func (f *walFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if f.shred.Load() {
		if err := f.overwrite(old, c); err != nil {
			return nil, err
		}
	}
	return f.FS.ReuseForWrite(old, name, c)
}

func (f *walFS) overwrite(name string, c vfs.DiskWriteCategory) (err error) {
	info, err := f.Stat(name)
	if err != nil {
		return err
	}
	file, err := f.OpenReadWrite(name, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	zeros := make([]byte, 256<<10)
	for at, end := int64(0), info.Size(); at < end; {
		n, err := file.WriteAt(zeros[:min(int64(len(zeros)), end-at)], at)
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrShortWrite
		}
		at += int64(n)
	}
	return file.Sync()
}
