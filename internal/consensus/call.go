package consensus

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/errs"
)

// dialTimeout bounds the connecting of a call whose context has no deadline.
const dialTimeout = 10 * time.Second

// Call sends req to the member at addr and returns what its Handler for method answers.
// The handler's error arrives with its kind, text and fields, as *NotLeaderError, or
// matching ErrUnknown. An error of the way has the kind Unavailable; it matches
// ErrUnknown when the request may have arrived.
func (n *Node) Call(ctx context.Context, addr, method string, req []byte) ([]byte, error) {
	if len(req) > MaxMessage || len(method) > 255 {
		return nil, errs.New(errs.Invalid, "request %s of %d bytes, at most %d are allowed", method, len(req),
			MaxMessage)
	}
	c, err := n.trans.client(ctx, addr)
	if err != nil {
		return nil, errs.Wrap(errs.Unavailable, err, "cannot reach the member at %s", addr)
	}
	return c.call(ctx, method, req)
}

// client is a connection on which we call another member, in the making or made.
type client struct {
	t     *transport
	addr  string
	ready chan struct{} // closed when out or err is set
	err   error
	out   frameWriter

	mu struct {
		sync.Mutex
		id      uint64
		waiting map[uint64]chan frame // nil when the connection has ended
		ended   error                 // why it has
	}
	done chan struct{} // closed when the connection has ended
}

// client returns the connection to addr, which many calls share.
func (t *transport) client(ctx context.Context, addr string) (*client, error) {
	t.mu.Lock()
	c := t.mu.clients[addr]
	if c == nil {
		if t.mu.closed || t.ctx.Err() != nil {
			t.mu.Unlock()
			return nil, ErrClosed
		}
		c = &client{t: t, addr: addr, ready: make(chan struct{}), done: make(chan struct{})}
		c.mu.waiting = map[uint64]chan frame{}
		t.mu.clients[addr] = c
		t.work.Go(c.run)
	}
	t.mu.Unlock()
	select {
	case <-c.ready:
		return c, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run connects, and hands out replies until the connection ends.
func (c *client) run() {
	conn, err := c.connect()
	if err != nil {
		c.err = err
		c.forget()
		close(c.done)
		close(c.ready)
		return
	}
	c.out.conn = conn
	close(c.ready)
	r := bufio.NewReaderSize(conn, 64<<10)
	ended := errConnEnded
	for {
		f, err := readFrame(r)
		if err != nil && strings.Contains(err.Error(), remoteRefusal) {
			ended = ErrRefused
		}
		if err != nil || (f.kind != frameReply && f.kind != frameFailure) {
			break
		}
		c.mu.Lock()
		ch := c.mu.waiting[f.id]
		delete(c.mu.waiting, f.id)
		c.mu.Unlock()
		if ch != nil {
			ch <- f // has room for the one reply
		}
	}
	_ = conn.Close()
	c.forget()
	c.mu.Lock()
	c.mu.waiting, c.mu.ended = nil, ended
	c.mu.Unlock()
	close(c.done)
}

func (c *client) connect() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(c.t.ctx, dialTimeout)
	defer cancel()
	return c.t.dial(ctx, c.addr, kindCalls, "")
}

// forget lets the next call connect anew.
func (c *client) forget() {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	if c.t.mu.clients[c.addr] == c {
		delete(c.t.mu.clients, c.addr)
	}
}

// remoteRefusal is how crypto/tls words the alert of a member's door that knows who this node is not.
const remoteRefusal = "remote error: tls: bad certificate"

var errConnEnded = errors.New("the connection ended")

func (c *client) call(ctx context.Context, method string, req []byte) ([]byte, error) {
	var left time.Duration
	if at, ok := ctx.Deadline(); ok {
		if left = time.Until(at); left <= 0 {
			return nil, context.DeadlineExceeded
		}
	}
	ch := make(chan frame, 1)
	c.mu.Lock()
	if c.mu.waiting == nil {
		ended := c.mu.ended
		c.mu.Unlock()
		return nil, errs.Wrap(errs.Unavailable, ended, "cannot reach the member at %s", c.addr)
	}
	c.mu.id++
	id := c.mu.id
	c.mu.waiting[id] = ch
	c.mu.Unlock()
	c.out.write(id, frameRequest, requestHead(left, method), req)
	select {
	case f := <-ch:
		return reply(f)
	case <-c.done:
		select { // it may have come just before the end
		case f := <-ch:
			return reply(f)
		default:
			c.mu.Lock()
			ended := c.mu.ended
			c.mu.Unlock()
			if errors.Is(ended, ErrRefused) { // before it read anything
				return nil, errs.Wrap(errs.Unavailable, ended, "cannot reach the member at %s", c.addr)
			}
			return nil, unknown(fmt.Errorf("call %s of %s: %w", method, c.addr, ended))
		}
	case <-ctx.Done():
		c.mu.Lock()
		delete(c.mu.waiting, id)
		c.mu.Unlock()
		c.out.write(id, frameCancel)
		return nil, unknown(fmt.Errorf("call %s of %s: %w", method, c.addr, ctx.Err()))
	}
}

func reply(f frame) ([]byte, error) {
	if f.kind == frameFailure {
		return nil, parseFailure(f.payload)
	}
	return f.payload, nil
}
