package api

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/identity"
	"github.com/dark-ecosystem/dark/internal/errs"
)

const (
	// recheckEvery is how often a stream asks again whether its caller may have it: it
	// ends within five seconds of what allowed it (two, what a look takes, and endTime).
	recheckEvery = 2 * time.Second
	// endTime is how long a handler has to end by itself.
	endTime = time.Second
)

// whileAllowed runs the handler of a stream for as long as its caller may have it. A
// handler that hangs in a read or a write is left: gRPC ends those when the call returns.
func (s *Server) whileAllowed(g *guarded, handler func() error) error {
	asked := askedOf(g.ctx)
	ctx, stop := context.WithCancelCause(g.ctx)
	defer stop(nil)
	g.ctx = ctx
	done, ended := make(chan error, 1), make(chan struct{})
	s.streams.Add(1)
	go func() {
		defer s.streams.Done()
		defer close(ended)
		done <- caught(handler)
	}()
	tick := time.NewTicker(s.recheck)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if p := (panicked{}); errors.As(err, &p) {
				panic(p)
			}
			return err
		case <-tick.C:
		}
		err := s.mayStill(ctx, g, asked)
		if err == nil {
			continue
		}
		stop(err)
		select {
		case <-ended:
		case <-time.After(endTime):
		}
		return err
	}
}

// panicked is a panic of a handler, with where it was.
type panicked struct{ text string }

func (p panicked) Error() string { return p.text }

func caught(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicked{fmt.Sprintf("%v\n%s", p, debug.Stack())}
		}
	}()
	return f()
}

// mayStill asks whether the caller of a stream is still who it was, and may do what it did.
// What cannot be found out at the moment ends no stream, but for a control node that is out
// of contact: what was ended elsewhere it will not learn.
func (s *Server) mayStill(ctx context.Context, g *guarded, before asked) error {
	ctx, cancel := context.WithTimeout(ctx, recheckEvery)
	defer cancel()
	md, _ := metadata.FromIncomingContext(ctx)
	if _, local := s.local(ctx, md); !local {
		if err := s.contact(ctx); err != nil {
			return err
		}
	}
	now, err := s.caller(ctx, md)
	switch {
	case err == nil:
		return s.allowsStill(ctx, g, before, now)
	case errs.Is(err, errs.Unauthenticated), errs.Is(err, errs.Denied), errs.Is(err, errs.NotFound):
		return err
	}
	return nil
}

func (s *Server) allowsStill(ctx context.Context, g *guarded, before asked, now identity.Caller) error {
	now.From = before.caller.From
	if slices.Equal(now.Permissions, before.caller.Permissions) && now.Installation == before.caller.Installation {
		return nil
	}
	var first proto.Message
	if m := g.first.Load(); m != nil {
		first = *m
	}
	before.caller = now
	if g.allowed.Load() {
		if err := s.allow(identity.With(context.WithValue(ctx, askedKey{}, before), now), g.method, first); err != nil {
			return err
		}
	}
	return errs.New(errs.Unavailable, "what %s may do in organization %s has changed; call again", now.Who,
		now.Organization)
}
