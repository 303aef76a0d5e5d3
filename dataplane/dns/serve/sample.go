package serve

import (
	"net/netip"
	"slices"
	"time"
)

// Sample is one query and its answer, taken for the query log or dnstap.
type Sample struct {
	Time   time.Time
	From   netip.AddrPort
	Via    Transport
	Query  []byte
	Answer []byte
}

// Sampler takes one query in so many. Its queue is bounded: what its reader cannot
// keep up with is dropped and counted.
type Sampler struct {
	every uint64
	queue chan Sample
}

// NewSampler takes one query in every and keeps up to room of them for the reader.
func NewSampler(every, room int) *Sampler {
	return &Sampler{every: uint64(max(every, 1)), queue: make(chan Sample, room)}
}

// Samples is where the reader takes them from; it is never closed.
func (s *Sampler) Samples() <-chan Sample { return s.queue }

// Sample makes h give samples to s; nil ends it.
func (h *Handler) Sample(s *Sampler) { h.sampler.Store(s) }

// sample gives the exchange to the sampler when it is its turn.
func (x *exchange) sample(msg, answer []byte) {
	s := x.h.sampler.Load()
	if s == nil {
		return
	}
	// Each exchange counts for itself, so that cores share no line.
	if x.sampled++; x.sampled%s.every != 0 {
		return
	}
	select {
	case s.queue <- Sample{x.now, x.from, x.via, slices.Clone(msg), slices.Clone(answer)}:
	default:
		x.counters.unsampled.Add(1)
	}
}
