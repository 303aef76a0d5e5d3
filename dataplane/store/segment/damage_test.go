package segment

import (
	"bytes"
	"errors"
	"testing"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

const damagedFile = "/data/segments/00000001.seg"

// smallStore has one segment with a few extents.
func smallStore(t *testing.T) (*storetest.FS, map[int]place) {
	t.Helper()
	fs := storetest.New()
	f := open(t, Options{FS: fs, Size: 32 << 10})
	rows := map[int]place{}
	for i, n := range []int{0, 1, 5000, 4000, 3000} {
		rows[i+1] = place{put(t, f, i+1, n), n}
	}
	must(t, f.Close())
	return fs, rows
}

// TestAnyFlippedOctetIsFoundOrDoesNotMatter: the same octets or an error that says so,
// never others. Reading without Verify is the control: it shows others.
func TestAnyFlippedOctetIsFoundOrDoesNotMatter(t *testing.T) {
	fs, rows := smallStore(t)
	refused, control := 0, 0
	step := int64(1)
	if raceDetector {
		step = 13
	}
	for off := int64(0); off < 32<<10; off += step {
		mask := byte(1) << (off % 8)
		must(t, fs.Flip(damagedFile, off, mask))
		f := reopened(fs)
		bad := 0
		for i, p := range rows {
			wrong := readBack(f, p, i) != nil
			h, err := f.Verify(p.ref)
			switch {
			case err == nil && (wrong || h.ID != idOf(i)):
				t.Fatalf("octet %d flipped: extent %d is verified and wrong", off, i)
			case errors.Is(err, ErrDamaged):
				bad++
			case err != nil:
				t.Fatalf("octet %d flipped: extent %d: %v", off, i, err)
			}
			if wrong {
				control++
			}
		}
		if bad > 1 || bad == 1 && off < page {
			t.Fatalf("octet %d flipped: %d extents are lost", off, bad)
		}
		refused += bad
		walked(t, f, rows, len(rows)-bad)
		must(t, fs.Flip(damagedFile, off, mask))
	}
	if refused == 0 || control == 0 {
		t.Errorf("refused %d times, wrong without verifying %d times: the test does not bite", refused, control)
	}
	t.Logf("refused %d times; without verifying %d reads had other octets", refused, control)
}

// walked expects the walk to find so many extents, all of them right.
func walked(t *testing.T, f *Files, rows map[int]place, want int) {
	t.Helper()
	n := 0
	must(t, f.Walk(func(r Ref, h Header) error {
		n++
		i := int(h.Sequence)
		if rows[i].ref != r {
			t.Errorf("extent %d is at %v, not %v", i, r, rows[i].ref)
		}
		return readBack(f, rows[i], i)
	}, nil))
	if n != want {
		t.Fatalf("the walk finds %d extents, want %d", n, want)
	}
}

func TestASegmentWithoutHeaderIsReadAndLeftAlone(t *testing.T) {
	fs, rows := smallStore(t)
	for _, off := range []int64{20, fileCopy + 20} {
		must(t, fs.Flip(damagedFile, off, 1))
	}
	f := open(t, Options{FS: fs, Size: 32 << 10})
	walked(t, f, rows, len(rows))
	for i, p := range rows {
		must(t, f.Adopt(p.ref))
		check(t, f, p.ref, i, p.n)
	}
	f.Resume()
	for i := range 20 {
		f.Free(put(t, f, 100+i, 10_000))
	}
	walkedSome := 0
	for i, p := range rows {
		check(t, f, p.ref, i, p.n)
		walkedSome++
		f.Free(p.ref)
	}
	if st := f.Stats().Segments[0]; st.State != "damaged" || walkedSome != len(rows) {
		t.Errorf("it is %s", st.State)
	}
}

func TestASegmentFileThatWasCutIsReadAsFarAsItGoes(t *testing.T) {
	fs, rows := smallStore(t)
	whole, err := fs.Open(damagedFile)
	must(t, err)
	all := make([]byte, 32<<10)
	_, err = whole.ReadAt(all, 0)
	must(t, err)
	for _, size := range []int{0, 1, 47, 2048, 4095, 4096, 4150, 12_288, 13_000, 20_000} {
		fs := storetest.New()
		must(t, fs.MkdirAll("/data/segments", 0o755))
		file, err := fs.Create(damagedFile, "")
		must(t, err)
		if size > 0 {
			_, err = file.WriteAt(all[:size], 0)
			must(t, err)
		}
		f := reopened(fs)
		want := 0
		for i, p := range rows {
			if p.ref.at()+HeaderSize+int64(p.n) > int64(size) {
				if err := readBack(f, p, i); err == nil && p.n > 0 {
					t.Errorf("cut at %d: extent %d was read", size, i)
				}
				if _, err := f.Verify(p.ref); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrStale) {
					t.Errorf("cut at %d: extent %d: %v", size, i, err)
				}
				continue
			}
			want++
			check(t, f, p.ref, i, p.n)
		}
		walked(t, f, rows, want)
	}
}

// TestATornExtentHidesNoneBehindIt: the header says more than is there, and another extent
// begins within what it says.
func TestATornExtentHidesNoneBehindIt(t *testing.T) {
	fs, rows := smallStore(t)
	f := reopened(fs)
	s := f.segments()[1]
	var first [page]byte
	Header{ID: idOf(77), Sequence: 77, Sealed: 20_000}.put(first[:], 1, s.generation.Load())
	_, err := s.file.WriteAt(first[:], rows[1].ref.at())
	must(t, err)
	delete(rows, 1)
	walked(t, f, rows, len(rows))
}

func TestADamagedExtentStaysWhereItIs(t *testing.T) {
	fs := storetest.New()
	f := open(t, Options{FS: fs, Size: 64 << 10})
	l := &ledger{rows: map[int]place{}}
	for i := 1; i < 8; i++ {
		l.put(i, place{put(t, f, i, 20_000), 20_000})
	}
	for i := 1; i < 8; i++ {
		if i != 1 && i != 2 {
			p, _ := l.remove(i)
			f.Free(p.ref)
		}
	}
	hurt := l.rows[2].ref
	must(t, fs.Flip(damagedFile, hurt.at()+HeaderSize+5000, 0x10))
	if n := f.Candidates(0.9); len(n) == 0 || n[0].Number != 1 && n[len(n)-1].Number != 1 {
		t.Fatalf("candidates %v", n)
	}
	if err := f.Compact(t.Context(), 1, nil, l.move); !errors.Is(err, ErrDamaged) {
		t.Fatalf("compact: %v", err)
	}
	if l.rows[2].ref != hurt || l.rows[1].ref.Segment == 1 {
		t.Errorf("moved: %v", l.rows)
	}
	check(t, f, l.rows[1].ref, 1, 20_000)
	got := make([]byte, 20_000)
	if _, err := f.Read(hurt, got, 0); err != nil || bytes.Equal(got, octets(2, 20_000)) {
		t.Errorf("the damaged extent reads: %v", err)
	}
	for _, n := range f.Candidates(1) {
		if n.Number == 1 {
			t.Error("its segment is a candidate again")
		}
	}
}
