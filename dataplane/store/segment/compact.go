package segment

import (
	"context"
	"errors"
	"fmt"
)

// Move is an extent that was copied to another place.
type Move struct {
	Header   Header
	From, To Ref
	// Taken is set by who keeps the places: To is now the extent's. Otherwise the extent
	// was freed meanwhile, and the copy is.
	Taken bool
}

// moveBatch is how many octets are copied before they are synced and handed over.
const moveBatch = 32 << 20

// Compact copies what is needed of a full segment to others, octet for octet, within a
// budget (nil: none), so that it is recycled. What was copied is synced and then handed
// to taken, which makes the new places durable, sets Taken of those it accepts, and may
// be called several times; the old places are freed after. A damaged extent stays where
// it is and is in the error, an ErrDamaged, after all others were moved. ErrNoRoom: the disk
// is too full, and nothing was begun.
func (f *Files) Compact(ctx context.Context, number uint32, budget *Budget, taken func([]Move) error) error {
	s := f.segments()[number]
	if s == nil || !s.pin() {
		return nil
	}
	pin := Pin{f: f, s: s}
	defer pin.Release()
	pages, octets, ok := f.livePagesOf(s)
	if !ok {
		return nil // not full, or recycled meanwhile
	}
	if !f.fits(octets) {
		return fmt.Errorf("compact segment %d, of which %d octets are needed: %w", number, octets, ErrNoRoom)
	}
	m := mover{f: f, s: s, ctx: ctx, budget: budget, taken: taken}
	for _, p := range pages {
		if err := m.step(p); err != nil {
			m.drop()
			return fmt.Errorf("compact segment %d: %w", number, err)
		}
	}
	if err := errors.Join(m.handOver(), m.bad); err != nil {
		return fmt.Errorf("compact segment %d: %w", number, err)
	}
	return nil
}

func (f *Files) livePagesOf(s *segment) (pages []uint32, octets int64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return s.livePages(), s.octets, s.state == full
}

// mover is one run of Compact.
type mover struct {
	f      *Files
	s      *segment
	ctx    context.Context
	budget *Budget
	taken  func([]Move) error
	moves  []Move
	octets int64
	bad    error
}

// step copies the extent at a page, and hands over when there is enough.
func (m *mover) step(p uint32) error {
	move, err := m.copy(p)
	if errors.Is(err, ErrDamaged) {
		m.bad = errors.Join(m.bad, err)
		m.f.setStuck(m.s)
		return nil
	}
	if err != nil {
		return err
	}
	m.moves = append(m.moves, move)
	if m.octets += move.Header.Sealed; m.octets < moveBatch {
		return nil
	}
	return m.handOver()
}

// copy copies one extent, whose hash must be right on the way.
func (m *mover) copy(p uint32) (Move, error) {
	generation := m.s.generation.Load()
	h, err := m.s.headerAt(p, generation)
	if err != nil {
		return Move{}, err
	}
	from := Ref{Generation: generation, Segment: m.s.number, Page: p, Sealed: uint32(h.Sealed)}
	w, err := m.f.create(h.Sealed, true)
	if err != nil {
		return Move{}, err
	}
	defer w.Abort()
	if err := m.pour(w, Pin{m.f, m.s, from}); err != nil {
		return Move{}, err
	}
	if w.Sum() != h.Hash {
		return Move{}, fmt.Errorf("hash of %v: %w", from, ErrDamaged)
	}
	to, err := w.Finish(h)
	return Move{Header: h, From: from, To: to}, err
}

// headerAt reads the header at a page where a live extent stands.
func (s *segment) headerAt(p uint32, generation uint64) (Header, error) {
	var b [HeaderSize]byte
	if _, err := s.readAt(b[:], int64(p)*page); err != nil {
		return Header{}, err
	}
	h, ok := s.accept(b[:], generation)
	if !ok {
		return h, fmt.Errorf("header in %08d.seg at %d: %w", s.number, int64(p)*page, ErrDamaged)
	}
	return h, nil
}

func (m *mover) pour(w *Writer, from Pin) error {
	for off := int64(0); off < int64(from.r.Sealed); {
		n := min(128<<10, int64(from.r.Sealed)-off)
		if err := m.budget.Take(m.ctx, n); err != nil {
			return err
		}
		b := w.Room(int(n))[:n]
		if _, err := from.ReadAt(b, off); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		off += n
	}
	return nil
}

// handOver syncs what was copied and frees whichever place lost.
func (m *mover) handOver() error {
	if len(m.moves) == 0 {
		return nil
	}
	refs := make([]Ref, len(m.moves))
	for i, move := range m.moves {
		refs[i] = move.To
	}
	err := m.f.Sync(m.ctx, refs...)
	if err == nil {
		err = m.taken(m.moves)
	}
	if err != nil {
		m.drop()
		return err
	}
	for _, move := range m.moves {
		if move.Taken {
			m.f.Free(move.From)
		} else {
			m.f.Free(move.To)
		}
	}
	m.moves, m.octets = nil, 0
	return nil
}

// drop frees copies that nobody took.
func (m *mover) drop() {
	for _, move := range m.moves {
		m.f.Free(move.To)
	}
	m.moves = nil
}

func (f *Files) setStuck(s *segment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.stuck = true
}
