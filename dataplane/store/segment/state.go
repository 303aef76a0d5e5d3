package segment

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// state of a segment.
type state uint8

const (
	held    state = iota // as Open found it, before Resume
	active               // takes extents
	full                 // takes none any more
	empty                // nothing in it is needed
	ready                // of a new generation
	damaged              // has no good file header; only read
)

func (s state) String() string {
	return [...]string{"held", "active", "full", "empty", "ready", "damaged"}[s]
}

// locked is added to the pins of a segment that is being recycled.
const locked = math.MinInt64 / 2

// segment is one file. Files.mu guards the fields of room.
type segment struct {
	file       vfs.File
	number     uint32
	size       int64
	generation atomic.Uint64
	filled     bool         // owned by who locked or made it
	blind      bool         // see Options.blind
	pins       atomic.Int64 // readers; negative while it is recycled
	flush      flusher
	room
}

// room is what of a segment is taken, in pages.
type room struct {
	state   state
	tail    int64  // first page never reserved
	holes   []span // given back before tail
	writers int
	live    []uint64 // a bit for each page at which a live extent stands
	extents int      // bits in live
	octets  int64    // of live extents, headers and rounding included
	stuck   bool     // holds a damaged extent: compaction leaves it alone
}

type span struct{ at, n int64 }

// maxHoles bounds what is remembered; what is given back beyond is used after recycling.
const maxHoles = 64

func newSegment(file vfs.File, d identity) *segment {
	s := &segment{file: file, number: d.number, size: d.size, filled: d.filled}
	s.generation.Store(d.generation)
	s.reset()
	return s
}

func (s *segment) pages() int64 { return s.size / page }

// reset makes the room as of a segment without extents.
func (s *segment) reset() {
	s.room = room{tail: 1, live: make([]uint64, (s.pages()+63)/64)}
}

func (s *segment) identity() identity {
	return identity{s.number, s.generation.Load(), s.size, s.filled}
}

// holds says whether a ref may be of this segment's generation.
func (s *segment) holds(r Ref) bool {
	return (r.Generation == s.generation.Load() || s.blind) && r.Page > 0 && int64(r.Page)+r.pages() <= s.pages()
}

// reserve takes n pages.
func (s *segment) reserve(n int64) (at int64, ok bool) {
	for i, h := range s.holes {
		if h.n >= n {
			if s.holes[i] = (span{h.at + n, h.n - n}); h.n == n {
				s.holes = append(s.holes[:i], s.holes[i+1:]...)
			}
			return h.at, true
		}
	}
	if s.tail+n > s.pages() {
		return 0, false
	}
	at = s.tail
	s.tail += n
	return at, true
}

// giveBack returns pages that were reserved and hold no extent.
func (s *segment) giveBack(g span) {
	if g.n == 0 {
		return
	}
	for i := 0; i < len(s.holes); i++ {
		h := s.holes[i]
		if h.at+h.n == g.at || g.at+g.n == h.at {
			g = span{min(h.at, g.at), h.n + g.n}
			s.holes = append(s.holes[:i], s.holes[i+1:]...)
			i = -1 // what grew may touch another
		}
	}
	switch {
	case g.at+g.n == s.tail:
		s.tail = g.at
	case len(s.holes) < maxHoles:
		s.holes = append(s.holes, g)
	}
}

func (s *segment) isLive(p uint32) bool { return s.live[p/64]&(1<<(p%64)) != 0 }

func (s *segment) setLive(r Ref) {
	if !s.isLive(r.Page) {
		s.live[r.Page/64] |= 1 << (r.Page % 64)
		s.extents++
		s.octets += r.pages() * page
	}
}

func (s *segment) clearLive(r Ref) {
	if s.isLive(r.Page) {
		s.live[r.Page/64] &^= 1 << (r.Page % 64)
		s.extents--
		s.octets -= r.pages() * page
	}
}

// livePages are the pages at which live extents stand.
func (s *segment) livePages() []uint32 {
	all := make([]uint32, 0, s.extents)
	for i, w := range s.live {
		for ; w != 0; w &= w - 1 {
			all = append(all, uint32(i*64+bits.TrailingZeros64(w)))
		}
	}
	return all
}

// pin keeps the segment from being recycled.
func (s *segment) pin() bool {
	if s.pins.Add(1) > 0 {
		return true
	}
	s.pins.Add(-1)
	return false
}

// lock succeeds while nobody has a pin, and keeps pins out.
func (s *segment) lock() bool { return s.pins.CompareAndSwap(0, locked) }

func (s *segment) unlock() { s.pins.Add(-locked) }

// flusher shares syncs: who comes while one runs waits for the next, which begins after.
type flusher struct {
	mu      sync.Mutex
	running *round
	next    *round
}

type round struct {
	done chan struct{}
	err  error
}
