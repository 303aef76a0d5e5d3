package controlplane

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dark-ecosystem/dark/internal/consensus"
	"github.com/dark-ecosystem/dark/internal/errs"
)

const (
	// contactTime is how long a control node believes credentials without knowing a leader.
	// A key that was ended elsewhere meanwhile is refused here no later than that.
	contactTime  = 5 * time.Second
	contactEvery = 250 * time.Millisecond // how often a control node looks whether it knows a leader
)

var errRemovedHere = errors.New("this control node was removed from its cluster")

// contact remembers since when no leader was known. At the start none was: a key may have
// been ended while this node was down.
type contact struct {
	mu struct {
		sync.Mutex
		began, led time.Time // the first look, and the last one that found a leader
		caughtUp   bool      // it has read what was true, since it was out of contact last
	}
}

// look notes whether a leader is known now, says for how long none was, and whether one
// ever was since the start.
func (c *contact) look(now time.Time, led bool) (silent time.Duration, ever bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.began.IsZero() {
		c.mu.began = now
	}
	if c.mu.led.IsZero() || now.Sub(c.mu.led) >= contactTime {
		c.mu.caughtUp = false
	}
	if led {
		c.mu.led = now
	}
	if c.mu.led.IsZero() {
		return now.Sub(c.mu.began), false
	}
	return now.Sub(c.mu.led), true
}

func (c *contact) hasCaughtUp() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.caughtUp
}

func (c *contact) catchUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.caughtUp = true
}

// inContact says why no bearer credential can be judged here; nil while a leader is known,
// or was less than contactTime ago. After a start it waits for the first leader. Callers on
// the break-glass socket are not asked for a credential, and go on.
func (n *Node) inContact(ctx context.Context) error {
	for {
		if n.removed() {
			return errs.New(errs.Unavailable, "%v: %s", errRemovedHere, removedHere)
		}
		_, _, led := n.core.group.Leader()
		silent, ever := n.contact.look(time.Now(), led)
		switch {
		case silent >= contactTime:
			return errs.New(errs.Unavailable, "this control node has known no leader for %d s, and cannot know which "+
				"keys were ended meanwhile; ask another control node, or use this one's socket (dark --addr "+
				"unix://DIR/control.sock)", int(silent.Seconds()))
		case led && !n.contact.hasCaughtUp():
			// What was ended while this node was away it has not carried out yet, perhaps.
			if err := n.core.log.Current(ctx); err != nil {
				return err
			}
			n.contact.catchUp()
			return nil
		case ever && n.contact.hasCaughtUp():
			return nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return errs.Wrap(errs.Unavailable, ctx.Err(), "this control node has just started and knows no leader yet")
		}
	}
}

// removed reports whether this member has carried out its own removal.
func (n *Node) removed() bool {
	if _, _, led := n.core.group.Leader(); led {
		return false
	}
	servers, err := n.core.group.Members()
	all := make([]member, len(servers))
	for i, s := range servers {
		all[i] = member{Server: s}
	}
	return err == nil && without(all, consensus.ServerID(n.core.self.ServerID))
}

// watchContact looks for a leader until ctx ends. When it finds that this node was removed it
// ends the connections of edges, which then go to another control node.
func (n *Node) watchContact(ctx context.Context) {
	every(ctx, contactEvery, func(context.Context) {
		_, _, led := n.core.group.Leader()
		n.contact.look(time.Now(), led)
		if n.removed() {
			n.feed.Recheck(nil)
		}
	})
}
