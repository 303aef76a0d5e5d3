package store

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/diskroom"
)

// sized is a file system of a size.
type sized struct {
	vfs.FS
	total uint64
}

func (f sized) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{TotalBytes: f.total, AvailBytes: f.total}, nil
}

func TestWhatAStoreTakesFollowsTheDisk(t *testing.T) {
	for _, c := range []struct {
		disk             uint64
		reserve, segment int64
	}{
		{256 << 20, 64 << 20, 32 << 20},
		{1 << 30, 64 << 20, 32 << 20},
		{3 << 30, 192 << 20, 48 << 20},
		{10<<30 + 12345, 256 << 20, 160 << 20},
		{1 << 40, 256 << 20, 256 << 20},
	} {
		s := &Store{disk: diskroom.New(sized{vfs.NewMem(), c.disk}, "", 0)}
		s.fit()
		if s.disk.Reserve() != c.reserve || s.opt.SegmentSize != c.segment {
			t.Errorf("a disk of %d: reserve %d, segments %d", c.disk, s.disk.Reserve(), s.opt.SegmentSize)
		}
	}
}
