package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// chunkBuffers hold a chunk in the clear and, sealed in place, its tag; a Writer also the
// first octet of the next.
var chunkBuffers = sync.Pool{New: func() any { return new(chunkBuffer) }}

type chunkBuffer [ChunkSize + seal.Overhead]byte

// smallBuffers hold a body that may ride in a command, and what shows that it may not.
var smallBuffers = sync.Pool{New: func() any { return new(smallBuffer) }}

type smallBuffer [InlineSize + 1]byte

// Writer takes a body. One goroutine may use it.
type Writer struct {
	p    *Space
	ctx  context.Context
	how  Sealing
	size int64 // -1 where it is not known
	n    int64 // octets so far
	err  error // what ended it
	over bool  // Finish or Abort was called

	small *smallBuffer // while the body is small
	chunk *chunkBuffer // once it is not: the chunk that is being filled
	fill  int          // octets in small or chunk; one more than a chunk shows that it is not the last

	intent *intent
	open   *openExtent
	body   Body
}

// openExtent is the extent that is being written.
type openExtent struct {
	id     ID
	key    seal.Key
	sealer *seal.Sealer
	to     *segment.Writer
	n      int64 // octets in the clear
}

// Write begins a body of size octets; -1 where it is not known. A body up to InlineSize
// is kept in memory until it is committed; a larger one goes to disk as it comes. ctx ends
// it, too. Errors: ErrFull, ErrReadOnly, ErrKey, ErrErased, ErrTooLarge, ErrClosed.
func (p *Space) Write(ctx context.Context, how Sealing, size int64) (*Writer, error) {
	if err := p.s.gate.enter(); err != nil {
		return nil, err
	}
	defer p.s.gate.leave()
	if size > maxExtents*ExtentSize {
		return nil, fmt.Errorf("a body of %d octets: %w", size, ErrTooLarge)
	}
	if err := p.s.room(true); err != nil {
		return nil, err
	}
	if _, _, err := p.s.opt.Keys.Key(p.id, how.Key, 0); err != nil {
		return nil, keyError(err, "key %q", how.Key)
	}
	w := &Writer{p: p, ctx: ctx, how: how, size: size}
	if size > InlineSize {
		w.enlarge()
		return w, nil
	}
	w.small = smallBuffers.Get().(*smallBuffer)
	return w, nil
}

// enlarge makes the body one that goes to disk.
func (w *Writer) enlarge() {
	w.intent = w.p.s.intents.begin()
	w.chunk = chunkBuffers.Get().(*chunkBuffer)
	if w.small != nil {
		copy(w.chunk[:], w.small[:w.fill])
		smallBuffers.Put(w.small)
		w.small = nil
	}
}

// room is where the next octets go, never empty.
func (w *Writer) room() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.over {
		return nil, errors.New("the body is finished")
	}
	if w.small != nil {
		if w.fill < len(w.small) {
			return w.small[w.fill:], nil
		}
		w.enlarge()
	}
	if w.fill > ChunkSize {
		if w.err = w.flush(false); w.err != nil {
			return nil, w.err
		}
	}
	return w.chunk[w.fill : ChunkSize+1], nil
}

func (w *Writer) took(n int) error {
	w.fill += n
	w.n += int64(n)
	if w.size >= 0 && w.n > w.size {
		w.err = fmt.Errorf("a body longer than the %d octets it was said to have: %w", w.size, ErrTooLarge)
	}
	return w.err
}

// Write implements io.Writer.
func (w *Writer) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		to, err := w.room()
		if err != nil {
			return n, err
		}
		k := copy(to, b)
		if err := w.took(k); err != nil {
			return n, err
		}
		n, b = n+k, b[k:]
	}
	return n, w.err
}

// ReadFrom implements io.ReaderFrom; it is the faster way. An error of r is returned as
// it is.
func (w *Writer) ReadFrom(r io.Reader) (n int64, err error) {
	for idle := 0; ; {
		to, err := w.room()
		if err != nil {
			return n, err
		}
		k, err := r.Read(to)
		n += int64(k)
		if e := w.took(k); e != nil {
			return n, e
		}
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		case k > 0:
			idle = 0
		default:
			if idle++; idle > 100 {
				return n, io.ErrNoProgress
			}
		}
	}
}

// Finish ends the body and returns when it is durable. It is to be committed by its space
// within an hour (Refused{Swept} after that). ErrTooLarge where it is longer, or
// io.ErrUnexpectedEOF where it is shorter, than was said.
func (w *Writer) Finish() (Body, error) {
	if w.err == nil && w.over {
		w.err = errors.New("the body is finished")
	}
	if w.err == nil && w.size >= 0 && w.n != w.size {
		w.err = fmt.Errorf("a body of %d octets, of %d that it was said to have: %w", w.n, w.size, io.ErrUnexpectedEOF)
	}
	if w.err == nil && w.small != nil && w.fill > InlineSize {
		w.enlarge()
	}
	if w.err == nil {
		w.err = w.finish()
	}
	if w.err != nil {
		err := w.err
		w.Abort()
		return Body{}, err
	}
	w.over = true
	w.giveBack()
	return w.body, nil
}

func (w *Writer) finish() error {
	if err := w.p.s.gate.enter(); err != nil {
		return err
	}
	defer w.p.s.gate.leave()
	if w.small != nil {
		if w.n > 0 {
			w.inline()
		}
		return nil
	}
	if w.fill > ChunkSize {
		if err := w.flush(false); err != nil {
			return err
		}
	}
	if err := w.flush(true); err != nil {
		return err
	}
	return w.sync()
}

// inline seals a small body; it rides in the command.
func (w *Writer) inline() {
	f := w.fresh(w.p.s.newExtentID(), seal.NewKey(), w.n)
	sealed := make([]byte, 0, w.fill+seal.Overhead)
	f.inline = seal.NewSealer(&f.key, f.id).Append(sealed, w.small[:w.fill], true)
	f.hash = xxhash.Sum64(f.inline)
	w.add(f)
}

// newExtentID is the writer's 64 random bits and a number: new everywhere, and in the order
// of writing, so that extents lie together in the database as they came.
func (s *Store) newExtentID() (id ID) {
	binary.BigEndian.PutUint64(id[:], s.writer)
	binary.BigEndian.PutUint64(id[8:], s.extents.Add(1))
	return id
}

func (w *Writer) fresh(id ID, key seal.Key, n int64) *freshExtent {
	f := &freshExtent{
		extentRef: extentRef{id: id, length: n, slot: w.how.slot()},
		space:     w.p.id, key: key, name: w.how.Key, writer: w.p.s.writer, intent: w.intent,
		inner: w.how.inner(&key, id),
	}
	if w.intent != nil {
		f.sequence = w.intent.sequence
	}
	return f
}

func (w *Writer) add(f *freshExtent) {
	w.body.extents = append(w.body.extents, f.extentRef)
	w.body.fresh = append(w.body.fresh, f)
}

// Abort gives up the body, unless it was committed meanwhile: it may always be deferred.
// Where the command failed and it is not known whether it was applied, the body is swept
// later.
func (w *Writer) Abort() {
	w.giveBack()
	if w.open != nil {
		w.open.to.Abort()
		w.open = nil
	}
	w.over = true
	if w.p.s.discard(w.body) {
		w.p.s.intents.end(w.intent)
	} else {
		w.p.s.intents.finish(w.intent, w.p.s.opt.Clock.Now())
	}
	w.body, w.intent = Body{}, nil
}

func (w *Writer) giveBack() {
	if w.small != nil {
		smallBuffers.Put(w.small)
	}
	if w.chunk != nil {
		chunkBuffers.Put(w.chunk)
	}
	w.small, w.chunk = nil, nil
}
