package store

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// stallFS keeps syncs of the log waiting while it is told to.
type stallFS struct {
	vfs.FS
	stall atomic.Pointer[stall]
}

type stall struct {
	until chan struct{}
	err   error // what the syncs come to then
}

func (f *stallFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return file, err
	}
	return stallFile{file, f}, nil
}

func (f *stallFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.Remove(old); err != nil {
		return nil, err
	}
	return f.Create(name, c)
}

type stallFile struct {
	vfs.File
	fs *stallFS
}

func (f stallFile) wait() error {
	if s := f.fs.stall.Load(); s != nil {
		<-s.until
		return s.err
	}
	return nil
}

func (f stallFile) Sync() error     { return errors.Join(f.wait(), f.File.Sync()) }
func (f stallFile) SyncData() error { return errors.Join(f.wait(), f.File.SyncData()) }

// dirtyRead writes a row whose sync waits, reads it meanwhile with get, and says whether
// that waited, too, and what both came to when the sync ended with err.
func dirtyRead(t *testing.T, control control, err error, get func(*Space) error) (waited bool, wrote, read error) {
	t.Helper()
	fs := &stallFS{FS: vfs.NewMem()}
	o := testOptions(fs)
	o.control = control
	s := open(t, o)
	p := at(t, s, space1)
	put(t, p, "before", pattern(10, 1))
	w, body := ok2(t, p, pattern(10, 2))
	defer w.Abort()
	held := &stall{until: make(chan struct{}), err: err}
	fs.stall.Store(held)
	applied := s.log.applied()
	written, done := make(chan error, 1), make(chan error, 1)
	go func() { _, err := p.Commit(context.Background(), putOp("k", body)); written <- err }()
	eventually(t, "the command is applied", func() bool { return s.log.applied() > applied })
	if _, err := p.Get(t.Context(), []byte("before"), Current); err != nil {
		t.Errorf("a durable row: %v", err)
	}
	if _, err := p.Get(t.Context(), []byte("none"), Current); !errors.Is(err, ErrNotFound) {
		t.Errorf("no row: %v", err)
	}
	go func() { done <- get(p) }()
	eventually(t, "the reader waits, or has read", func() bool {
		waited = s.durable.waiting.Load() > 0
		return waited || len(done) > 0
	})
	close(held.until)
	fs.stall.Store(nil)
	return waited, <-written, <-done
}

// ok2 is a body that is durable, and its writer.
func ok2(t *testing.T, p *Space, content []byte) (*Writer, Body) {
	t.Helper()
	w, err := p.Write(t.Context(), Sealing{}, int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	body, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return w, body
}

// TestWhatIsReadIsDurable: a row is shown when its command is synced and not before, so that
// a power cut takes back nothing that anybody has seen; where the sync fails it is not shown.
func TestWhatIsReadIsDurable(t *testing.T) {
	reads := map[string]func(*Space) error{
		"get": func(p *Space) error {
			_, err := p.Get(context.Background(), []byte("k"), Current)
			return err
		},
		"scan": func(p *Space) error {
			c, err := p.Scan(ScanOptions{})
			if err != nil {
				return err
			}
			defer c.Close()
			n := 0
			for c.Next() {
				n++
			}
			if err := c.Err(); err != nil || n == 2 {
				return err
			}
			return errors.New("the row is not there")
		},
	}
	failed := errors.New("the disk is gone")
	for name, get := range reads {
		if waited, wrote, read := dirtyRead(t, control{}, nil, get); !waited || wrote != nil || read != nil {
			t.Errorf("%s: waited %v, wrote %v, read %v", name, waited, wrote, read)
		}
		if waited, wrote, read := dirtyRead(t, control{}, failed, get); !waited || !errors.Is(wrote, ErrReadOnly) ||
			!errors.Is(read, ErrReadOnly) {
			t.Errorf("%s, and the sync fails: waited %v, wrote %v, read %v", name, waited, wrote, read)
		}
		if waited, _, _ := dirtyRead(t, control{dirty: true}, nil, get); waited {
			t.Errorf("%s: the control build waits", name)
		}
	}
}
