package replica

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Checkpoint flushes and syncs everything applied so far and makes dir, which does not
// exist yet, a copy of it by hard links. fsys is the one given to Open.
func (r *Replica) Checkpoint(_ vfs.FS, dir string) error {
	return r.With(func(db *pebble.DB) error {
		if err := db.Flush(); err != nil {
			return fmt.Errorf("checkpoint: flush: %w", err)
		}
		if err := db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		return syncDir(r.fs, dir)
	})
}

// Restore replaces the state by the checkpoint in src, which stays as it is. When it
// fails the old state is still there and live; when it returns nil the new one is
// durable, and readers that come get it.
func (r *Replica) Restore(_ vfs.FS, src string) error {
	r.mu.Lock()
	number := r.mu.number + 1
	r.mu.Unlock()
	db, err := r.build(number, src)
	if err != nil {
		return errors.Join(fmt.Errorf("restore replica %s: %w", r.dir, err), r.fs.RemoveAll(r.path(number)))
	}
	if err := r.writeCurrent(number); err != nil {
		// CURRENT may name either; both directories stay, and the next Open decides.
		return errors.Join(fmt.Errorf("restore replica %s: %w", r.dir, err), db.Close())
	}
	r.mu.Lock()
	old, oldNumber := r.mu.live, r.mu.number
	r.mu.live, r.mu.number = newHandle(db), number
	r.mu.Unlock()
	r.retire(old, oldNumber)
	return nil
}

// build makes directory number from the checkpoint in src and opens it. Tables never
// change and are linked; the rest, which Pebble may write to or use again, is copied.
func (r *Replica) build(number uint64, src string) (*pebble.DB, error) {
	dir := r.path(number)
	if err := r.fs.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := r.fs.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	names, err := r.fs.List(src)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		from, to := r.fs.PathJoin(src, name), r.fs.PathJoin(dir, name)
		if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob") {
			err = vfs.LinkOrCopy(r.fs, from, to)
		} else {
			err = vfs.Copy(r.fs, from, to)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := syncDir(r.fs, dir); err != nil {
		return nil, err
	}
	return r.openNumber(number)
}

// retire closes a replaced Pebble after its last reader, and removes it.
func (r *Replica) retire(h *handle, number uint64) {
	r.release(h)
	r.closing.Go(func() {
		<-h.unused
		err := errors.Join(h.db.Close(), r.fs.RemoveAll(r.path(number)))
		if err != nil {
			r.opts.Logger.Errorf("replica %s: remove the replaced state: %v", r.dir, err)
		}
	})
}

// makeDir creates dir with its parents and makes the way to it durable.
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

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
