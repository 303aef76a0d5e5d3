package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// flush seals the chunk that was filled; last ends the extent, as does its size.
func (w *Writer) flush(last bool) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.open == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	o, n, next := w.open, min(w.fill, ChunkSize), w.chunk[ChunkSize]
	o.n += int64(n)
	last = last || o.n == w.p.s.extentSize()
	sealed := o.sealer.Append(w.chunk[:0], w.chunk[:n], last)
	w.fill -= n
	if _, err := o.to.Write(sealed); err != nil {
		return w.p.s.diskError(fmt.Errorf("write extent %x: %w", o.id, err))
	}
	w.chunk[0] = next
	if !last {
		return nil
	}
	return w.end()
}

// begin opens the next extent, with room for what is still to come.
func (w *Writer) begin() error {
	if err := w.p.s.room(true); err != nil {
		return err
	}
	n := w.p.s.extentSize()
	if w.size >= 0 {
		n = min(n, w.size-w.n+int64(w.fill))
	}
	to, err := w.p.s.files.Create(seal.SealedLen(n))
	if err != nil {
		return w.p.s.diskError(err)
	}
	o := &openExtent{id: w.p.s.newExtentID(), key: seal.NewKey(), to: to}
	o.sealer = seal.NewSealer(&o.key, o.id)
	w.open = o
	return nil
}

// extentSize is ExtentSize, or the whole chunks that fit in a segment where those are
// small.
func (s *Store) extentSize() int64 {
	if s.opt.SegmentSize == 0 {
		return ExtentSize
	}
	fit := (s.opt.SegmentSize - 3*4096) / (ChunkSize + seal.Overhead)
	return min(ExtentSize, fit*ChunkSize)
}

// end closes the extent and keeps where it lies.
func (w *Writer) end() error {
	o := w.open
	w.open = nil
	f := w.fresh(o.id, o.key, o.n)
	f.hash = o.to.Sum()
	at, err := o.to.Finish(segment.Header{ID: o.id, Writer: f.writer, Sequence: f.sequence, Clear: o.n})
	if err != nil {
		return w.p.s.diskError(fmt.Errorf("finish extent %x: %w", o.id, err))
	}
	f.at = at
	w.add(f)
	w.intent.extents = append(w.intent.extents, f.id)
	// Without a sync: it comes to disk with the command that needs it, which is behind it in
	// Pebble's log.
	return w.p.s.setPlace(f.id, at, pebble.NoSync)
}

// sync makes all extents of the body durable.
func (w *Writer) sync() error {
	refs := make([]segment.Ref, len(w.body.fresh))
	for i, f := range w.body.fresh {
		refs[i] = f.at
	}
	if err := w.p.s.syncBodies(w.ctx, refs); err != nil {
		return err
	}
	w.p.s.intents.finish(w.intent, w.p.s.opt.Clock.Now())
	return nil
}
