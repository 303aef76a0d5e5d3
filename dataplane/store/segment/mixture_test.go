package segment

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

// TestNobodyReadsAMixture has writers, readers and the mover at the same extents of a real
// file system: a reader has its own extent's octets or an ErrStale, whatever the others do.
func TestNobodyReadsAMixture(t *testing.T) {
	f := open(t, Options{FS: vfs.Default, Dir: t.TempDir() + "/segments", Size: 256 << 10, Spare: 1})
	f.Resume()
	v := &life{f: f, ledger: &ledger{rows: map[int]place{}}}
	var reads atomic.Int64
	stop := make(chan struct{})
	var all, background sync.WaitGroup
	for w := range uint64(4) {
		all.Go(func() { v.work(w, 150) })
	}
	for range 3 {
		background.Go(func() { repeat(stop, func() { v.read(); reads.Add(1) }) })
	}
	background.Go(func() { repeat(stop, v.compact) })
	all.Wait()
	close(stop)
	background.Wait()
	if v.wrong != nil {
		t.Fatal(v.wrong)
	}
	for i, p := range v.ledger.rows {
		check(t, f, p.ref, i, p.n)
	}
	if v.ledger.moved == 0 || reads.Load() == 0 {
		t.Error("nothing was moved or read: the test is none")
	}
	t.Logf("%d reads, %d moves, %d extents at the end", reads.Load(), v.ledger.moved, len(v.ledger.rows))
}

func repeat(stop <-chan struct{}, do func()) {
	for {
		select {
		case <-stop:
			return
		default:
			do()
		}
	}
}

// TestAReaderHoldsWhatTheMoverEmptied: the octets stay until the pin is released, and only
// then is the segment used again.
func TestAReaderHoldsWhatTheMoverEmptied(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs, Size: 64 << 10})
	l := &ledger{rows: map[int]place{}}
	for i := 1; i < 12; i++ {
		l.put(i, place{put(t, f, i, 20_000), 20_000})
	}
	old := l.rows[1].ref
	pin, err := f.Pin(old)
	must(t, err)
	for i := 2; i < 8; i++ {
		p, _ := l.remove(i)
		f.Free(p.ref)
	}
	for _, c := range f.Candidates(0.5) {
		must(t, f.Compact(t.Context(), c.Number, nil, l.move))
	}
	if l.rows[1].ref == old {
		t.Fatal("the extent was not moved")
	}
	for i := range 50 {
		f.Free(put(t, f, 100+i, 50_000))
	}
	got := make([]byte, 20_000)
	_, err = pin.ReadAt(got, 0)
	must(t, err)
	if string(got) != string(octets(1, 20_000)) {
		t.Error("the octets changed under the reader")
	}
	must(t, pin.verify(Header{Sealed: 20_000, Hash: xxhash.Sum64(octets(1, 20_000))}))
	pin.Release()
	deadline := time.Now().Add(time.Minute)
	for f.has(old) && time.Now().Before(deadline) {
		f.Free(put(t, f, 100, 50_000))
	}
	if f.has(old) {
		t.Error("the segment is not used again")
	}
	check(t, f, l.rows[1].ref, 1, 20_000)
}

func (f *Files) has(r Ref) bool {
	_, err := f.find(r)
	return err == nil
}
