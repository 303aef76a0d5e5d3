package store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// maxPinned is how many extents a Reader finds and pins when it is opened; what it finds
// later may be gone by then, which is ErrGone. It is 8 GiB of full extents.
const maxPinned = 512

// Reader reads a body. One goroutine may use it.
type Reader struct {
	s      *Store
	ctx    context.Context
	space  ID
	how    Sealing
	pieces []piece // what is still to be read
	rest   []bodyPart
	from   int64 // of what is to be read, counted from where rest begins
	to     int64
	err    error

	span   seal.Span // of the piece that is being read
	chunk  int64     // next chunk of it
	opener *seal.Opener
	buf    *chunkBuffer
	clear  []byte // opened, not given yet
}

// piece is a range of an extent.
type piece struct {
	extentRef
	off, n int64
	found  bool
	key    seal.Key
	inline []byte
	pin    segment.Pin
	pinned bool
	at     segment.Ref
}

// Read reads octets [from, to) of a committed body. What is not there any more is ErrGone,
// what does not open *Damaged; both may also come while it is read. ErrKey, ErrWrongKey.
// Close it.
func (p *Space) Read(ctx context.Context, b Body, how Sealing, from, to int64) (*Reader, error) {
	if err := p.s.gate.enter(); err != nil {
		return nil, err
	}
	defer p.s.gate.leave()
	if from < 0 || to < from || to > b.Len() {
		return nil, fmt.Errorf("octets %d to %d of a body of %d: %w", from, to, b.Len(), ErrTooLarge)
	}
	r := &Reader{s: p.s, ctx: ctx, space: p.id, how: how, rest: b.parts(), from: from, to: to}
	for len(r.pieces) < maxPinned && len(r.rest) > 0 {
		if err := r.more(); err != nil {
			return nil, p.s.hurt(err)
		}
	}
	for i := range min(len(r.pieces), maxPinned) {
		if err := r.find(&r.pieces[i]); err != nil {
			_ = r.Close()
			return nil, p.s.hurt(err)
		}
	}
	return r, nil
}

// more takes the next part of the body. Of lists one is in memory at a time, or two at the begin.
func (r *Reader) more() error {
	part := r.rest[0]
	length := part.length()
	if r.from < length && part.far != nil {
		refs, err := r.s.load(part.far)
		if err != nil {
			return err
		}
		part.refs = refs
	}
	r.pieces = append(r.pieces, cut(part.refs, r.from, r.to)...)
	r.from, r.to, r.rest = r.from-length, r.to-length, r.rest[1:]
	if r.to <= 0 {
		r.rest = nil
	}
	return nil
}

// cut is the ranges of extents that make [from, to) of the body.
func cut(extents []extentRef, from, to int64) (pieces []piece) {
	for _, e := range extents {
		begin, end := max(from, 0), min(to, e.length)
		if begin < end {
			pieces = append(pieces, piece{extentRef: e, off: begin, n: end - begin})
		}
		if from, to = from-e.length, to-e.length; to <= 0 {
			break
		}
	}
	return pieces
}

// find gets a piece's key, and its octets or where they lie.
func (r *Reader) find(p *piece) error {
	x, err := r.s.extent(p.id)
	if err != nil {
		return err
	}
	h := x.hold(r.space, p.slot)
	if h == nil {
		return fmt.Errorf("extent %x: %w", p.id, ErrGone)
	}
	if x.length != p.length {
		return damagedExtent(p.id, fmt.Errorf("it has %d octets and the row says %d", x.length, p.length))
	}
	if p.key, err = r.s.chain.openHold(h, p.id, r.how); err != nil {
		return err
	}
	if x.inline {
		if p.inline, err = get(r.s.db, inlineKey(x.index, x.number)); err == nil && p.inline == nil {
			err = r.s.lostInline(p.id)
		}
	} else {
		err = r.s.pin(p)
	}
	p.found = err == nil
	return err
}

// extent reads what is known of an extent.
func (s *Store) extent(id ID) (x extent, err error) {
	v, closer, err := s.db.Get(idKey(tagExtent, id))
	if errors.Is(err, pebble.ErrNotFound) && s.ledger.gapAt(idKey(tagExtent, id)) != nil {
		return x, damagedExtent(id, errLost)
	}
	if errors.Is(err, pebble.ErrNotFound) {
		return x, fmt.Errorf("extent %x: %w", id, ErrGone)
	}
	if err != nil {
		return x, err
	}
	defer closer.Close()
	if err := x.parse(append([]byte(nil), v...)); err != nil {
		return x, damagedExtent(id, err)
	}
	return x, nil
}

// pin finds where an extent lies and keeps it there. While it is being moved its place
// may be stale for a moment.
func (s *Store) pin(p *piece) error {
	for range maxTries {
		at, ok, err := s.place(p.id)
		if err != nil {
			return err
		}
		if !ok {
			return s.lost(p.id)
		}
		if p.pin, err = s.files.Pin(at); err == nil {
			p.pinned, p.at = true, at
			return nil
		}
		if !errors.Is(err, segment.ErrStale) {
			return err
		}
	}
	return s.lost(p.id)
}

// lost says why an extent has no place: it was deleted meanwhile, or should be here.
func (s *Store) lost(id ID) error {
	if _, err := s.extent(id); err != nil {
		return err
	}
	return damagedExtent(id, errors.New("it lies in no segment"))
}

// Read implements io.Reader.
func (r *Reader) Read(b []byte) (int, error) {
	if len(r.clear) == 0 && !r.next() {
		return 0, r.err
	}
	n := copy(b, r.clear)
	r.clear = r.clear[n:]
	return n, nil
}

// WriteTo implements io.WriterTo; it is the faster way.
func (r *Reader) WriteTo(w io.Writer) (n int64, err error) {
	for len(r.clear) > 0 || r.next() {
		k, err := w.Write(r.clear)
		n += int64(k)
		r.clear = r.clear[k:]
		if err != nil {
			return n, err
		}
	}
	if errors.Is(r.err, io.EOF) {
		return n, nil
	}
	return n, r.err
}

// next opens the next chunk into clear.
func (r *Reader) next() bool {
	for r.err == nil && len(r.clear) == 0 {
		if r.opener == nil {
			r.err = r.begin()
			continue
		}
		if r.err = r.open(); r.err != nil {
			r.err = r.s.hurt(r.err)
		}
	}
	return r.err == nil
}

// begin starts the next piece.
func (r *Reader) begin() error {
	if len(r.pieces) == 0 && len(r.rest) > 0 {
		return r.s.hurt(r.more())
	}
	if len(r.pieces) == 0 {
		return io.EOF
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	p := &r.pieces[0]
	if !p.found {
		if err := r.s.gate.enter(); err != nil {
			return err
		}
		defer r.s.gate.leave()
		if err := r.find(p); err != nil {
			return r.s.hurt(err)
		}
	}
	r.span = seal.SpanOf(p.length, p.off, p.n)
	r.chunk = r.span.First
	r.opener = seal.NewOpener(&p.key, p.id)
	return nil
}

// open reads and opens one chunk of the piece.
func (r *Reader) open() error {
	p := &r.pieces[0]
	sealed, err := r.sealed(p)
	if errors.Is(err, segment.ErrDamaged) {
		return p.damaged(err)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", p.where(), err)
	}
	clear, err := r.unseal(p, sealed)
	if err != nil {
		return p.damaged(err)
	}
	if r.chunk == r.span.First {
		clear = clear[r.span.Skip:]
	}
	r.clear = clear[:min(int64(len(clear)), p.n)]
	p.n -= int64(len(r.clear))
	if r.chunk++; r.chunk == r.span.End {
		r.end()
	}
	return nil
}

// unseal opens a chunk in place.
func (r *Reader) unseal(p *piece, sealed []byte) ([]byte, error) {
	if r.s.control.unchecked {
		return r.s.control.unsealed(&p.key, r.chunk, sealed), nil
	}
	return r.opener.Open(sealed[:0], sealed, r.chunk, r.span.Last(r.chunk))
}

// sealed is the octets of the next chunk, for the reader to open in place.
func (r *Reader) sealed(p *piece) ([]byte, error) {
	size := r.span.Size(r.chunk)
	at := r.chunk * int64(ChunkSize+seal.Overhead)
	if p.pinned {
		if r.buf == nil {
			r.buf = chunkBuffers.Get().(*chunkBuffer)
		}
		_, err := p.pin.ReadAt(r.buf[:size], at)
		return r.buf[:size], err
	}
	if at+int64(size) != int64(len(p.inline)) {
		return nil, p.damaged(fmt.Errorf("%d sealed octets", len(p.inline)))
	}
	return p.inline, nil
}

// where names a piece for people.
func (p *piece) where() string {
	if p.pinned {
		return fmt.Sprintf("extent %x in %s", p.id, p.at)
	}
	return fmt.Sprintf("extent %x", p.id)
}

func (p *piece) damaged(err error) *Damaged {
	return &Damaged{Thing: Thing{Kind: DamagedExtent, Extent: p.id}, What: p.where(), Err: err}
}

// end ends a piece.
func (r *Reader) end() {
	r.pieces[0].unpin()
	r.pieces = r.pieces[1:]
	r.opener = nil
}

func (p *piece) unpin() {
	if p.pinned {
		p.pin.Release()
		p.pinned = false
	}
}

// Close ends it.
func (r *Reader) Close() error {
	for i := range r.pieces {
		r.pieces[i].unpin()
	}
	if r.buf != nil {
		chunkBuffers.Put(r.buf)
	}
	r.pieces, r.buf, r.clear, r.opener = nil, nil, nil, nil
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
	return nil
}
