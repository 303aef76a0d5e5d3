package segment

import (
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Walk finds every whole extent of the segments by what they hold alone, in the order of
// segments and places; an error of fn ends it. spoilt, which may be nil, is told of places
// with a header that is good and octets that are not those that the header was made for. It reads every octet: an
// extent counts by
// its generation and its hash, and where one is torn or damaged the search goes on 4 KiB
// further. It also finds extents that were freed and not overwritten yet; and of one that
// was being moved both copies, which are the same.
func (f *Files) Walk(fn, spoilt func(Ref, Header) error) error {
	all := f.segments()
	for _, number := range slices.Sorted(maps.Keys(all)) {
		if err := f.walkSegment(all[number], fn, spoilt); err != nil {
			return err
		}
	}
	return nil
}

func (f *Files) walkSegment(s *segment, fn, spoilt func(Ref, Header) error) error {
	if !s.pin() {
		return nil // it is being recycled: nothing in it is needed
	}
	pin := Pin{f: f, s: s}
	defer pin.Release()
	generation := s.generation.Load()
	return scan(s, func(at int64, b []byte) (pages int64, err error) {
		h, ok := s.accept(b, generation)
		r := Ref{Generation: generation, Segment: s.number, Page: uint32(at), Sealed: uint32(h.Sealed)}
		if !ok || at+r.pages() > s.pages() {
			return 1, nil
		}
		switch err := (Pin{f, s, r}).verify(h); {
		case errors.Is(err, ErrDamaged) && spoilt != nil:
			return 1, spoilt(r, h)
		case errors.Is(err, ErrDamaged):
			return 1, nil
		case err != nil:
			return 0, err
		}
		return r.pages(), fn(r, h)
	})
}

// newestGeneration is the greatest generation of a segment's extents, by their headers.
func newestGeneration(s *segment) (newest uint64) {
	_ = scan(s, func(_ int64, b []byte) (int64, error) {
		if _, number, g, err := parseHeader(b); err == nil && number == s.number {
			newest = max(newest, g)
		}
		return 1, nil
	})
	return newest
}

// scan calls fn with the beginning of each page where an extent may stand; fn says how
// many pages to go on.
func scan(s *segment, fn func(at int64, header []byte) (int64, error)) error {
	w := window{file: s.file, buf: make([]byte, min(1<<20, s.size))}
	for at := int64(1); at < s.pages(); {
		b, err := w.at(at * page)
		if errors.Is(err, io.EOF) {
			return nil // a file that was cut
		}
		if err != nil {
			return err
		}
		n, err := fn(at, b)
		if err != nil {
			return err
		}
		at += n
	}
	return nil
}

// window is what of a file was read last.
type window struct {
	file vfs.File
	buf  []byte
	from int64
	n    int
}

// at is the header's worth of octets at an offset.
func (w *window) at(off int64) ([]byte, error) {
	if off < w.from || off+HeaderSize > w.from+int64(w.n) {
		n, err := w.file.ReadAt(w.buf, off)
		if err != nil && (n < HeaderSize || !errors.Is(err, io.EOF)) {
			return nil, err
		}
		w.from, w.n = off, n
	}
	return w.buf[off-w.from:][:HeaderSize], nil
}
