package segment

import (
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// Pin keeps an extent where it is while it is read.
type Pin struct {
	f *Files
	s *segment
	r Ref
}

// Pin pins an extent; the Pin must be released, once. The error is an ErrStale when the
// extent's segment was recycled: its place must be looked up again.
func (f *Files) Pin(r Ref) (Pin, error) {
	s := f.segments()[r.Segment]
	if s == nil || !s.pin() {
		return Pin{}, fmt.Errorf("%v: %w", r, ErrStale)
	}
	p := Pin{f, s, r}
	if !s.holds(r) {
		p.Release()
		return Pin{}, fmt.Errorf("%v: %w", r, ErrStale)
	}
	return p, nil
}

// Release ends the pin.
func (p Pin) Release() {
	if p.s.pins.Add(-1) == 0 {
		p.f.unpinned(p.s)
	}
}

// unpinned wakes the preparer where a reader was what it waited for.
func (f *Files) unpinned(s *segment) {
	f.mu.Lock()
	waits := s.state == empty
	f.mu.Unlock()
	if waits {
		f.nudge()
	}
}

// ReadAt reads sealed octets of the extent, as io.ReaderAt does.
func (p Pin) ReadAt(b []byte, off int64) (int, error) {
	rest := int64(p.r.Sealed) - off
	if off < 0 || rest < 0 {
		return 0, fmt.Errorf("read %v from %d: past its end", p.r, off)
	}
	short := rest < int64(len(b))
	b = b[:min(int64(len(b)), rest)]
	if n, err := p.s.readAt(b, p.r.at()+HeaderSize+off); err != nil {
		return n, fmt.Errorf("read %v from %d: %w", p.r, off, err)
	}
	if short {
		return len(b), io.EOF
	}
	return len(b), nil
}

// readAt reads all of b; an extent that its file does not hold whole is damaged.
func (s *segment) readAt(b []byte, at int64) (int, error) {
	n, err := s.file.ReadAt(b, at)
	switch {
	case n == len(b):
		return n, nil
	case errors.Is(err, io.EOF):
		return n, fmt.Errorf("the file ends at %d: %w", at+int64(n), ErrDamaged)
	}
	return n, err
}

// Header reads the extent's header; the error is an ErrDamaged when it is not this
// extent's.
func (p Pin) Header() (Header, error) {
	var b [HeaderSize]byte
	if _, err := p.s.readAt(b[:], p.r.at()); err != nil {
		return Header{}, fmt.Errorf("read header of %v: %w", p.r, err)
	}
	h, ok := p.s.accept(b[:], p.r.Generation)
	if !ok || h.Sealed != int64(p.r.Sealed) {
		return Header{}, fmt.Errorf("header of %v: %w", p.r, ErrDamaged)
	}
	return h, nil
}

// accept parses a header of this segment and generation.
func (s *segment) accept(b []byte, generation uint64) (Header, bool) {
	h, number, g, err := parseHeader(b)
	return h, err == nil && number == s.number && (g == generation || s.blind)
}

// Read pins the extent for one ReadAt.
func (f *Files) Read(r Ref, b []byte, off int64) (int, error) {
	p, err := f.Pin(r)
	if err != nil {
		return 0, err
	}
	defer p.Release()
	return p.ReadAt(b, off)
}

// Verify reads all of an extent and compares its hash; the error is an ErrDamaged when
// header or hash is wrong.
func (f *Files) Verify(r Ref) (Header, error) {
	p, err := f.Pin(r)
	if err != nil {
		return Header{}, err
	}
	defer p.Release()
	h, err := p.Header()
	if err != nil {
		return h, err
	}
	return h, p.verify(h)
}

func (p Pin) verify(h Header) error {
	buf := buffers.Get().(*buffer)
	defer buffers.Put(buf)
	var sum xxhash.Digest
	sum.Reset()
	for off := int64(0); off < h.Sealed; {
		b := buf.data[:min(int64(len(buf.data)), h.Sealed-off)]
		if _, err := p.ReadAt(b, off); err != nil {
			return err
		}
		_, _ = sum.Write(b)
		off += int64(len(b))
	}
	if sum.Sum64() != h.Hash {
		return fmt.Errorf("hash of %v: %w", p.r, ErrDamaged)
	}
	return nil
}
