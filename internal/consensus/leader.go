package consensus

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrReplaced is matched by the error of a call whose leader was replaced before it
// answered. It matches ErrUnknown too.
var ErrReplaced = errors.New("the leader was replaced before it answered")

// lookAgain is how often a call that waits looks whether its leader still leads.
const lookAgain = 50 * time.Millisecond

// CallLeader calls the leader as this member knows it; without one, or on it, it returns a
// *NotLeaderError. A leader that hangs (its process is stopped, its disk does not answer)
// keeps its connections: the call ends as soon as this member hears of another leader.
func (g *Group) CallLeader(ctx context.Context, method string, req []byte) ([]byte, error) {
	id, addr, ok := g.Leader()
	if !ok || id == g.node.cfg.ID {
		return nil, &NotLeaderError{}
	}
	ctx, stop := g.whileLeads(ctx, id)
	defer stop()
	b, err := g.node.Call(ctx, addr, method, req)
	if err != nil && errors.Is(context.Cause(ctx), ErrReplaced) && errors.Is(err, context.Canceled) {
		return nil, unknown(ErrReplaced)
	}
	return b, err
}

// whileLeads is a context that ends when another member than id is known to lead.
func (g *Group) whileLeads(ctx context.Context, id ServerID) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var look struct {
		sync.Mutex
		timer *time.Timer
		ended bool
	}
	look.Lock()
	defer look.Unlock()
	look.timer = time.AfterFunc(lookAgain, func() {
		if now, _, ok := g.Leader(); ok && now != id {
			cancel(ErrReplaced)
			return
		}
		look.Lock()
		defer look.Unlock()
		if !look.ended {
			look.timer.Reset(lookAgain)
		}
	})
	return ctx, func() {
		look.Lock()
		defer look.Unlock()
		look.ended = true
		look.timer.Stop()
		cancel(nil)
	}
}
