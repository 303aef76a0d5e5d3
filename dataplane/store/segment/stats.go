package segment

import (
	"maps"
	"slices"
)

// SegmentStats is what a segment holds.
type SegmentStats struct {
	Number     uint32
	Generation uint64
	State      string // held, active, full, empty, ready, damaged
	Size       int64  // octets of the file
	Live       int64  // octets of extents that are needed
	Dead       int64  // octets of extents that are not, and of room lost
	Extents    int    // that are needed
	Pinned     bool   // by a reader
	Damaged    bool   // an extent that was to be moved is damaged
}

// Stats is what the segments hold.
type Stats struct {
	Segments []SegmentStats // by number
	Size     int64          // sums over them
	Live     int64
	Dead     int64
	Extents  int64
	Ready    int // segments that are ready for use
}

// Stats counts.
func (f *Files) Stats() (st Stats) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.segments()
	for _, number := range slices.Sorted(maps.Keys(all)) {
		s := all[number].statsLocked()
		st.Segments = append(st.Segments, s)
		st.Size += s.Size
		st.Live += s.Live
		st.Dead += s.Dead
		st.Extents += int64(s.Extents)
		if s.State == ready.String() {
			st.Ready++
		}
	}
	return st
}

func (s *segment) statsLocked() SegmentStats {
	st := SegmentStats{
		Number: s.number, Generation: s.generation.Load(), State: s.state.String(), Size: s.size,
		Live: s.octets, Extents: s.extents, Pinned: s.pins.Load() > 0, Damaged: s.stuck,
	}
	switch s.state {
	case active, held:
		st.Dead = (s.tail-1)*page - s.octets
	case full, empty:
		st.Dead = s.size - page - s.octets
	}
	return st
}

// Candidates are the full segments of which at most a share (0 to 1) is needed, those
// with the least first: what Compact is worth calling for.
func (f *Files) Candidates(share float64) (some []SegmentStats) {
	for _, s := range f.Stats().Segments {
		if s.State == full.String() && !s.Damaged && s.Dead > 0 && float64(s.Live) <= share*float64(s.Size) {
			some = append(some, s)
		}
	}
	slices.SortStableFunc(some, func(a, b SegmentStats) int {
		return int(a.Live*256/a.Size - b.Live*256/b.Size)
	})
	return some
}
