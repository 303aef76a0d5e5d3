package store

import (
	"context"
	"errors"
	"fmt"
	"math"
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

// What a store takes for its reserve and for a segment: a share of the disk, which is
// bounded.
const (
	largest                    = 256 << 20
	minReserve, reserveShare   = 64 << 20, 16
	leastSegment, segmentShare = 32 << 20, 64
)

// fit chooses what the options left open by the size of the disk.
func (s *Store) fit() {
	total := uint64(math.MaxInt64)
	if u, err := s.fs.GetDiskUsage(s.opt.Dir); err == nil && u.TotalBytes > 0 {
		total = min(total, u.TotalBytes)
	}
	if s.opt.Reserve == 0 {
		s.opt.Reserve = share(total, reserveShare, minReserve)
	}
	s.opt.Reserve = max(s.opt.Reserve, 0)
	if s.opt.SegmentSize == 0 {
		s.opt.SegmentSize = share(total, segmentShare, leastSegment)
	}
}

// share is a part of the disk in whole MiB, within bounds.
func share(total uint64, part, least int64) int64 {
	return min(largest, max(least, int64(total)/part>>20<<20))
}

// segmentRoom keeps new segments out of half the reserve, which is the rows' database's.
func (s *Store) segmentRoom(octets int64) error {
	s.lookAgain()
	if avail, err := s.avail(); err == nil && avail < uint64(octets+s.opt.Reserve/2) {
		s.look()
		return fmt.Errorf("%d octets are free: %w", avail, ErrFull)
	}
	return nil
}

// giveBack removes segments that hold nothing while the disk is full.
func (s *Store) giveBack(context.Context) error {
	for {
		s.lookAgain()
		if avail, err := s.avail(); err != nil || avail >= uint64(s.opt.Reserve) {
			return nil //nolint:nilerr // where nobody knows the space nothing is given back
		}
		more, err := s.files.GiveBack()
		if err != nil || !more {
			return err
		}
	}
}

// lookAgain forgets what was seen of the disk.
func (s *Store) lookAgain() {
	s.disk.mu.Lock()
	defer s.disk.mu.Unlock()
	s.disk.mu.looked = time.Time{}
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
		s.look() // what was deleted may be given back
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

// maxBallast bounds the file that is given up when others have filled the disk, so that
// Pebble can finish what it began.
const maxBallast = 64 << 20

func (s *Store) ballast() string { return s.opt.FS.PathJoin(s.opt.Dir, "ballast") }

// diskFull gives up the ballast. It is called by whoever's write met the full disk.
func (s *Store) diskFull() {
	s.noRoom()
	_ = s.opt.FS.Remove(s.ballast())
}

// restock makes the ballast anew when there is space again.
func (s *Store) restock(context.Context) error {
	size := min(s.opt.Reserve/4, maxBallast)
	if avail, err := s.avail(); size == 0 || err != nil || avail < uint64(2*s.opt.Reserve) {
		return nil //nolint:nilerr // where nobody knows the space there is no ballast
	}
	if _, err := s.opt.FS.Stat(s.ballast()); err == nil {
		return nil
	}
	file, err := s.opt.FS.Create(s.ballast(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("make the ballast: %w", err)
	}
	if err := fillFile(file, size); err != nil {
		_ = s.opt.FS.Remove(s.ballast())
		return fmt.Errorf("fill the ballast: %w", err)
	}
	return nil
}

func fillFile(file vfs.File, size int64) (err error) {
	defer func() { err = errors.Join(err, file.Close()) }()
	zeros := make([]byte, min(size, 1<<20))
	for n := int64(0); n < size; n += int64(len(zeros)) {
		if _, err := file.Write(zeros); err != nil {
			return err
		}
	}
	return file.Sync()
}
