package s3

import (
	"net"
	"net/netip"
	"sync"
)

// slots are the places for requests that are answered at a time. A request takes one when
// its signature was verified, so that whoever cannot sign holds none; those that nobody
// signed, for objects that are open to everyone, take one by their source. No organization
// has more than half of the places, all who did not sign have half together, and one
// source of them a sixteenth: nobody shuts the endpoint for others.
type slots struct {
	bound int
	mu    struct {
		sync.Mutex
		all, unsigned int
		of            map[holder]int
	}
}

// holder is whose share of the slots a request takes: an organization's, or a source's.
type holder struct {
	organization string
	source       netip.Prefix
}

func newSlots(bound int) *slots {
	s := &slots{bound: bound}
	s.mu.of = map[holder]int{}
	return s
}

// take gives a place, unless all are taken or the holder has its share.
func (s *slots) take(h holder) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.all >= s.bound || s.mu.of[h] >= s.share(h) || h.organization == "" && s.mu.unsigned >= max(s.bound/2, 1) {
		return false
	}
	s.mu.all++
	s.mu.of[h]++
	if h.organization == "" {
		s.mu.unsigned++
	}
	return true
}

func (s *slots) share(h holder) int {
	if h.organization == "" {
		return max(s.bound/16, 1)
	}
	return max(s.bound/2, 1)
}

// give takes a place back.
func (s *slots) give(h holder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.all--
	if h.organization == "" {
		s.mu.unsigned--
	}
	if s.mu.of[h]--; s.mu.of[h] == 0 {
		delete(s.mu.of, h)
	}
}

func (s *slots) taken() int {
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
