package frame

import (
	"bytes"
	"errors"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// Verdict is what a receiver does with an opened frame.
type Verdict uint8

const (
	// Take: the frame is the next one.
	Take Verdict = iota
	// Repeat: the frame is the one taken last.
	Repeat
	// Gap: frames between the position and this one are missing.
	Gap
	// WrongCluster: it was made for another cluster.
	WrongCluster
	// WrongEpoch: it was made before or after a restore that the receiver is not in.
	WrongEpoch
	// WrongStream: the receiver does not follow its stream.
	WrongStream
	// WrongHash: it follows another frame than the one taken last.
	WrongHash
	// Behind: it is older than the position.
	Behind
)

var verdicts = [...]string{
	"take", "repeat", "gap", "wrong_cluster", "wrong_epoch", "wrong_stream",
	"wrong_previous_hash", "behind",
}

// String is the verdict's name as a counter.
func (v Verdict) String() string { return verdicts[v] }

// Names of the counters of frames that Open refuses, and of one missed in a Progress.
const (
	ReasonMalformed    = "malformed"
	ReasonBadSignature = "bad_signature"
	ReasonUnknownKey   = "unknown_key"
	ReasonRetiredKey   = "retired_key"
	ReasonMissing      = "missing"
)

// Reason names the counter for an error of Open or ReadMsg.
func Reason(err error) string {
	switch {
	case errors.Is(err, ErrBadSignature):
		return ReasonBadSignature
	case errors.Is(err, ErrUnknownKey):
		return ReasonUnknownKey
	case errors.Is(err, ErrRetiredKey):
		return ReasonRetiredKey
	}
	return ReasonMalformed
}

// Reasons lists every counter of refused frames.
func Reasons() []string {
	return append([]string{ReasonMalformed, ReasonBadSignature, ReasonUnknownKey, ReasonRetiredKey, ReasonMissing},
		verdicts[1:]...)
}

// Position is how far a receiver is in one stream. Start is where one begins.
type Position struct {
	Revision uint64
	Part     uint32
	Last     bool // the part was the last of its revision
	Hash     []byte
}

// Start is the position before a stream's first frame.
var Start = Position{Last: true}

// Before reports whether p is before part of revision.
func (p Position) Before(revision uint64, part uint32) bool {
	return p.Revision < revision || p.Revision == revision && p.Part < part
}

// Receiver is what frames are judged against.
type Receiver struct {
	Cluster string
	Epoch   uint64 // 0 when none is known yet
	// Position returns the position in a stream; ok is false when it is not followed.
	Position func(stream string) (p Position, ok bool)
}

// Follow judges an opened frame whose hash is given. It does not judge snapshots.
func (r Receiver) Follow(f *feedv1.Frame, hash [32]byte) Verdict {
	p, v := r.belongs(f)
	if v != Take {
		return v
	}
	switch {
	case p.Revision == f.GetRevision() && p.Part == f.GetPart() && p.Revision != 0:
		if !bytes.Equal(p.Hash, hash[:]) {
			return WrongHash
		}
		return Repeat
	case !p.Before(f.GetRevision(), f.GetPart()):
		return Behind
	case !next(p, f):
		return Gap
	case !bytes.Equal(p.Hash, f.GetPreviousHash()):
		return WrongHash
	}
	return Take
}

// next reports whether f's numbers are those that come after p. Parts of a revision
// follow each other; the first part of another names the revision before it. A snapshot
// may be of the middle of a revision without saying so: more parts of it may follow.
func next(p Position, f *feedv1.Frame) bool {
	if f.GetRevision() == p.Revision && f.GetPart() > 0 {
		return f.GetPart() == p.Part+1
	}
	return p.Last && f.GetRevision() > p.Revision && f.GetPart() == 0 && f.GetPreviousRevision() == p.Revision
}

// Snapshot is how far a receiver is in a snapshot of a stream; the zero value is before it.
type Snapshot struct {
	Revision uint64
	Part     uint32 // parts taken
	HeadPart uint32
	HeadHash []byte
}

// FollowSnapshot judges a part of a snapshot. A first part is taken whatever came
// before it, as it begins a new one; a snapshot older than the position never is.
func (r Receiver) FollowSnapshot(s Snapshot, f *feedv1.Frame) Verdict {
	p, v := r.belongs(f)
	if v != Take {
		return v
	}
	if f.GetRevision() < p.Revision {
		return Behind
	}
	if f.GetPart() == 0 {
		return Take
	}
	if s.Part == 0 || f.GetPart() > s.Part {
		return Gap
	}
	if f.GetPart() < s.Part {
		return Repeat
	}
	if f.GetRevision() != s.Revision || f.GetHeadPart() != s.HeadPart || !bytes.Equal(f.GetHeadHash(), s.HeadHash) {
		return WrongHash
	}
	return Take
}

// Next is the state after a part that was taken.
func (s Snapshot) Next(f *feedv1.Frame) Snapshot {
	return Snapshot{
		Revision: f.GetRevision(), Part: f.GetPart() + 1, HeadPart: f.GetHeadPart(),
		HeadHash: f.GetHeadHash(),
	}
}

// belongs judges what all frames have in common.
func (r Receiver) belongs(f *feedv1.Frame) (Position, Verdict) {
	if f.GetCluster() != r.Cluster {
		return Position{}, WrongCluster
	}
	if f.GetEpoch() == 0 || r.Epoch != 0 && f.GetEpoch() != r.Epoch {
		return Position{}, WrongEpoch
	}
	p, ok := r.Position(f.GetStream())
	if !ok {
		return Position{}, WrongStream
	}
	return p, Take
}
