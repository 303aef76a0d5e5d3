package store

import (
	"context"
	"fmt"
	"math"
)

// What a store takes for a segment: a share of the disk, which is bounded.
const leastSegment, segmentShare = 32 << 20, 64

// fit chooses what the options left open by the size of the disk.
func (s *Store) fit() {
	s.disk.Measure()
	if s.opt.SegmentSize == 0 {
		s.opt.SegmentSize = s.disk.Share(segmentShare, leastSegment)
	}
}

// segmentRoom keeps new segments out of half the reserve, which is the rows' database's.
func (s *Store) segmentRoom(octets int64) error {
	s.disk.Look()
	if s.disk.Below(octets + s.disk.Reserve()/2) {
		s.look()
		avail, _ := s.disk.Avail()
		return fmt.Errorf("%d octets are free: %w", avail, ErrFull)
	}
	return nil
}

// moveRoom is what compaction may take of the reserve for a segment that it fills: it gives back more.
func (s *Store) moveRoom() int64 {
	s.disk.Look()
	avail, err := s.disk.Avail()
	if err != nil {
		return 0
	}
	return int64(min(avail, math.MaxInt64)) - s.disk.Reserve()/4 //nolint:gosec // it is at most that
}

// worthMoving is the share of a segment up to which emptying it is worthwhile. Where the disk is nearly
// full it rises from compactShare towards one: space is then dearer than the work.
func (s *Store) worthMoving() float64 {
	low := s.disk.Reserve() + s.opt.SegmentSize // with less, a writer that needs a segment may be refused
	avail, err := s.disk.Avail()
	if err != nil || avail >= uint64(2*low) { //nolint:gosec // both are positive
		return compactShare
	}
	dear := min(1, float64(2*low-int64(avail))/float64(low)) //nolint:gosec // it is below 2*low
	return compactShare + dear*(mostShare-compactShare)
}

// giveBack removes segments that hold nothing while the disk is full.
func (s *Store) giveBack(context.Context) error {
	for {
		s.disk.Look()
		if !s.disk.Below(s.disk.Reserve()) {
			return nil
		}
		more, err := s.files.GiveBack()
		if err != nil || !more {
			return err
		}
	}
}

// room says whether something may be written that adds to what is kept. Below the reserve
// that is ErrFull; what deletes may go on into three quarters of it, so that there is a
// way out. Pebble thus never meets a full disk that we filled.
func (s *Store) room(adds bool) error {
	if err := s.writable(); err != nil {
		return err
	}
	need := s.disk.Reserve()
	if !adds {
		need /= 4
	}
	if s.disk.Below(need) {
		s.look() // what was deleted may be given back
		return ErrFull
	}
	return nil
}

// restock makes the ballast anew when there is space again.
func (s *Store) restock(context.Context) error { return s.disk.Restock() }
