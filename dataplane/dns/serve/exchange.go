package serve

import (
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/dns"
	"github.com/dark-ecosystem/dark/dataplane/dns/cookie"
	"github.com/dark-ecosystem/dark/dataplane/dns/wire"
	"github.com/dark-ecosystem/dark/dataplane/dns/zone"
)

// exchange is one message in work. It is owned by one goroutine and used again.
type exchange struct {
	h        *Handler
	counters *counters
	view     *dns.View
	set      *Settings
	from     netip.AddrPort
	via      Transport
	now      time.Time     // set by the loop, once a batch
	batched  bool          // owned by a batched loop, whose common questions are tier 1
	first    bool          // the message in work went through tier 1
	idle     time.Duration // how long the stream may stay without a message; -1 not told
	slips    int
	sampled  uint64

	q     wire.Query
	b     wire.Builder
	edns  wire.EDNS
	rcode int
	flags uint16

	name    *wire.Name   // the name in question: the one asked, then chain targets
	targets [2]wire.Name // chain targets, by turns
	aside   wire.Name    // glue
	seen    [maxChain + 1]uint64
	nseen   int
	dnames  [maxChain + 1]dnameStep // used in this answer
	ndnames int
	seed    maphash.Seed
	baked   [cookie.Len]byte // the cookie of the answer
	trusted bool             // the client showed that its address is its own
	zone    *zone.Zone       // of the name asked; nil outside our zones
	full    bool             // something required did not fit
}

// newExchange returns an exchange with counters of its own, for a loop that stays.
func (h *Handler) newExchange() *exchange {
	return &exchange{h: h, counters: h.counters.add(), seed: maphash.MakeSeed(), idle: -1}
}

// handle is the whole way of a message. In a batched loop the common form of question
// is tier 1: read and answered without a look at what else there is. All else is tier 2.
func (x *exchange) handle(dst, msg []byte, from netip.AddrPort, t Transport) []byte {
	x.view, x.set = x.h.view.Load(), x.h.settings.Load()
	x.from, x.via = from, t
	x.first = x.batched && x.view != unready && x.q.ParseCommon(msg)
	if x.first {
		x.begin(dst)
		x.resolve()
	} else if !x.general(dst, msg) {
		x.counters.dropped.Add(1)
		return dst
	}
	x.counters.count(x)
	switch x.limit() {
	case drop:
		return dst
	case slip:
		x.slipped()
	}
	out := x.finish()
	x.sample(msg, out[len(dst):])
	x.view, x.zone = nil, nil // an idle loop must not keep an old view alive
	return out
}

// general is tier 2: it reads and answers any message. It reports false when none is due.
func (x *exchange) general(dst, msg []byte) bool {
	verdict := x.q.Parse(msg)
	if verdict == wire.Drop {
		return false
	}
	x.begin(dst)
	if verdict == wire.Bad {
		x.rcode = wire.FormErr
	} else {
		x.answer()
	}
	return true
}

// begin sets out the answer's EDNS and room.
func (x *exchange) begin(dst []byte) {
	x.rcode, x.flags, x.full = wire.NoError, x.q.Flags&wire.FlagRD, false
	x.zone = nil
	x.trusted = x.via.stream()
	x.edns = wire.EDNS{EDE: -1, Keepalive: -1}
	limit := maxMessage
	if !x.via.stream() {
		limit = x.udpLimit()
	}
	reserve := 0
	if x.q.EDNS {
		x.edns.UDPSize = uint16(x.maxUDP())
		x.edns.DO = x.q.DO
		if x.q.NSID {
			x.edns.NSID = x.set.NSID
		}
		x.bake()
		x.keepalive()
		reserve = x.edns.Size()
	}
	x.b.Begin(dst, &x.q, limit, reserve)
}

// keepalive says how long a stream may idle, to who asks (RFC 7828 3.3.2). Messages over
// UDP (3.3.1) and QUIC (RFC 9250 5.5.2) ask in vain.
func (x *exchange) keepalive() {
	if x.q.Keepalive && x.idle >= 0 && (x.via == TCP || x.via == TLS) {
		x.edns.Keepalive = int(min(x.idle/(100*time.Millisecond), 65535))
	}
}

func (x *exchange) maxUDP() int {
	if x.set.UDPSize == 0 {
		return defaultUDPSize
	}
	return x.set.UDPSize
}

func (x *exchange) udpLimit() int {
	if !x.q.EDNS {
		return plainUDPSize
	}
	// RFC 6891 6.2.5: sizes below 512 are taken as 512.
	return min(max(int(x.q.UDPSize), plainUDPSize), max(x.maxUDP(), plainUDPSize))
}

// bake checks the cookie of the query and puts one in the answer (RFC 7873 5.2). A
// wrong cookie is as none: it is answered, but trusted in nothing.
func (x *exchange) bake() {
	if x.q.Cookie == nil || len(x.set.Cookies) == 0 {
		return
	}
	now := uint32(x.now.Unix())
	valid, renew := x.set.Cookies.Check(x.q.Cookie, x.from.Addr(), now)
	x.trusted = x.trusted || valid
	if renew {
		x.edns.Cookie = x.set.Cookies.Make(x.baked[:0], x.q.Cookie, x.from.Addr(), now)
		return
	}
	x.edns.Cookie = append(x.baked[:0], x.q.Cookie...)
}

// answer judges the message, then answers the question.
func (x *exchange) answer() {
	q := &x.q
	switch {
	case q.EDNS && q.Version != 0:
		x.rcode = wire.BadVers // RFC 6891 6.1.3
	case q.Opcode() != 0:
		x.rcode = wire.NotImp
		x.extend(edeNotSupported)
		x.flags |= uint16(q.Opcode()) << 11
	case !q.HasQuestion && x.edns.Cookie != nil:
		// RFC 7873 5.4: a question about the cookie alone
	case !q.HasQuestion:
		x.rcode = wire.FormErr
	case q.TSIG:
		x.rcode = wire.NotAuth // RFC 8945 5.2.1: no key of ours; see finish
	case q.Class == wire.ClassCH:
		x.chaos()
	case x.view == unready:
		x.rcode = wire.ServFail
		x.extend(edeNotReady)
	case q.Class != wire.ClassIN:
		x.refuse(edeNotAuthoritative)
	case q.Type == wire.TypeAXFR || q.Type == wire.TypeIXFR:
		x.refuse(edeProhibited)
	default:
		x.resolve()
	}
}

// Info codes of extended errors, RFC 8914 4: those that an authoritative server has a
// cause for.
const (
	edeNotReady         = 14 // nothing was published to this server yet
	edeProhibited       = 18 // a transfer, or a CHAOS name that is not told
	edeNotAuthoritative = 20 // outside our zones and classes
	edeNotSupported     = 21 // an opcode that is not served
)

func (x *exchange) refuse(ede int) {
	x.rcode = wire.Refused
	x.flags &^= wire.FlagAA
	x.extend(ede)
}

// extend adds an extended error to the answer (RFC 8914), where there is EDNS. It
// counts as room only with those answers that have no records.
func (x *exchange) extend(code int) {
	if x.q.EDNS {
		x.edns.EDE = code
	}
}

// finish ends the answer, without records when it could not hold all it must.
func (x *exchange) finish() []byte {
	if x.full {
		x.truncate()
	}
	if x.rcode < len(x.counters.rcodes) {
		x.counters.rcodes[x.rcode].Add(1)
	}
	if x.zone != nil {
		x.counters.zone(x.zone.Number()).count(x)
	}
	var edns *wire.EDNS
	if x.q.EDNS {
		edns = &x.edns
	}
	out := x.b.Finish(x.q.ID, x.flags, x.rcode, x.q.HasQuestion, edns)
	if x.q.TSIG && x.rcode == wire.NotAuth {
		return x.b.AddTSIG(&x.q.Signed, uint64(x.now.Unix()), wire.BadKey)
	}
	return out
}

// truncate leaves the question and TC: what was cut is of no use to a resolver (RFC
// 2181 9), and an answer without records amplifies nothing.
func (x *exchange) truncate() {
	x.counters.truncated.Add(1)
	x.flags |= wire.FlagTC
	x.b.Empty()
}
