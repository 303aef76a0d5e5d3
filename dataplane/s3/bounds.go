package s3

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// bounds are what all requests share of the memory that bodies take, so that it has a
// bound however many clients there are and whichever of them stall: a body on its way into
// the store holds buffers, and a document is held whole, and several times over while it is
// taken apart. Nobody has more than a share (slots.go) of what clients can make last.
type bounds struct {
	documents *slots        // octets of documents that are held
	working   chan struct{} // a place for each large document that is worked on
	rows      chan struct{} // a place for each row of an object that is read: one of 10,000 parts has 600 KiB
	bodies    *places       // a place for each body on its way into the store
	courtesy  atomic.Int64  // refused bodies that are read
}

func newBounds(l Limits) bounds {
	return bounds{
		documents: newSlots(l.Documents), working: make(chan struct{}, l.Working),
		rows: make(chan struct{}, l.Rows), bodies: newPlaces(l.Bodies),
	}
}

// smallDocument needs no place to be worked on, in octets.
const smallDocument = 16 << 10

// bound holds the request to its share, before its body is read.
func (q *request) bound() error {
	n := q.r.ContentLength
	switch {
	case q.op == &opPostObject: // its fields come first, and say who asks
	case q.op.body && (n < 0 || n > store.InlineSize), q.op == &opUploadPartCopy:
		return q.beginBody()
	case !q.op.body && q.raw != nil && q.raw != http.NoBody:
		q.r.Body = held{q, q.raw}
	}
	return nil
}

// beginBody waits for a place for the request's body, as long as a client may stall.
func (q *request) beginBody() error {
	h := holder{organization: q.who.organization}
	if q.who.anonymous() {
		h.source = sourceOf(q.r.RemoteAddr)
	}
	err := q.h.bounds.bodies.enter(q.r.Context(), h, q.h.config.Limits.Stall)
	q.taking, q.taker = err == nil, h
	return err
}

// enter waits for a place as long as a client may stall.
func (q *request) enter(places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	default:
	}
	patience := time.NewTimer(q.h.config.Limits.Stall)
	defer patience.Stop()
	select {
	case places <- struct{}{}:
		return nil
	case <-patience.C:
		return s3xml.SlowDown
	case <-q.r.Context().Done():
		return q.r.Context().Err()
	}
}

// work begins the work on a document that was read. The place is held until rest, by one
// that no client can make wait.
func (q *request) work(doc []byte) error {
	if len(doc) <= smallDocument || q.working {
		return nil
	}
	err := q.enter(q.h.bounds.working)
	q.working = err == nil
	return err
}

// seat takes a place for reading and describing an object's row, for requests that only read. It is held until
// unseat, by one that no client can make wait.
func (q *request) seat() error {
	if q.seated || q.r.Method != http.MethodGet && q.r.Method != http.MethodHead {
		return nil
	}
	err := q.enter(q.h.bounds.rows)
	q.seated = err == nil
	return err
}

// unseat is called before anything is sent: who reads slowly holds no place. It may be called without seat.
func (q *request) unseat() {
	if q.seated {
		q.seated = false
		<-q.h.bounds.rows
	}
}

// rest ends the work on the request's document. It may be called without work.
func (q *request) rest() {
	if q.working {
		q.working = false
		<-q.h.bounds.working
	}
}

// unbound gives back what the request held of the bounds.
func (q *request) unbound() {
	q.rest()
	q.unseat()
	if q.taking {
		q.taking = false
		q.h.bounds.bodies.leave(q.taker)
	}
	if q.held > 0 {
		q.h.bounds.documents.give(q.keeper, q.held)
		q.held = 0
	}
	q.r.Body = q.raw
}

// limit is the most octets that a document may have: what its kind says, unless the
// endpoint was told otherwise.
func (q *request) limit(kind int) int {
	if n := q.h.config.Limits.Document; n > 0 {
		return n
	}
	return kind
}

// held is a document's body whose octets count until the request ends. Beyond its share a
// client is told to come again, and not to wait: those who hold may be the ones that stall.
type held struct {
	q    *request
	body io.ReadCloser
}

func (h held) Read(b []byte) (int, error) {
	n, err := h.body.Read(b)
	if full := h.q.hold(n); full != nil {
		return n, full
	}
	return n, err
}

// hold counts n octets of a document, for the organization that asks or, of a form whose
// fields are still to say who that is, for all who did not sign.
func (q *request) hold(n int) error {
	if q.held == 0 {
		q.keeper = holder{organization: q.who.organization}
	}
	if n > 0 && !q.h.bounds.documents.take(q.keeper, int64(n)) {
		return s3xml.New(s3xml.SlowDown)
	}
	q.held += int64(n)
	return nil
}

func (h held) Close() error { return h.body.Close() }
