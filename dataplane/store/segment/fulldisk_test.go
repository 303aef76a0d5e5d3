package segment

import (
	"errors"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

// TestMovesHaveRoomOnAFullDisk: what no writer may take, moves may, in a segment as large as there is
// room. Where that is too small for what is needed, nothing is begun.
func TestMovesHaveRoomOnAFullDisk(t *testing.T) {
	const n = 90_000
	errFull := errors.New("full")
	fs := storetest.New()
	full, room := false, int64(0)
	o := Options{
		FS: fs, Size: 1 << 20, Spare: -1,
		Room: func(int64) error {
			if full {
				return errFull
			}
			return nil
		},
		MoveRoom: func() int64 { return room },
	}
	f := open(t, o)
	l := &ledger{rows: map[int]place{}}
	i := 0
	for ; i < 30; i++ {
		l.put(i, place{put(t, f, i, n), n})
	}
	full = true
	for ; ; i++ { // what is open still has room
		w, err := f.Create(n)
		if errors.Is(err, errFull) {
			break
		}
		must(t, err)
		w.Abort()
		l.put(i, place{put(t, f, i, n), n})
	}
	for k := 0; k < i; k += 3 {
		p, _ := l.remove(k)
		f.Free(p.ref)
	}
	c := f.Candidates(0.9)
	if len(c) < 2 {
		t.Fatalf("%+v", f.Stats())
	}
	for _, room = range []int64{-1 << 20, 0, 100_000} {
		if err := f.Compact(t.Context(), c[0].Number, nil, l.move); !errors.Is(err, ErrNoRoom) {
			t.Fatalf("with room for %d: %v", room, err)
		}
	}
	before := f.Stats()
	room = 800_000
	must(t, f.Compact(t.Context(), c[0].Number, nil, l.move))
	for gave, end := false, time.Now().Add(time.Minute); !gave && time.Now().Before(end); {
		var err error // the one that was emptied may just be made ready
		if gave, err = f.GiveBack(); err != nil {
			t.Fatal(err)
		}
	}
	if after := f.Stats(); after.Size >= before.Size || after.Live != before.Live {
		t.Errorf("it took more than it gave back: %+v", after)
	}
	must(t, f.Close())
	f = open(t, o)
	for k, p := range l.rows {
		must(t, f.Adopt(p.ref))
		check(t, f, p.ref, k, n)
	}
	f.Resume()
}
