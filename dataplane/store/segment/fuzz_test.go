package segment

import (
	"bytes"
	"errors"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

// anExtent is the octets of an extent at the beginning of a page.
func anExtent(i, n int, number uint32, generation uint64) []byte {
	b := make([]byte, pagesOf(int64(n))*page)
	copy(b[HeaderSize:], octets(i, n))
	h := Header{
		ID: idOf(i), Writer: 1, Sequence: uint64(i), Clear: int64(n), Sealed: int64(n),
		Hash: xxhash.Sum64(octets(i, n)),
	}
	h.put(b, number, generation)
	return b
}

func FuzzHeader(f *testing.F) {
	f.Add(anExtent(1, 10, 1, 5)[:HeaderSize])
	f.Add(anExtent(2, 0, 7, 1<<60)[:HeaderSize])
	f.Add([]byte(extentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The mutator does not find checksums; it is told the right one.
		if len(b) >= HeaderSize {
			b = bytes.Clone(b)
			le.PutUint64(b[88:], xxhash.Sum64(b[:88]))
		}
		h, number, generation, err := parseHeader(b)
		if err != nil {
			if !errors.Is(err, errHeader) || h != (Header{}) {
				t.Fatalf("%v with %+v", err, h)
			}
			return
		}
		var again [HeaderSize]byte
		h.put(again[:], number, generation)
		if !bytes.Equal(again[:], b[:HeaderSize]) {
			t.Fatalf("%x was written as %x", b[:HeaderSize], again)
		}
	})
}

func FuzzFileHeader(f *testing.F) {
	var b [page]byte
	identity{1, 5, 1 << 20, true}.put(b[:])
	f.Add(b[:fileHeader], b[:fileHeader])
	identity{2, 9, 64 << 10, false}.put(b[:])
	f.Add(b[:fileHeader], []byte{})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var b [page]byte
		for at, c := range map[int][]byte{0: first, fileCopy: second} {
			copy(b[at:at+fileHeader], c)
			le.PutUint64(b[at+40:], xxhash.Sum64(b[at:at+40]))
		}
		d, ok := parseIdentity(b[:])
		if !ok {
			return
		}
		if d.size < 2*page || d.size > maxSegment || d.size%page != 0 {
			t.Fatalf("size %d", d.size)
		}
		var again [page]byte
		d.put(again[:])
		if e, ok := parseIdentity(again[:]); !ok || e != d {
			t.Fatalf("%+v was written as %+v", d, e)
		}
	})
}

func FuzzRef(f *testing.F) {
	f.Add(Ref{Generation: 1 << 60, Segment: 2, Page: 3, Sealed: 4}.Append(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRef(b)
		if err == nil && !bytes.Equal(r.Append(nil), b) {
			t.Fatalf("%x was written as %x", b, r.Append(nil))
		}
	})
}

// FuzzWalk has anything behind a good file header: what the walk finds is verified, and
// nothing is found twice or reaches into another.
func FuzzWalk(f *testing.F) {
	const generation = 5
	f.Add(append(anExtent(1, 5000, 1, generation), anExtent(2, 0, 1, generation)...))
	f.Add(append(anExtent(1, 5000, 1, generation-1), anExtent(2, 9000, 1, generation)[:5000]...))
	f.Add(append(anExtent(1, 1<<15, 1, generation)[:page], anExtent(2, 100, 1, generation)...))
	f.Add(anExtent(1, 100, 2, generation))
	f.Fuzz(func(t *testing.T, data []byte) {
		const size = 64 << 10
		data = data[:min(len(data), size-page)]
		fs := storetest.New()
		file, err := fs.Create("00000001.seg", "")
		must(t, err)
		b := make([]byte, page, size)
		identity{1, generation, size, false}.put(b)
		_, err = file.WriteAt(append(b, data...), 0)
		must(t, err)
		files := &Files{opt: Options{FS: fs}.withDefaults()}
		must(t, files.load())
		end := int64(1)
		must(t, files.Walk(func(r Ref, h Header) error {
			if int64(r.Page) < end {
				t.Errorf("%v begins before page %d", r, end)
			}
			end = int64(r.Page) + r.pages()
			got := make([]byte, h.Sealed)
			if _, err := files.Read(r, got, 0); err != nil || xxhash.Sum64(got) != h.Hash {
				t.Errorf("%v: %v", r, err)
			}
			_, err := files.Verify(r)
			return err
		}, nil))
	})
}
