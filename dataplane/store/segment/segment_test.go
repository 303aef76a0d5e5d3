package segment

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func open(t *testing.T, opt Options) *Files {
	t.Helper()
	if opt.FS == nil {
		opt.FS = vfs.NewMem()
	}
	if opt.Dir == "" {
		opt.Dir = "/data/segments"
	}
	if opt.Size == 0 {
		opt.Size = 1 << 20
	}
	if opt.Spare == 0 {
		opt.Spare = -1
	}
	f, err := Open(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// noise is what extents are cut from.
var noise = func() []byte {
	p := make([]byte, 2<<20)
	chance := rand.NewChaCha8([32]byte{1})
	_, _ = chance.Read(p)
	return p
}()

// octets of an extent, which its number tells; not to be changed.
func octets(i, n int) []byte { return noise[i*7919%(1<<20):][:n:n] }

func idOf(i int) (id [16]byte) {
	copy(id[:], fmt.Sprintf("%016d", i))
	return id
}

func put(t *testing.T, f *Files, i, n int) Ref {
	t.Helper()
	r, err := write(f, i, n, n)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// write writes extent i of n octets into a room of at most reserve, in odd pieces.
func write(f *Files, i, n, reserve int) (Ref, error) {
	w, err := f.Create(int64(reserve))
	if err != nil {
		return Ref{}, err
	}
	defer w.Abort()
	for p, k := octets(i, n), 1; len(p) > 0; k = k*3 + i%7 {
		k = min(k, len(p))
		if _, err := w.Write(p[:k]); err != nil {
			return Ref{}, err
		}
		p = p[k:]
	}
	return w.Finish(Header{ID: idOf(i), Writer: 7, Sequence: uint64(i), Clear: int64(n)})
}

func check(t *testing.T, f *Files, r Ref, i, n int) {
	t.Helper()
	got := make([]byte, n)
	if _, err := f.Read(r, got, 0); err != nil {
		t.Fatalf("read extent %d: %v", i, err)
	}
	if !bytes.Equal(got, octets(i, n)) {
		t.Fatalf("extent %d differs", i)
	}
	h, err := f.Verify(r)
	if err != nil || h.ID != idOf(i) || h.Sequence != uint64(i) || h.Sealed != int64(n) {
		t.Fatalf("extent %d: header %+v, %v", i, h, err)
	}
}

var sizes = []int{0, 1, 4000, 4001, 5000, 65552, bufferSize - HeaderSize, bufferSize, 300_000, 700_000}

func TestWhatWasWrittenIsRead(t *testing.T) {
	f := open(t, Options{})
	var refs []Ref
	for i, n := range sizes {
		refs = append(refs, put(t, f, i, n))
	}
	if err := f.Sync(context.Background(), refs...); err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		check(t, f, refs[i], i, n)
	}
	if got := f.Stats().Extents; got != int64(len(sizes)) {
		t.Errorf("%d extents counted", got)
	}
}

func TestARoomOfTheWriterIsNotCopied(t *testing.T) {
	f := open(t, Options{})
	w, err := f.Create(700_000)
	if err != nil {
		t.Fatal(err)
	}
	for p := octets(1, 700_000); len(p) > 0; {
		n := min(65552, len(p))
		if _, err := w.Write(append(w.Room(n), p[:n]...)); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	r, err := w.Finish(Header{ID: idOf(1), Sequence: 1})
	if err != nil {
		t.Fatal(err)
	}
	check(t, f, r, 1, 700_000)
}

func TestWalkFindsWhatWasOpenedAgain(t *testing.T) {
	fs := vfs.NewMem()
	f := open(t, Options{FS: fs})
	want := map[Ref]int{}
	for i, n := range sizes {
		want[put(t, f, i, n)] = i
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, Options{FS: fs})
	err := f.Walk(func(r Ref, h Header) error {
		i, ok := want[r]
		if !ok || h.ID != idOf(i) {
			return fmt.Errorf("%v is %v", r, h)
		}
		delete(want, r)
		return f.Adopt(r)
	}, nil)
	if err != nil || len(want) != 0 {
		t.Fatalf("%v; not found: %v", err, want)
	}
	f.Resume()
	put(t, f, 99, 5000)
}

func TestRoomThatWasNotUsedIsGivenBack(t *testing.T) {
	f := open(t, Options{})
	for i := range 50 {
		if _, err := write(f, i, 10_000, 300_000); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(f.Stats().Segments); n != 1 {
		t.Errorf("%d segments for 50 small extents", n)
	}
}

func TestMoreThanWasReservedIsRefused(t *testing.T) {
	f := open(t, Options{})
	if _, err := write(f, 1, 5001, 5000); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than reserved: %v", err)
	}
	if _, err := f.Create(1 << 20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("more than a segment: %v", err)
	}
}

func TestAFreedSegmentIsRecycled(t *testing.T) {
	f := open(t, Options{})
	var refs []Ref
	for i := range 8 {
		refs = append(refs, put(t, f, i, 400_000))
	}
	pin, err := f.Pin(refs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refs {
		f.Free(r)
		f.Free(r)
	}
	for i := range 20 {
		f.Free(put(t, f, 100+i, 400_000))
	}
	got := make([]byte, 400_000)
	if _, err := pin.ReadAt(got, 0); err != nil || !bytes.Equal(got, octets(0, 400_000)) {
		t.Fatalf("pinned extent: %v", err)
	}
	pin.Release()
	for i := range 20 {
		f.Free(put(t, f, 200+i, 400_000))
	}
	if _, err := f.Pin(refs[2]); !errors.Is(err, ErrStale) {
		t.Errorf("a recycled extent: %v", err)
	}
	if n := len(f.Stats().Segments); n > 8 {
		t.Errorf("%d segments, though all extents were freed", n)
	}
}

func TestCompactionMovesWhatIsNeeded(t *testing.T) {
	f := open(t, Options{})
	at := map[int]Ref{}
	for i := range 40 {
		at[i] = put(t, f, i, 90_000)
	}
	for i := range 40 {
		if i%5 != 0 {
			f.Free(at[i])
			delete(at, i)
		}
	}
	candidates := f.Candidates(0.5)
	if len(candidates) == 0 {
		t.Fatal("no candidates")
	}
	for _, c := range candidates {
		err := f.Compact(context.Background(), c.Number, nil, func(moves []Move) error {
			for j, m := range moves {
				if i := int(m.Header.Sequence); i != 10 {
					at[i] = m.To
					moves[j].Taken = true
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range at {
		check(t, f, r, i, 90_000)
	}
	if got := f.Stats().Extents; got != int64(len(at)) {
		t.Errorf("%d extents, want %d", got, len(at))
	}
}
