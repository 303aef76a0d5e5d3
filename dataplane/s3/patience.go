package s3

import (
	"context"
	"net"
	"time"

	"github.com/dark-ecosystem/dark/internal/preauth"
)

// Patience is how long a client may still let the endpoint wait, for octets that it sends
// or for it to take some. A request begins with Limits.Stall of it. Waiting uses it up, and
// each octet that moves gives back what it takes at Limits.LeastRate, up to Limits.Stall.
// So a client may stall for 30 seconds once, one that moves at least 1 KiB/s goes on for
// ever, and one that moves an octet each 29 seconds ends after the second. What the
// endpoint's own disks take does not count.

// impatient is when the client must have moved its next n octets.
func (q *request) impatient(start time.Time, n int) time.Time {
	return start.Add(q.patience + q.worth(n))
}

// moved counts n octets that the client let the endpoint wait for since start.
func (q *request) moved(start time.Time, n int) {
	q.patience = min(q.patience+q.worth(n)-time.Since(start), q.h.config.Limits.Stall)
}

// worth is the time that n octets take at the least rate.
func (q *request) worth(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(q.h.config.Limits.LeastRate)
}

// read reads from the client while there is patience.
func (p paced) Read(b []byte) (int, error) {
	q, start := p.q, time.Now()
	q.touched = true
	_ = q.rc().SetReadDeadline(q.impatient(start, 0)) // a recorder in a test takes none
	n, err := p.body.Read(b)
	q.moved(start, n)
	return n, err
}

// write sends octets of an answer's body to the client while there is patience.
func (q *request) write(b []byte) error {
	start := time.Now()
	_ = q.rc().SetWriteDeadline(q.impatient(start, len(b))) // a recorder in a test takes none
	n, err := q.w.Write(b)
	q.moved(start, n)
	q.out += int64(n)
	return err
}

type connectionKey struct{}

// ConnContext is for http.Server.ConnContext: it notes a connection whose listener bounds
// what is not authenticated, and the handler tells that when a caller is.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if p := preauth.Of(c); p != nil {
		return context.WithValue(ctx, connectionKey{}, p)
	}
	return ctx
}

// authenticated tells the connection that its caller is known: by a signature, or as one
// of all who may do what it asks for.
func (q *request) authenticated() {
	if c, ok := q.r.Context().Value(connectionKey{}).(*preauth.Conn); ok {
		c.Authenticated()
	}
}
