// Package serve answers DNS queries from a compiled View: message handling (RFC 1034
// 4.3.2, 6891 and their successors), and the UDP and TCP servers over sockets that
// their caller owns.
//
// A Handler may be used by any number of goroutines. Each server loop owns one
// exchange, the scratch of a message in work; views and settings are immutable values
// behind atomic pointers.
//
// There are two tiers, which give the same octets. Tier 1 is the common question in a
// batched UDP loop (ServeBatch): read by hand, answered from parts made at compile time.
// Tier 2 is all else: streams, signed queries, other opcodes and classes, transfers,
// what is broken.
//
// Answers to pipelined messages of a stream (RFC 7766 6.2.1.1) come in the order of the
// questions, and none waits for another: an answer is made in memory from one view, with
// no lock held, no channel and no disk or network between, in well under a millisecond
// at its worst (TestNoAnswerWaits). There is no slow one to overtake. A client that does
// not read holds up its own connection only.
package serve

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
	"github.com/dark-ecosystem/dark/internal/clock"
)

// Transport says how a message came.
type Transport uint8

const (
	UDP Transport = iota
	TCP
	TLS   // DNS over TLS
	QUIC  // DNS over QUIC
	HTTPS // DNS over HTTPS
)

// stream reports whether the transport shows who asks and carries large answers.
func (t Transport) stream() bool { return t != UDP }

// Settings are what a server says of itself. A Settings is immutable once set.
type Settings struct {
	// NSID is sent to who asks for it (RFC 5001); empty sends none.
	NSID string
	// ServerID answers id.server and hostname.bind in class CH (RFC 4892); empty refuses.
	ServerID string
	// Version answers version.server and version.bind; empty refuses.
	Version string
	// Cookies are the secrets of server cookies (RFC 9018); none sends no cookies.
	Cookies cookie.Secrets
	// Rate limits answers over UDP.
	Rate Rate
	// UDPSize is the most octets of an answer over UDP; 0 means 1,232.
	UDPSize int
}

const (
	defaultUDPSize = 1232
	plainUDPSize   = 512 // RFC 1035 4.2.1
	maxMessage     = 65535
)

// Handler answers messages.
type Handler struct {
	view     atomic.Pointer[dns.View]
	settings atomic.Pointer[Settings]
	clock    clock.Clock
	limiter  atomic.Pointer[limiter]
	sampler  atomic.Pointer[Sampler]
	pool     sync.Pool
	counters counterSet
}

// unready is the view of a handler that was given none.
var unready = &dns.View{}

// NewHandler returns a handler that answers SERVFAIL until it has a view; the clock is
// for cookies and limits.
func NewHandler(c clock.Clock) *Handler {
	h := &Handler{clock: c}
	h.view.Store(unready)
	h.settings.Store(&Settings{})
	shared := h.counters.add() // what comes and goes must not leave counters behind
	h.pool.New = func() any { return &exchange{h: h, counters: shared, seed: maphash.MakeSeed(), idle: -1} }
	return h
}

// Swap publishes a view; messages in work finish on the one before.
func (h *Handler) Swap(v *dns.View) { h.view.Store(v) }

// View is the view that answers now.
func (h *Handler) View() *dns.View { return h.view.Load() }

// Set publishes settings.
func (h *Handler) Set(s Settings) {
	if s.Rate.PerSecond > 0 && h.limiter.Load() == nil {
		h.limiter.CompareAndSwap(nil, newLimiter(h.clock.Now()))
	}
	h.settings.Store(&s)
}

// Handle appends the answer to msg to dst and returns it; nothing is appended when no
// answer is due. The answer to a stream is without its length prefix.
func (h *Handler) Handle(dst, msg []byte, from netip.AddrPort, t Transport) []byte {
	return h.handle(dst, msg, from, t, -1)
}

// handle is Handle for a stream that may stay without a message for idle; negative when
// that is not to be told.
func (h *Handler) handle(dst, msg []byte, from netip.AddrPort, t Transport, idle time.Duration) []byte {
	x := h.pool.Get().(*exchange)
	defer h.pool.Put(x)
	x.now, x.idle = h.clock.Now(), idle
	return x.handle(dst, msg, from, t)
}
