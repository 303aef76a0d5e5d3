package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// catchUp sends everything that the edge lacks up to the ring's tip, then a Progress,
// and returns where to go on in the ring.
func (c *conn) catchUp(ctx context.Context) (cursor uint64, err error) {
	tip := c.s.hub.tip(c.streams)
	for _, s := range c.streams {
		if err := c.catchUpStream(ctx, s, max(tip.revision, tip.streams[s])); err != nil {
			return 0, err
		}
	}
	return tip.end, c.progress(tip.revision, tip.at)
}

// catchUpStream sends frames while they are kept, else a snapshot. What is past the
// tip comes by the ring: it may still be the canary's.
func (c *conn) catchUpStream(ctx context.Context, stream string, to uint64) error {
	head, part, hash, ok := c.s.o.Source.Head(stream)
	at, known := c.at[stream]
	switch {
	case !known && c.fewFrames(stream):
		return c.frames(ctx, stream, to)
	case !ok && at.revision == 0:
		return nil
	case !ok, (frame.Position{Revision: head, Part: part}).Before(at.revision, at.part):
		return c.away("behind")
	case at.revision == 0:
		return c.snapshot(ctx, stream)
	case at.revision == head && at.part == part:
		if len(at.hash) > 0 && !bytes.Equal(at.hash, hash) {
			return c.snapshot(ctx, stream) // another history than ours
		}
		return nil
	}
	return c.frames(ctx, stream, to)
}

// fewFrames reports whether a stream is best sent from its first frame: a new stream
// reaches every edge at the same moment, more than there may be snapshots.
func (c *conn) fewFrames(stream string) bool {
	const few = 16
	frames, err := c.s.o.Source.Frames(stream, 0, 0, few+1)
	return err == nil && len(frames) <= few
}

func (c *conn) frames(ctx context.Context, stream string, to uint64) error {
	for {
		at := c.at[stream]
		frames, err := c.s.o.Source.Frames(stream, at.revision, at.part, 16)
		if errors.Is(err, ErrCompacted) {
			return c.snapshot(ctx, stream)
		}
		if err != nil {
			return fmt.Errorf("read frames of %s after revision %d: %w", stream, at.revision, err)
		}
		for _, f := range frames {
			if f.Revision > to {
				return nil
			}
			if err := c.interlude(ctx); err != nil {
				return err
			}
			c.at[stream] = position{f.Revision, f.Part, f.Hash}
			if err := c.frame(frame.AppendFrame(nil, f.Data)); err != nil {
				return err
			}
		}
		if len(frames) == 0 {
			return nil
		}
	}
}

// interlude sends answers that wait while much is being sent.
func (c *conn) interlude(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case m := <-c.out:
			if err := c.write(m); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// away tells the edge to go elsewhere or come later.
func (c *conn) away(reason string) error {
	c.s.turnedAway.Add(1)
	published, _ := c.s.o.Source.Published()
	b := &feedv1.Behind{Revision: published, RetryAfterMs: uint32(c.s.o.RetryAfter.Milliseconds()), Reason: reason}
	if err := c.write(&feedv1.Down{Message: &feedv1.Down_Behind{Behind: b}}); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s", errAway, reason)
}

// snapshot sends a stream's whole content, if one more may be sent at this time.
func (c *conn) snapshot(ctx context.Context, stream string) error {
	if !c.slot(ctx) {
		return c.away("busy")
	}
	defer func() { <-c.s.snapshots }()
	// A publication in parts may be under way: its middle is better not seen.
	if head, _, _, _ := c.s.o.Source.Head(stream); head > 0 {
		whole, cancel := context.WithTimeout(ctx, c.s.o.RetryAfter)
		_ = c.s.o.Source.WaitPublished(whole, head-1)
		cancel()
	}
	for range 8 {
		done, err := c.trySnapshot(ctx, stream)
		if err != nil {
			return fmt.Errorf("snapshot of %s: %w", stream, err)
		}
		if done {
			c.s.snapshotsSent.Add(1)
			return nil
		}
	}
	return c.away("busy")
}

// slot waits a while for the right to send a snapshot: most take less.
func (c *conn) slot(ctx context.Context) bool {
	t := time.NewTimer(c.s.o.RetryAfter)
	defer t.Stop()
	select {
	case c.s.snapshots <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	}
	return false
}

// trySnapshot sends a snapshot under the head read before it. Should the stream have
// advanced between the two, the last part is not sent, which the edge discards.
func (c *conn) trySnapshot(ctx context.Context, stream string) (done bool, err error) {
	head, part, hash, _ := c.s.o.Source.Head(stream)
	p := parts{c: c, ctx: ctx}
	cluster, epoch := c.s.o.Source.Identity()
	p.next = &feedv1.Frame{
		Cluster: cluster, Stream: stream, Epoch: epoch, Revision: head, HeadPart: part,
		HeadHash: hash, Snapshot: true,
	}
	rev, rpart, rhash, err := c.s.o.Source.Snapshot(stream, p.add)
	if err != nil {
		return false, err
	}
	if rev != head || rpart != part || !bytes.Equal(rhash, hash) {
		return false, nil
	}
	p.next.Last = true
	if err := p.flush(); err != nil {
		return false, err
	}
	c.at[stream] = position{head, part, hash}
	return true, nil
}

// parts cuts a snapshot into frames.
type parts struct {
	c    *conn
	ctx  context.Context
	next *feedv1.Frame
	size int
}

func (p *parts) add(item *feedv1.Item) error {
	n := proto.Size(item) + 8
	if p.size+n > p.c.s.o.PartBytes && p.size > 0 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.next.Items = append(p.next.Items, item)
	p.size += n
	return nil
}

func (p *parts) flush() error {
	if err := p.c.interlude(p.ctx); err != nil {
		return err
	}
	p.next.SignedAt = p.c.s.o.Clock.Now().UnixNano()
	data, _, err := p.c.s.o.Sign(p.next)
	if err != nil {
		return err
	}
	if p.next.Part == math.MaxUint32 {
		return errors.New("too many parts")
	}
	p.next.Part++
	p.next.Items, p.size = p.next.Items[:0], 0
	return p.c.frame(frame.AppendFrame(nil, data))
}
