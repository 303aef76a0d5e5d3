package segment

import (
	"fmt"
	"slices"
	"time"
)

// reserve takes pages in an active segment, or in a ready or new one; moves have room of their own.
func (f *Files) reserve(n int64, moves bool) (*segment, span, error) {
	if n >= f.opt.Size/page {
		return nil, span{}, ErrTooLarge
	}
	if s, room, err := f.reserveActive(n); s != nil || err != nil {
		return s, room, err
	}
	select {
	case f.growing <- struct{}{}:
	case <-f.ctx.Done():
		return nil, span{}, ErrClosed
	}
	defer func() { <-f.growing }()
	for {
		// Somebody may have added one while we waited.
		if s, room, err := f.reserveActive(n); s != nil || err != nil {
			return s, room, err
		}
		if err := f.addActive(n, moves); err != nil {
			return nil, span{}, err
		}
	}
}

func (f *Files) reserveActive(n int64) (*segment, span, error) {
	if err := f.Err(); err != nil {
		return nil, span{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.closed {
		return nil, span{}, ErrClosed
	}
	for _, s := range f.mu.active {
		if at, ok := s.reserve(n); ok {
			s.writers++
			return s, span{at, n}, nil
		}
	}
	if i := slices.IndexFunc(f.mu.ready, func(s *segment) bool { return n < s.pages() }); i >= 0 {
		s := f.mu.ready[i]
		f.mu.ready = slices.Delete(f.mu.ready, i, i+1)
		f.activateLocked(s)
		f.nudge()
		at, _ := s.reserve(n)
		s.writers++
		return s, span{at, n}, nil
	}
	return nil, span{}, nil
}

// addActive makes a segment ready while the caller holds growing: a dead one where there
// is one, else a new one with more than n pages.
func (f *Files) addActive(n int64, moves bool) error {
	f.retireDead()
	recycled, err := f.recycleOne(false)
	if err != nil || recycled {
		return err
	}
	size, err := f.newSize(moves)
	if err == nil && size/page <= n {
		err = ErrNoRoom
	}
	if err != nil {
		return fmt.Errorf("create a segment: %w", err)
	}
	s, err := f.createSegment(size, false)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.ready = append(f.mu.ready, s)
	return nil
}

// newSize is how large a new segment may be, in octets. For moves it may be smaller than others.
func (f *Files) newSize(moves bool) (int64, error) {
	if f.opt.Room == nil {
		return f.opt.Size, nil
	}
	err := f.opt.Room(f.opt.Size)
	if err == nil || !moves || f.opt.MoveRoom == nil {
		return f.opt.Size, err
	}
	return min(f.opt.Size, f.opt.MoveRoom()) / page * page, nil
}

// fits says whether so many octets can be moved: a move that stops midway frees nothing.
func (f *Files) fits(octets int64) bool {
	if size, err := f.newSize(true); err == nil {
		octets -= max(0, size-page) // the first is its header
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.mu.active {
		octets -= (s.pages() - s.tail) * page
	}
	for _, s := range slices.Concat(f.mu.ready, f.mu.empty) {
		octets -= s.size - page
	}
	return octets <= 0
}

// retireDead ends active segments in which nothing is needed: on a full disk they are the
// only ones to recycle.
func (f *Files) retireDead() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range slices.Clone(f.mu.active) {
		if a.extents == 0 && a.writers == 0 {
			f.retireLocked(a)
		}
	}
}

// activateLocked makes a segment take extents. Of the others those that are nearly full
// take none any more, and of many the one with the least room.
func (f *Files) activateLocked(s *segment) {
	for _, a := range slices.Clone(f.mu.active) {
		if a.pages()-a.tail < a.pages()/8 {
			f.retireLocked(a)
		}
	}
	if len(f.mu.active) == maxActive {
		f.retireLocked(slices.MinFunc(f.mu.active, func(a, b *segment) int {
			return int((a.pages() - a.tail) - (b.pages() - b.tail))
		}))
	}
	f.mu.demand.count(time.Now())
	s.state = active
	f.mu.active = append(f.mu.active, s)
}

func (f *Files) retireLocked(s *segment) {
	f.mu.active = slices.DeleteFunc(f.mu.active, func(a *segment) bool { return a == s })
	s.state = full
	f.settleLocked(s)
}

// settleLocked looks whether a segment ended: an active one without room takes no more
// extents, and a full one that nobody needs is recycled.
func (f *Files) settleLocked(s *segment) {
	if s.state == active && s.tail == s.pages() && len(s.holes) == 0 {
		f.retireLocked(s)
		return
	}
	if s.state == full && s.extents == 0 && s.writers == 0 {
		s.state = empty
		f.mu.empty = append(f.mu.empty, s)
		f.nudge()
	}
}

// Adopt says, before Resume, that an extent is needed.
func (f *Files) Adopt(r Ref) error {
	s, err := f.find(r)
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.setLive(r)
	s.tail = max(s.tail, int64(r.Page)+r.pages())
	return nil
}

// Resume says that every extent that is needed was adopted: what else the segments held
// when they were opened is dead from now on, and will be overwritten. The one with the
// most room goes on taking extents. Spare segments are made from now on.
func (f *Files) Resume() {
	f.mu.Lock()
	defer f.mu.Unlock()
	var best *segment
	for _, s := range f.segments() {
		if s.state != held {
			continue
		}
		s.state = full
		if s.extents > 0 && (best == nil || s.pages()-s.tail > best.pages()-best.tail) {
			best = s
		}
		f.settleLocked(s)
	}
	if best != nil && best.tail < best.pages() && len(f.mu.active) < maxActive {
		f.activateLocked(best)
	}
	f.mu.resumed = true
	f.nudge()
}

// Free says that an extent is needed no more, which must be durable: its room may be
// overwritten at once. Freeing twice does nothing.
func (f *Files) Free(r Ref) {
	s, err := f.find(r)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.holds(r) { // it may have been recycled since find
		s.clearLive(r)
		f.settleLocked(s)
	}
}
