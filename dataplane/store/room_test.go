package store

import "testing"

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
		reserve := share(c.disk, reserveShare, minReserve)
		size := share(c.disk, segmentShare, leastSegment)
		if reserve != c.reserve || size != c.segment {
			t.Errorf("a disk of %d: reserve %d, segments %d", c.disk, reserve, size)
		}
	}
}
