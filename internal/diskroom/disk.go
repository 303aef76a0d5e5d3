// Package diskroom keeps a data directory from filling its disk to the end: whoever
// writes asks first what is free, stops short of a reserve, and gives up a ballast when
// others have filled the disk all the same, so that Pebble can finish what it began.
package diskroom

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The reserve is a share of the disk, which is bounded, in octets.
const (
	Largest              = 256 << 20
	least, reserveShare  = 64 << 20, 16
	maxBallast           = 64 << 20
	every                = 100 * time.Millisecond // how old an answer may be
	ballastPart, restock = 4, 2                   // of the reserve: the ballast's size, and the space for a new one
)

// Disk watches the file system of one directory. Its methods may be called from any
// goroutine.
type Disk struct {
	fs      vfs.FS
	dir     string
	reserve int64 // octets that stay free
	total   uint64

	mu struct {
		sync.Mutex
		until time.Time // by the monotonic clock: the answer holds so long
		avail uint64
		err   error
	}
}

// New watches dir once Measure was called. reserve is what stays free, in octets: 0
// chooses a sixteenth of the disk, from 64 to 256 MiB, and a negative number none.
func New(fs vfs.FS, dir string, reserve int64) *Disk {
	return &Disk{fs: fs, dir: dir, total: math.MaxInt64, reserve: reserve}
}

// Local is New for a directory of the system's file system and the reserve by its size. It is
// measured already.
func Local(dir string) *Disk {
	d := New(vfs.Default, dir, 0)
	d.Measure()
	return d
}

// FS is the file system of the directory, relieved.
func (d *Disk) FS() vfs.FS { return d.Relieve(d.fs) }

// Measure sees how large the disk is. It is called once, when the directory exists and
// before it is written to.
func (d *Disk) Measure() {
	if u, err := d.fs.GetDiskUsage(d.dir); err == nil && u.TotalBytes > 0 {
		d.total = min(d.total, u.TotalBytes)
	}
	if d.reserve == 0 {
		d.reserve = d.Share(reserveShare, least)
	}
	d.reserve = max(d.reserve, 0)
}

// Share is one part of so many of the disk, in whole MiB, from least to Largest octets.
func (d *Disk) Share(part, least int64) int64 {
	return min(Largest, max(least, int64(d.total)/part>>20<<20))
}

// Reserve is how many octets stay free.
func (d *Disk) Reserve() int64 { return d.reserve }

// Avail is how many octets are free, as of a tenth of a second ago or later; an error
// where nobody knows.
func (d *Disk) Avail() (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.After(d.mu.until) {
		var u vfs.DiskUsage
		u, d.mu.err = d.fs.GetDiskUsage(d.dir)
		d.mu.avail, d.mu.until = u.AvailBytes, now.Add(every)
	}
	return d.mu.avail, d.mu.err
}

// Below says whether fewer octets than need are free. Where nobody knows, none are missed.
func (d *Disk) Below(need int64) bool {
	avail, err := d.Avail()
	return err == nil && avail < uint64(max(need, 0))
}

// Look forgets what was seen of the disk.
func (d *Disk) Look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.until = time.Time{}
}

// Believe makes an answer last: nobody looks for so long.
func (d *Disk) Believe(avail uint64, lasts time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mu.avail, d.mu.err, d.mu.until = avail, nil, time.Now().Add(lasts)
}

// Full is told that a write met a full disk: nobody need try before the next look.
func (d *Disk) Full() { d.Believe(0, every) }

// Relieve returns fs with the ballast given up, and the write tried once more, where a
// write meets a full disk. Without a ballast it takes a moment to fail: Pebble begins a
// flush again as soon as it failed, with a core of its own.
func (d *Disk) Relieve(fs vfs.FS) vfs.FS {
	return vfs.OnDiskFull(fs, func() {
		d.Full()
		if d.fs.Remove(d.ballast()) != nil {
			time.Sleep(every)
		}
	})
}

// GiveUp gives the ballast up before anything has met a full disk, for what must be written
// all the same. It reports whether there was one.
func (d *Disk) GiveUp() bool {
	if d.fs.Remove(d.ballast()) != nil {
		return false
	}
	d.Look()
	return true
}

func (d *Disk) ballast() string { return d.fs.PathJoin(d.dir, "ballast") }

// Restock makes the ballast anew when there is space for it. Where the file system can, its
// pages are reserved and not written.
func (d *Disk) Restock() error {
	size := min(d.reserve/ballastPart, maxBallast)
	if avail, err := d.Avail(); size == 0 || err != nil || avail < uint64(restock*d.reserve) {
		return nil //nolint:nilerr // where nobody knows the space there is no ballast
	}
	if _, err := d.fs.Stat(d.ballast()); err == nil {
		return nil
	}
	file, err := d.fs.Create(d.ballast(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("make the ballast: %w", err)
	}
	if err := errors.Join(take(file, size), file.Sync(), file.Close()); err != nil {
		_ = d.fs.Remove(d.ballast())
		return fmt.Errorf("fill the ballast: %w", err)
	}
	return nil
}

// take makes a file hold so many octets of the disk.
func take(file vfs.File, size int64) error {
	err := file.Preallocate(0, size)
	if !errors.Is(err, syscall.EOPNOTSUPP) && !errors.Is(err, syscall.ENOSYS) {
		return err
	}
	zeros := make([]byte, min(size, 1<<20))
	for n := int64(0); n < size; n += int64(len(zeros)) {
		if _, err := file.Write(zeros); err != nil {
			return err
		}
	}
	return nil
}
