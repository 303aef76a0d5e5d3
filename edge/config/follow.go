package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/edge/view"
	"github.com/dark-ecosystem/dark/internal/frame"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
)

// Reasons for ending a session that are no failure of the connection.
type (
	// refusedFrame: the control node sent what it must not; the edge stays on its view
	// and resumes from its position.
	refusedFrame struct{ reason string }
	// comeLater: the control node is behind this edge or too busy.
	comeLater struct {
		reason string
		after  time.Duration
	}
	// broken is a failure of this node's own, after which it cannot go on.
	broken struct{ error }
)

func (e refusedFrame) Error() string { return "refused a frame: " + e.reason }
func (e comeLater) Error() string    { return "told to come later: " + e.reason }
func (e broken) Unwrap() error       { return e.error }

// Run follows the feed until ctx ends, connecting again as often as needed, and hands
// every cut to sink. It returns an error only when the configuration cannot be written.
func (c *Config) Run(ctx context.Context, sink Sink) error {
	fails := 0
	for {
		if err := c.waitRoom(ctx); err != nil {
			return err
		}
		c.waitMarks(ctx)
		if ctx.Err() != nil {
			break
		}
		if err := errors.Join(c.mend(), c.purge()); err != nil {
			return broken{err}
		}
		took, err := c.follow(ctx, sink)
		var own broken
		if errors.As(err, &own) && !c.damaged(own) {
			return own
		}
		if took {
			fails = 0
		}
		if ctx.Err() != nil {
			break
		}
		level := slog.LevelDebug
		if fails == 0 {
			level = slog.LevelInfo // once, not for each attempt of a long outage
		}
		c.o.Log.Log(ctx, level, "config: the feed was interrupted", "reason", err)
		c.tellRefused(err)
		pause(ctx, c.delay(fails, err))
		fails++
	}
	return nil //nolint:nilerr // it ended because it was told to
}

// delay before connecting again: a random part of a time that doubles, so that many
// edges do not come at once; a control node that was busy has said how long.
func (c *Config) delay(fails int, err error) time.Duration {
	most := min(c.o.Retry<<min(fails, 16), c.o.RetryAt)
	var later comeLater
	if errors.As(err, &later) && later.after > 0 && fails >= len(c.addresses())-1 {
		most = min(later.after, time.Minute)
		return most/2 + rand.N(most)
	}
	return rand.N(most) + 1
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// addresses lists where control nodes may be: what they told last, then what was
// configured.
func (c *Config) addresses() []string {
	list := slices.Sorted(maps.Values(c.feeds))
	for _, a := range c.o.Feeds {
		if !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// follow is one connection; took is set when something was learnt by it.
func (c *Config) follow(ctx context.Context, sink Sink) (took bool, err error) {
	list := c.addresses()
	if len(list) == 0 {
		return false, errors.New("no address of a control node is known")
	}
	c.next++
	address := list[c.next%len(list)]
	s, err := c.connect(ctx, address)
	if err != nil {
		return false, fmt.Errorf("connect to %s: %w", address, err)
	}
	defer s.close()
	for _, st := range c.streams {
		st.snapshot = frame.Snapshot{} // an interrupted one is begun again
	}
	c.publish(s)
	defer c.publish(nil)
	err = s.run(ctx, sink)
	// What was verified is kept, also when it is no cut yet.
	if ferr := c.flush(); ferr != nil {
		return s.took, broken{ferr}
	}
	return s.took && !errors.As(err, new(refusedFrame)), err
}

func (c *Config) publish(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.session = s
}

// hello says where this edge is, by its positions alone: they come of signed frames, and the
// revision of a Progress, which nobody signed, must not make all control nodes look behind. A stream whose frames did
// not fit twice is asked for
// anew, by revision 0: the node's history may be another. One that has nothing yet is
// left out.
func (c *Config) hello() *feedv1.Hello {
	h := &feedv1.Hello{Cluster: c.o.Cluster, Epoch: c.epoch, Version: c.o.Version, Kinds: c.o.Kinds}
	for _, name := range slices.Sorted(maps.Keys(c.streams)) {
		st := c.streams[name]
		p := st.toProto(name)
		if st.doubts >= 2 {
			p = &feedv1.Position{Stream: name}
		} else if st.position.Revision == 0 {
			continue
		}
		h.Positions = append(h.Positions, p)
		h.Revision = max(h.Revision, p.GetRevision())
	}
	return h
}

// welcomed takes in what a control node says of the cluster.
func (c *Config) welcomed(w *feedv1.Welcome) error {
	if w.GetCluster() != c.o.Cluster {
		c.refuse(frame.WrongCluster.String())
		return fmt.Errorf("control node %s belongs to cluster %s, this edge to %s", w.GetNode(), w.GetCluster(),
			c.o.Cluster)
	}
	if c.epoch != 0 && w.GetEpoch() != c.epoch {
		c.refuse(frame.WrongEpoch.String())
		return fmt.Errorf("control node %s is in epoch %d, this edge in %d", w.GetNode(), w.GetEpoch(), c.epoch)
	}
	c.letIn()
	return nil
}

// writeFeeds keeps where control nodes are.
func (c *Config) writeFeeds(b *pebble.Batch) error {
	raw, err := proto.Marshal(&feedv1.Welcome{Feeds: c.feeds})
	if err != nil {
		return err
	}
	return b.Set(keyFeeds, raw, nil)
}

// own marks an error as this node's.
func (c *Config) own(err error) error {
	if err == nil {
		return nil
	}
	return broken{err}
}

// complete reports whether every stream is between two revisions, and none in a
// snapshot: only then a view may be cut.
func (c *Config) complete() bool {
	for _, st := range c.streams {
		if !st.position.Last || st.snapshot.Part > 0 {
			return false
		}
	}
	return true
}

// cut makes everything up to a revision durable and active.
func (c *Config) cut(sink Sink, revision uint64) ([]view.Refusal, time.Duration, error) {
	old := c.revision.Load()
	revision = max(revision, old)
	if c.pending.batch == nil && len(c.pending.changes) == 0 && revision == old {
		return nil, 0, nil
	}
	if c.pending.batch != nil || len(c.pending.changes) > 0 {
		b := c.open()
		if err := b.Set(keyRevision, number(revision), nil); err != nil {
			return nil, 0, broken{err}
		}
	} else if err := c.store.note(keyRevision, number(revision)); err != nil {
		return nil, 0, broken{err}
	}
	if err := c.flush(); err != nil {
		return nil, 0, broken{err}
	}
	changes, arrived := c.pending.changes, c.pending.arrived
	c.pending.changes = nil
	refused := c.activate(sink, revision, changes)
	c.revision.Store(revision)
	c.mu.Lock()
	close(c.mu.cut)
	c.mu.cut = make(chan struct{})
	c.mu.Unlock()
	if len(changes) == 0 {
		return refused, 0, nil
	}
	return refused, time.Since(arrived), nil
}

// activate hands changes to the view, or everything when it begins anew.
func (c *Config) activate(sink Sink, revision uint64, changes []view.Change) []view.Refusal {
	if c.store.lost.Load() {
		c.o.Log.Info("config: everything was told again", "records", len(changes), "revision", revision)
		if err := c.store.found(); err != nil {
			c.o.Log.Warn("config: remove the damaged generations", "error", err)
		}
	}
	if !c.replace {
		return sink.Apply(revision, changes)
	}
	c.replace = false
	return sink.Replace(revision, changes)
}
