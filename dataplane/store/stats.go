package store

import (
	"time"
)

// Stats are counts of a store, as they are now.
type Stats struct {
	SegmentBytes uint64    // of segments on disk
	LiveBytes    uint64    // of them, octets that rows need
	FreeBytes    uint64    // that the file system has left
	Extents      uint64    // in segments
	Damaged      uint64    // things that are damaged; see Damage
	Scrubbed     time.Time // when the last scrub ended; zero for never
	ScrubDamaged uint64    // things that it found damaged
	Progress     uint32    // of the scrub that runs or was interrupted, per mille
	ReadOnly     string    // why writes are refused; empty when they are not
	Applied      uint64    // index of the last command
}

// Stats tells what the store holds.
func (s *Store) Stats() Stats {
	if s.gate.enter() != nil {
		return Stats{}
	}
	defer s.gate.leave()
	files := s.files.Stats()
	st := Stats{
		SegmentBytes: uint64(files.Size), LiveBytes: uint64(files.Live), Extents: uint64(files.Extents),
		Damaged: s.damagedThings(), Applied: s.log.applied(),
	}
	st.FreeBytes, _ = s.disk.Avail()
	if err := s.writable(); err != nil {
		st.ReadOnly = err.Error()
	}
	last, going := s.ledger.runs()
	st.Scrubbed, st.ScrubDamaged = last.ended, last.Damaged
	st.Progress = uint32(going.Done * 1000 / max(going.Total, 1))
	return st
}

// Progress is how far a scrub, a check or a rebuild came.
type Progress struct {
	Done    uint64 `json:"bytes"` // octets, roughly
	Total   uint64 `json:"total"` // of Done
	Extents uint64 `json:"extents"`
	Rows    uint64 `json:"rows"`
	Damaged uint64 `json:"damaged"`
}
