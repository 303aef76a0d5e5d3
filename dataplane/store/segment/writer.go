package segment

import (
	"fmt"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// bufferSize is what a Writer collects before it writes: four sealed chunks of 64 KiB
// with the header, in whole pages.
const bufferSize = 264 << 10

// buffer holds what was not written yet, and the first page, which waits for the header.
type buffer struct {
	data  [bufferSize]byte
	first [page]byte
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// Writer writes one extent into the room that it reserved. It is used by one goroutine
// and must see Finish or Abort.
type Writer struct {
	f     *Files
	s     *segment
	room  span
	limit int64 // sealed octets that fit
	n     int64 // sealed octets so far
	sum   xxhash.Digest
	buf   *buffer // nil after Finish and Abort
	fill  int     // octets in buf.data
	base  int64   // octets of the extent before buf.data, whole pages
	err   error
}

// Create reserves contiguous room for an extent of at most so many sealed octets. A full
// disk is an error that wraps syscall.ENOSPC and passes when there is space again.
func (f *Files) Create(sealed int64) (*Writer, error) { return f.create(sealed, false) }

func (f *Files) create(sealed int64, moves bool) (*Writer, error) {
	if sealed < 0 || sealed > maxSealed {
		return nil, fmt.Errorf("create an extent of %d sealed octets: %w", sealed, ErrTooLarge)
	}
	s, room, err := f.reserve(pagesOf(sealed), moves)
	if err != nil {
		return nil, fmt.Errorf("create an extent of %d sealed octets: %w", sealed, err)
	}
	w := &Writer{f: f, s: s, room: room, limit: sealed, buf: buffers.Get().(*buffer), fill: HeaderSize}
	w.sum.Reset()
	return w, nil
}

// Room is an empty slice with place for n octets (up to 128 KiB), to append to and hand
// to Write, which then copies nothing.
func (w *Writer) Room(n int) []byte {
	if len(w.buf.data)-w.fill < n {
		w.flush()
	}
	return w.buf.data[w.fill:w.fill:len(w.buf.data)]
}

// Write appends sealed octets. After an error only Abort is left to do.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err == nil && int64(len(p)) > w.limit-w.n {
		w.err = fmt.Errorf("write %d octets behind %d of %d: %w", len(p), w.n, w.limit, ErrTooLarge)
	}
	_, _ = w.sum.Write(p)
	for n := 0; n < len(p) && w.err == nil; {
		if w.fill == len(w.buf.data) {
			w.flush()
		}
		k := min(len(p)-n, len(w.buf.data)-w.fill)
		if dst := w.buf.data[w.fill:][:k]; k > 0 && &dst[0] != &p[n] {
			copy(dst, p[n:])
		}
		n, w.n, w.fill = n+k, w.n+int64(k), w.fill+k
	}
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// flush writes the whole pages of the buffer, but for the extent's first.
func (w *Writer) flush() {
	whole := w.fill / page * page
	from := 0
	if w.base == 0 && whole > 0 {
		from = copy(w.buf.first[:], w.buf.data[:page])
	}
	w.pwrite(w.buf.data[from:whole], w.base+int64(from))
	w.fill = copy(w.buf.data[:], w.buf.data[whole:w.fill])
	w.base += int64(whole)
}

// pwrite writes whole pages, since less would have the kernel read the old ones first.
func (w *Writer) pwrite(p []byte, off int64) {
	if len(p) == 0 || w.err != nil {
		return
	}
	if w.err = w.f.Err(); w.err != nil {
		return
	}
	if _, err := w.s.file.WriteAt(p, w.room.at*page+off); err != nil {
		w.err = fmt.Errorf("write to %08d.seg: %w", w.s.number, err)
		return
	}
	if len(p) >= bufferSize/2 {
		startWriteback(w.s.file, w.room.at*page+off, int64(len(p)))
	}
}

// Sum is the XXH64 of the sealed octets so far.
func (w *Writer) Sum() uint64 { return w.sum.Sum64() }

// Len is how many sealed octets were written.
func (w *Writer) Len() int64 { return w.n }

// Finish writes the header, whose Sealed and Hash it fills in, and gives back the room
// that was not used. The extent is durable after Sync. An error has aborted the extent.
func (w *Writer) Finish(h Header) (Ref, error) {
	h.Sealed, h.Hash = w.n, w.sum.Sum64()
	generation := w.s.generation.Load()
	padded := (w.fill + page - 1) / page * page
	clear(w.buf.data[w.fill:padded])
	first := w.buf.data[:page]
	if w.base > 0 {
		first = w.buf.first[:]
	}
	h.put(first, w.s.number, generation)
	w.pwrite(w.buf.data[:padded], w.base)
	if w.base > 0 {
		w.pwrite(first, 0)
	}
	if err := w.err; err != nil {
		w.Abort()
		return Ref{}, fmt.Errorf("finish an extent: %w", err)
	}
	r := Ref{Generation: generation, Segment: w.s.number, Page: uint32(w.room.at), Sealed: uint32(w.n)}
	w.end(r.pages(), r)
	return r, nil
}

// Abort gives the room back. It does nothing after Finish or Abort.
func (w *Writer) Abort() {
	if w.buf != nil {
		w.end(0, Ref{})
	}
}

// end keeps so many pages of the room for a live extent, and returns the rest.
func (w *Writer) end(used int64, r Ref) {
	buffers.Put(w.buf)
	w.buf = nil
	f := w.f
	f.mu.Lock()
	defer f.mu.Unlock()
	w.s.writers--
	w.s.giveBack(span{w.room.at + used, w.room.n - used})
	if used > 0 {
		w.s.setLive(r)
	}
	f.settleLocked(w.s)
}
