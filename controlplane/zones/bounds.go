package zones

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/errs"
	dnsv1 "github.com/dark-ecosystem/dark/proto/dark/dns/v1"
)

// Bounds of the imports of one control node, dry runs too. What an import holds are its
// records, in memory and on disk.
type Bounds struct {
	Imports, ImportsOf int   // at once, in all and of one organization
	Bytes, BytesOf     int64 // held at once, in all and by one organization
	// Part is how long a client may take for the next leastPart octets, and Receive for the
	// whole file: who sends nothing keeps others from their turn.
	Part, Receive time.Duration
	// Patience is after how long an import whose client has sent less than slowest gives its
	// place to another that finds none; so a few organizations cannot hold all for an hour.
	Patience time.Duration
}

var defaultBounds = Bounds{
	Imports: 8, ImportsOf: 2, Bytes: 6 << 30, BytesOf: 2 << 30, Part: 30 * time.Second, Receive: time.Hour,
	Patience: 30 * time.Second,
}

// leastPart is 1 KiB a second over Bounds.Part.
const leastPart = 30 << 10

// slowest is the octets a second, since its beginning, of an import that keeps its place
// while others wait.
const slowest = 64 << 10

// Clean makes the directory in which imports sort be there and empty: a control node
// calls it at its start, before any import.
func Clean(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear what imports left: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make room for imports: %w", err)
	}
	return nil
}

// underWay counts the imports of a control node. mu guards what follows it.
type underWay struct {
	bounds Bounds
	room   func(octets int64) bool // the disk has room for as many more; nil: always
	mu     struct {
		sync.Mutex
		all       held
		byOf      map[string]*held
		receiving map[*holding]struct{} // those whose file is not there yet
	}
}

// held is what imports hold.
type held struct {
	imports int
	bytes   int64
}

// begin counts an import in, or says when there will be a place for it.
func (u *underWay) begin(ctx context.Context, org string) (*holding, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	of := u.mu.byOf[org]
	if of == nil {
		of = &held{}
	}
	switch {
	case of.imports >= u.bounds.ImportsOf:
		return nil, errs.New(errs.Exhausted, "%s has %d imports under way at this control node, at most %d at once; "+
			"try again when one of them has ended", org, of.imports, u.bounds.ImportsOf)
	case u.mu.all.imports >= u.bounds.Imports && !u.displaceLocked(time.Now()):
		return nil, errs.New(errs.Exhausted, "%d imports are under way at this control node, at most %d at once; "+
			"try again in a minute, or at another control node", u.mu.all.imports, u.bounds.Imports)
	}
	if u.mu.byOf == nil {
		u.mu.byOf = map[string]*held{}
	}
	u.mu.byOf[org] = of
	of.imports++
	u.mu.all.imports++
	h := &holding{u: u, org: org, begun: time.Now()}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	if u.mu.receiving == nil {
		u.mu.receiving = map[*holding]struct{}{}
	}
	u.mu.receiving[h] = struct{}{}
	return h, nil
}

// displaceLocked ends the slowest import that has lost its claim to its place. The place is
// counted out at once; what the import holds is, when it has ended.
func (u *underWay) displaceLocked(now time.Time) bool {
	var worst *holding
	for h := range u.mu.receiving {
		if now.Sub(h.begun) >= u.bounds.Patience && h.rate(now) < slowest &&
			(worst == nil || h.rate(now) < worst.rate(now)) {
			worst = h
		}
	}
	if worst == nil {
		return false
	}
	delete(u.mu.receiving, worst)
	worst.displaced = true
	u.mu.all.imports--
	worst.cancel(errs.New(errs.Unavailable,
		"the file came too slowly while other imports waited: %d octets in %v; import it again",
		worst.received, now.Sub(worst.begun).Round(time.Second)))
	return true
}

// holding is one import's part. It belongs to the import's goroutine but for what u.mu
// guards: received and displaced.
type holding struct {
	u         *underWay
	org       string
	bytes     int64
	begun     time.Time
	ctx       context.Context // ends when another import takes the place
	cancel    context.CancelCauseFunc
	received  int64
	displaced bool
}

// rate is the octets a second that came so far.
func (h *holding) rate(now time.Time) float64 {
	return float64(h.received) / max(now.Sub(h.begun).Seconds(), 1e-9)
}

// arrived counts what the client sent; nothing more comes after the last.
func (h *holding) arrived(n int, last bool) {
	h.u.mu.Lock()
	defer h.u.mu.Unlock()
	if h.received += int64(n); last {
		delete(h.u.mu.receiving, h)
	}
}

// take counts more octets in.
func (h *holding) take(n int64) error {
	h.u.mu.Lock()
	defer h.u.mu.Unlock()
	of := h.u.mu.byOf[h.org]
	switch b := h.u.bounds; {
	case of.bytes+n > b.BytesOf:
		return errs.New(errs.Exhausted, "the imports of %s hold %d MiB at this control node, at most %d at once; "+
			"try again when one of them has ended, or import less", h.org, of.bytes>>20, b.BytesOf>>20)
	case h.u.mu.all.bytes+n > b.Bytes:
		return errs.New(errs.Exhausted, "imports hold %d MiB at this control node, at most %d at once; "+
			"try again in a minute, or at another control node", h.u.mu.all.bytes>>20, b.Bytes>>20)
	case h.u.room != nil && !h.u.room(n):
		return errs.New(errs.Exhausted, "the disk of this control node has no room for the import; try at another "+
			"control node")
	}
	of.bytes += n
	h.u.mu.all.bytes += n
	h.bytes += n
	return nil
}

// end counts the import out.
func (h *holding) end() {
	h.cancel(nil)
	h.u.mu.Lock()
	defer h.u.mu.Unlock()
	of := h.u.mu.byOf[h.org]
	of.imports--
	of.bytes -= h.bytes
	delete(h.u.mu.receiving, h)
	if !h.displaced {
		h.u.mu.all.imports--
	}
	h.u.mu.all.bytes -= h.bytes
	if of.imports == 0 {
		delete(h.u.mu.byOf, h.org)
	}
}

// parts reads the file out of the stream's messages. A goroutine receives, so that a
// client that sends too little is not waited for; it ends with the stream.
type parts struct {
	bounds Bounds
	of     *holding
	ctx    context.Context
	next   chan part
	rest   []byte
	err    error     // how the stream ended
	until  time.Time // of the whole file
	due    *time.Timer
	got    int // octets since due was set
}

type part struct {
	data []byte
	err  error // io.EOF when the client has sent all
}

func newParts(ctx context.Context, stream *importStream, first []byte, of *holding) *parts {
	b := of.u.bounds
	p := &parts{
		bounds: b, of: of, ctx: ctx, next: make(chan part), rest: first, until: time.Now().Add(b.Receive),
		due: time.NewTimer(b.Part),
	}
	go p.receive(stream)
	return p
}

func (p *parts) receive(stream *importStream) {
	for {
		m := &dnsv1.ImportZoneRequest{}
		err := stream.RecvMsg(m)
		select {
		case p.next <- part{m.Data, err}:
		case <-p.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *parts) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		select {
		case m := <-p.next:
			p.of.arrived(len(m.data), m.err != nil)
			if p.err = m.err; p.err != nil {
				p.due.Stop()
				continue
			}
			if p.got += len(m.data); p.got >= leastPart && time.Now().Before(p.until) {
				p.got = 0
				p.due.Reset(p.bounds.Part)
			}
			p.rest = m.data
		case <-p.due.C:
			// Kept, as a parser may read on.
			p.err = errs.New(errs.Unavailable, "the file came too slowly: %d octets in %v; import it again", p.got,
				p.bounds.Part)
		case <-p.ctx.Done():
			return 0, context.Cause(p.ctx)
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}
