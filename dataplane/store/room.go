package store

import (
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk watches the space that the file system has left. mu guards all fields.
type disk struct {
	mu struct {
		sync.Mutex
		looked time.Time // by the monotonic clock
		avail  uint64
		err    error
	}
}

// roomEvery is how old an answer may be.
const roomEvery = 100 * time.Millisecond

// room says whether something may be written that adds to what is kept. Below the reserve
// that is ErrFull; what deletes may go on into three quarters of it, so that there is a
// way out. Pebble thus never meets a full disk that we filled.
func (s *Store) room(adds bool) error {
	if err := s.writable(); err != nil {
		return err
	}
	need := uint64(s.opt.Reserve)
	if !adds {
		need /= 4
	}
	if avail, err := s.avail(); err == nil && avail < need {
		return ErrFull
	}
	return nil
}

func (s *Store) avail() (uint64, error) {
	d := &s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); d.mu.looked.IsZero() || now.Sub(d.mu.looked) > roomEvery {
		var u vfs.DiskUsage
		u, d.mu.err = s.fs.GetDiskUsage(s.opt.Dir)
		d.mu.avail, d.mu.looked = u.AvailBytes, now
	}
	return d.mu.avail, d.mu.err
}

// noRoom is told that a write met a full disk: nobody need try before the next look.
func (s *Store) noRoom() {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.disk.mu.avail, s.disk.mu.looked = 0, time.Now()
}
