package feed

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/errs"
	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// read is the reader: acks, requests and renewals, until the connection ends.
func (c *conn) read(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // before the Wait
	slots := make(chan struct{}, c.s.o.Submits)
	var buf []byte
	for {
		c.tls.SetReadDeadline(time.Now().Add(c.s.o.Silence))
		msg, err := frame.ReadMsg(c.tls, buf, frame.MaxMessage)
		if err != nil {
			return fmt.Errorf("read from %s: %w", c.node, err)
		}
		buf = msg
		up, err := upIn(msg)
		if err != nil {
			return err
		}
		if err := c.take(ctx, up, slots, &work); err != nil {
			return err
		}
	}
}

func (c *conn) take(ctx context.Context, up *feedv1.Up, slots chan struct{}, work *sync.WaitGroup) error {
	switch m := up.GetMessage().(type) {
	case *feedv1.Up_Ack:
		c.acked.Store(m.Ack.GetRevision())
		c.s.nodes.ack(c.cert, m.Ack, c.s.o.Clock.Now())
		c.s.hub.ackedBy(c)
	case *feedv1.Up_Resume:
		select {
		case c.resume <- m.Resume.GetPosition():
		case <-ctx.Done():
			return ctx.Err()
		}
	case *feedv1.Up_Submit:
		return c.answer(ctx, slots, work, func() *feedv1.Down { return c.submit(ctx, m.Submit) }, func() *feedv1.Down {
			return submitted(refused(m.Submit, errs.Exhausted, "too many requests of this edge in flight, at most %d",
				c.s.o.Submits))
		})
	case *feedv1.Up_Renew:
		return c.answer(ctx, slots, work, func() *feedv1.Down { return c.renew(ctx, m.Renew) }, func() *feedv1.Down {
			return renewed(&feedv1.Renewed{Refused: "too many requests in flight"})
		})
	default:
		// A newer edge may say what this version does not know.
	}
	return nil
}

// answer runs do in a goroutine and queues its answer, or that of full when the edge
// has too much in flight.
func (c *conn) answer(ctx context.Context, slots chan struct{}, work *sync.WaitGroup, do,
	full func() *feedv1.Down,
) error {
	select {
	case slots <- struct{}{}:
	default:
		return c.queue(ctx, full())
	}
	work.Go(func() {
		defer func() { <-slots }()
		_ = c.queue(ctx, do())
	})
	return nil
}

func (c *conn) queue(ctx context.Context, m *feedv1.Down) error {
	select {
	case c.out <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *conn) submit(ctx context.Context, s *feedv1.Submit) *feedv1.Down {
	if c.s.o.Submit == nil {
		return submitted(refused(s, errs.Unavailable, "this control node takes no requests of edges"))
	}
	r := c.s.o.Submit(ctx, c.node, s)
	if r == nil {
		r = refused(s, errs.Internal, "internal error")
	}
	r.Id = s.GetId()
	return submitted(r)
}

func (c *conn) renew(ctx context.Context, r *feedv1.Renew) *feedv1.Down {
	if c.s.o.Renew == nil {
		return renewed(&feedv1.Renewed{Refused: "this control node renews no certificates"})
	}
	chain, err := c.s.o.Renew(ctx, c.peer(), r.GetCertificateRequest())
	if err != nil {
		c.s.o.Log.Warn("feed: certificate not renewed", "node", c.node, "error", err)
		return renewed(&feedv1.Renewed{Refused: err.Error()})
	}
	return renewed(&feedv1.Renewed{Certificates: chain})
}

func refused(s *feedv1.Submit, k errs.Kind, format string, args ...any) *feedv1.SubmitResult {
	return &feedv1.SubmitResult{Id: s.GetId(), Failed: true, Refusal: uint32(k), Text: fmt.Sprintf(format, args...)}
}

func submitted(r *feedv1.SubmitResult) *feedv1.Down {
	return &feedv1.Down{Message: &feedv1.Down_SubmitResult{SubmitResult: r}}
}

func renewed(r *feedv1.Renewed) *feedv1.Down {
	return &feedv1.Down{Message: &feedv1.Down_Renewed{Renewed: r}}
}
