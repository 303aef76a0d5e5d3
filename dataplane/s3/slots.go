package s3

import (
	"net"
	"net/netip"
	"sync"
)

// slots are a number of places, or of octets, that requests share. No organization has more
// than half of them, all who did not sign have half together, and one source of them a
// sixteenth: nobody shuts the endpoint for others.
//
// Of the places for requests that are answered at a time, a request takes one when its
// signature was verified, so that whoever cannot sign holds none; those that nobody signed,
// for objects that are open to everyone, take one by their source.
type slots struct {
	bound int64
	mu    struct {
		sync.Mutex
		all, unsigned int64
		of            map[holder]int64
	}
}

// holder is whose share of the slots a request takes: an organization's, a source's, or, the
// zero value, that of all who did not sign.
type holder struct {
	organization string
	source       netip.Prefix
}

func newSlots(bound int) *slots {
	s := &slots{bound: int64(bound)}
	s.mu.of = map[holder]int64{}
	return s
}

// take gives n places, unless so many are not left for all or for the holder.
func (s *slots) take(h holder, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.all+n > s.bound || s.mu.of[h]+n > s.share(h) || h.organization == "" && s.mu.unsigned+n > max(s.bound/2,
		1) {
		return false
	}
	s.mu.all += n
	s.mu.of[h] += n
	if h.organization == "" {
		s.mu.unsigned += n
	}
	return true
}

func (s *slots) share(h holder) int64 {
	if h.source.IsValid() {
		return max(s.bound/16, 1)
	}
	return max(s.bound/2, 1)
}

// give takes n places back.
func (s *slots) give(h holder, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.all -= n
	if h.organization == "" {
		s.mu.unsigned -= n
	}
	if s.mu.of[h] -= n; s.mu.of[h] == 0 {
		delete(s.mu.of, h)
	}
}

func (s *slots) taken() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.all
}

// sourceOf is an IPv4 address or an IPv6 /64, which is what one host is usually given.
func sourceOf(remote string) netip.Prefix {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	at, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Prefix{}
	}
	at, bits := at.Unmap().WithZone(""), 64
	if at.Is4() {
		bits = 32
	}
	p, _ := at.Prefix(bits) // bits fit
	return p
}
