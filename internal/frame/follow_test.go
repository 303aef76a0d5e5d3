package frame

import (
	"slices"
	"testing"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

func receiver(p Position) Receiver {
	return Receiver{Cluster: "c", Epoch: 3, Position: func(s string) (Position, bool) { return p, s == "s" }}
}

func TestFollow(t *testing.T) {
	hash := [32]byte{1}
	done := Position{Revision: 10, Part: 1, Last: true, Hash: hash[:]}
	half := Position{Revision: 10, Part: 1, Last: false, Hash: hash[:]}
	f := func(edit func(*feedv1.Frame)) *feedv1.Frame {
		next := &feedv1.Frame{
			Cluster: "c", Stream: "s", Epoch: 3, PreviousRevision: 10, Revision: 12,
			PreviousHash: hash[:], Last: true,
		}
		edit(next)
		return next
	}
	tests := []struct {
		name string
		at   Position
		edit func(*feedv1.Frame)
		want Verdict
	}{
		{"the next", done, func(f *feedv1.Frame) {}, Take},
		{"the first of a stream", Start, func(f *feedv1.Frame) { f.PreviousRevision, f.PreviousHash = 0, nil }, Take},
		{"the next part", half, func(f *feedv1.Frame) { f.Revision, f.Part = 10, 2 }, Take},
		{"of another cluster", done, func(f *feedv1.Frame) { f.Cluster = "d" }, WrongCluster},
		{"of an older epoch", done, func(f *feedv1.Frame) { f.Epoch = 2 }, WrongEpoch},
		{"of a newer epoch", done, func(f *feedv1.Frame) { f.Epoch = 4 }, WrongEpoch},
		{"of no epoch", done, func(f *feedv1.Frame) { f.Epoch = 0 }, WrongEpoch},
		{"of another stream", done, func(f *feedv1.Frame) { f.Stream = "t" }, WrongStream},
		{"one is missing", done, func(f *feedv1.Frame) { f.PreviousRevision, f.Revision = 12, 13 }, Gap},
		{"the first part is missing", done, func(f *feedv1.Frame) { f.Part = 1 }, Gap},
		{"a part is missing", half, func(f *feedv1.Frame) { f.Revision, f.Part = 10, 3 }, Gap},
		{"the last part is missing", half, func(f *feedv1.Frame) {}, Gap},
		{"it skips a revision's hash", done, func(f *feedv1.Frame) { f.PreviousHash = []byte{2} }, WrongHash},
		{"a part of another revision 10", half, func(f *feedv1.Frame) {
			f.Revision, f.Part, f.PreviousHash = 10, 2, nil
		}, WrongHash},
		{"the same again", done, func(f *feedv1.Frame) { f.Revision, f.Part = 10, 1 }, Repeat},
		{"an older part", done, func(f *feedv1.Frame) { f.Revision, f.Part = 10, 0 }, Behind},
		{"an older one", done, func(f *feedv1.Frame) { f.PreviousRevision, f.Revision = 8, 9 }, Behind},
		{"it claims nothing came before", done, func(f *feedv1.Frame) { f.PreviousRevision = 0 }, Gap},
	}
	for _, tt := range tests {
		if got := receiver(tt.at).Follow(f(tt.edit), hash); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
	other := f(func(f *feedv1.Frame) { f.Revision, f.Part = 10, 1 })
	if got := receiver(done).Follow(other, [32]byte{9}); got != WrongHash {
		t.Errorf("another frame at the same position: %s", got)
	}
}

func TestFollowSnapshot(t *testing.T) {
	at := Snapshot{Revision: 12, Part: 2, HeadPart: 1, HeadHash: []byte{7}}
	f := func(edit func(*feedv1.Frame)) *feedv1.Frame {
		next := &feedv1.Frame{
			Cluster: "c", Stream: "s", Epoch: 3, Revision: 12, Part: 2, HeadPart: 1,
			HeadHash: []byte{7}, Snapshot: true,
		}
		edit(next)
		return next
	}
	tests := []struct {
		name string
		at   Snapshot
		edit func(*feedv1.Frame)
		want Verdict
	}{
		{"the next part", at, func(f *feedv1.Frame) {}, Take},
		{"a first part", Snapshot{}, func(f *feedv1.Frame) { f.Part = 0 }, Take},
		{"a first part again", at, func(f *feedv1.Frame) { f.Part = 0 }, Take},
		{"a part is missing", at, func(f *feedv1.Frame) { f.Part = 3 }, Gap},
		{"begins in the middle", Snapshot{}, func(f *feedv1.Frame) {}, Gap},
		{"a part again", at, func(f *feedv1.Frame) { f.Part = 1 }, Repeat},
		{"a part of another revision", at, func(f *feedv1.Frame) { f.Revision = 13 }, WrongHash},
		{"a part of another history", at, func(f *feedv1.Frame) { f.HeadHash = []byte{8} }, WrongHash},
		{"older than the position", Snapshot{}, func(f *feedv1.Frame) { f.Part, f.Revision = 0, 9 }, Behind},
		{"as old as the position", Snapshot{}, func(f *feedv1.Frame) { f.Part, f.Revision = 0, 10 }, Take},
		{"of another cluster", at, func(f *feedv1.Frame) { f.Cluster = "d" }, WrongCluster},
		{"of another epoch", at, func(f *feedv1.Frame) { f.Epoch = 4 }, WrongEpoch},
		{"of another stream", at, func(f *feedv1.Frame) { f.Stream = "t" }, WrongStream},
	}
	for _, tt := range tests {
		if got := receiver(Position{Revision: 10, Last: true}).FollowSnapshot(tt.at, f(tt.edit)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestEveryReasonHasItsOwnCounter(t *testing.T) {
	all := Reasons()
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) || len(all) != 12 {
		t.Fatalf("reasons %v", all)
	}
}
