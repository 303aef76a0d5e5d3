package serve

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
)

// Rate limits the answers over UDP that one client network gets, so that this server
// is of no use for reflection. Who shows that its address is its own, by a cookie or a
// stream, is exempt.
type Rate struct {
	// PerSecond is the most answers of one class (data, negative, error) that one
	// network gets in the long run; 0 sets no limit.
	PerSecond int
	// Burst is how many seconds' worth may come at once; 0 means 1.
	Burst int
	// Slip: every so many answers over the limit one is sent truncated, so that an
	// honest client comes again by TCP; 0 means 2, negative sends none.
	Slip int
	// Bits4 and Bits6 are the prefix lengths of one network; 0 means 24 and 56.
	Bits4, Bits6 int
}

// limiterSlots is the size of the table, 512 KiB: an attack from more networks at one
// time than that is below the limit in each of them.
const limiterSlots = 1 << 16

// limiter is a table of counters, one word each: 16 bits of the key's hash and 48 bits
// of time, in microseconds since start, up to which the key has used its allowance
// (the generic cell rate algorithm). A slot whose time has passed is free. It is
// shared by all cores without a lock: a lost race lets one more answer through.
type limiter struct {
	start time.Time
	seed  maphash.Seed
	slots [limiterSlots]atomic.Uint64
}

func newLimiter(now time.Time) *limiter {
	return &limiter{start: now, seed: maphash.MakeSeed()}
}

// allow counts an answer of a class to a network and reports whether it may be sent.
func (l *limiter) allow(r *Rate, from netip.Addr, class byte, now time.Time) bool {
	h := l.hash(r, from, class)
	t := uint64(max(now.Sub(l.start).Microseconds(), 0)) + 1
	step := uint64(time.Second/time.Microsecond) / uint64(r.PerSecond)
	room := uint64(max(r.Burst, 1)) * uint64(time.Second/time.Microsecond)
	tag := h >> 48 << 48
	for _, i := range [2]uint64{h % limiterSlots, h >> 16 % limiterSlots} {
		s := &l.slots[i]
		old := s.Load()
		used := old & (1<<48 - 1)
		if old>>48<<48 != tag && used > t {
			continue // another network's
		}
		if old>>48<<48 != tag || used < t {
			used = t
		}
		if used+step > t+room {
			return false
		}
		s.CompareAndSwap(old, tag|(used+step))
		return true
	}
	return true // both places are taken: never punish one for another
}

func (l *limiter) hash(r *Rate, from netip.Addr, class byte) uint64 {
	bits := orDefault(r.Bits6, 56)
	if from.Is4() {
		bits = orDefault(r.Bits4, 24)
	}
	p, err := from.Prefix(bits)
	if err != nil {
		p, _ = from.Prefix(from.BitLen())
	}
	key := p.Addr().As16()
	var b [17]byte
	copy(b[:], key[:])
	b[16] = class
	return maphash.Bytes(l.seed, b[:])
}

func orDefault(v, def int) int {
	if v == 0 {
		return def
	}
	return v
}

// Outcomes of the rate limit.
type outcome uint8

const (
	pass outcome = iota
	slip
	drop
)

// limit judges the answer in work.
func (x *exchange) limit() outcome {
	r := &x.set.Rate
	if r.PerSecond <= 0 || x.trusted {
		return pass
	}
	class := byte(2)
	switch {
	case x.rcode == wire.NoError && x.b.Count(wire.Answer) > 0:
		class = 0
	case x.rcode == wire.NoError || x.rcode == wire.NXDomain:
		class = 1
	}
	if x.h.limiter.Load().allow(r, x.from.Addr().Unmap(), class, x.now) {
		return pass
	}
	x.counters.limited.Add(1)
	every := orDefault(r.Slip, 2)
	if x.slips++; every < 0 || x.slips%every != 0 {
		return drop
	}
	return slip
}

// slipped makes the answer one that amplifies nothing: BADCOOKIE with a cookie to try
// again with for who knows cookies (RFC 7873 5.2.3), else TC.
func (x *exchange) slipped() {
	x.b.Empty()
	if x.edns.Cookie != nil {
		x.rcode = wire.BadCookie
		x.flags &^= wire.FlagAA
		return
	}
	x.full = true
}
