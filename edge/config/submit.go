package config

import (
	"context"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/errs"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// RetryAfter is how long a caller of Submit should wait after an unavailable answer.
const RetryAfter = time.Second

// Request is a write on behalf of an end user, an edge's only way to write.
type Request struct {
	// Subject is the credential's id; one that is denied is refused here.
	Subject string
	// Token is the end user's bearer token.
	Token        string
	Organization string
	From         string // the end user's address
	Method       string // full gRPC name
	Body         []byte // marshalled request; its request_id makes it idempotent
}

// calls are the Submits in flight on one session.
type calls struct {
	mu struct {
		sync.Mutex
		next    uint64
		waiting map[uint64]chan *feedv1.SubmitResult
		over    bool
	}
}

func (c *calls) init() { c.mu.waiting = map[uint64]chan *feedv1.SubmitResult{} }

func (c *calls) begin() (uint64, chan *feedv1.SubmitResult, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.over {
		return 0, nil, false
	}
	c.mu.next++
	ch := make(chan *feedv1.SubmitResult, 1)
	c.mu.waiting[c.mu.next] = ch
	return c.mu.next, ch, true
}

func (c *calls) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mu.waiting, id)
}

func (c *calls) done(r *feedv1.SubmitResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ch := c.mu.waiting[r.GetId()]; ch != nil {
		ch <- r
		delete(c.mu.waiting, r.GetId())
	}
}

// fail ends all that are in flight: what became of them is not known.
func (c *calls) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.over = true
	for _, ch := range c.mu.waiting {
		close(ch)
	}
	c.mu.waiting = nil
}

// Submit carries out a write at a control node and returns its response when this
// edge's own view has it. Errors have the kinds of package errs; after Unavailable the
// same request, with the same request_id, may be sent again after RetryAfter.
func (c *Config) Submit(ctx context.Context, r Request) (response []byte, revision uint64, err error) {
	if r.Subject != "" && c.Denied(r.Subject) {
		return nil, 0, errs.New(errs.Denied, "the credential was revoked")
	}
	s := c.current()
	if s == nil {
		return nil, 0, unavailable("no control node can be reached")
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Submit)
	defer cancel()
	result, err := s.submit(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	if result.GetFailed() {
		return nil, 0, refusal(result)
	}
	if err := c.WaitRevision(ctx, result.GetRevision()); err != nil {
		return nil, result.GetRevision(), unavailable("the change was accepted and has not arrived here")
	}
	return result.GetResponse(), result.GetRevision(), nil
}

func (s *session) submit(ctx context.Context, r Request) (*feedv1.SubmitResult, error) {
	id, answer, ok := s.calls.begin()
	if !ok {
		return nil, unavailable("no control node can be reached")
	}
	defer s.calls.forget(id)
	up := &feedv1.Submit{
		Id: id, Token: r.Token, Organization: r.Organization, From: r.From, Method: r.Method,
		Request: r.Body,
	}
	if err := s.write(&feedv1.Up{Message: &feedv1.Up_Submit{Submit: up}}); err != nil {
		return nil, unavailable("the control node went away")
	}
	select {
	case result, ok := <-answer:
		if !ok {
			return nil, unavailable("the control node went away; whether the change was made is not known")
		}
		return result, nil
	case <-ctx.Done():
		return nil, unavailable("the control node did not answer; whether the change was made is not known")
	}
}

// refusal is the control node's error as its caller sees it.
func refusal(r *feedv1.SubmitResult) error {
	k := errs.Kind(r.GetRefusal())
	if r.GetRefusal() > uint32(errs.Expired) {
		k = errs.Internal // a newer control node's kind
	}
	return errs.New(k, "%s", r.GetText())
}

func unavailable(why string) error {
	return errs.New(errs.Unavailable, "%s; try again in %s", why, RetryAfter)
}

// WaitRevision returns when the view is complete to a revision, or with ctx's error.
func (c *Config) WaitRevision(ctx context.Context, revision uint64) error {
	for {
		c.mu.Lock()
		cut := c.mu.cut
		c.mu.Unlock()
		if c.revision.Load() >= revision {
			return nil
		}
		select {
		case <-cut:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
