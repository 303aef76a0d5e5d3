package storage

import (
	"context"
	"iter"
	"sync"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// task is one thing to do, and what is told of it.
type task struct {
	item Item
	do   func(context.Context) (Item, error)
	// each, in place of do, does several things in one request and yields each with what
	// became of it.
	each func(context.Context) iter.Seq2[Item, error]
}

// all does the tasks with as many workers as there are slots, and those that may wait beyond
// them, and waits for them. A task
// that fails is told of and the others go on, except where the endpoint is out of reach
// or the run was interrupted. An error of the sequence itself ends it.
func (e *engine) all(ctx context.Context, tasks iter.Seq2[task, error]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := make(chan task)
	var workers sync.WaitGroup
	for range cap(e.slots) + e.waiting {
		workers.Go(func() {
			for t := range todo {
				e.one(ctx, t)
				if e.report.down() {
					cancel()
				}
			}
		})
	}
	err := feed(ctx, todo, tasks)
	close(todo)
	workers.Wait()
	if end := e.report.end(); end != nil {
		return end
	}
	return explain(err)
}

func feed(ctx context.Context, todo chan<- task, tasks iter.Seq2[task, error]) error {
	for t, err := range tasks {
		if err != nil {
			return err
		}
		select {
		case todo <- t:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

func (e *engine) one(ctx context.Context, t task) {
	if ctx.Err() != nil {
		return
	}
	if t.each == nil {
		e.report.bar.start(t.item.Bytes)
		done, err := t.do(ctx)
		e.tell(ctx, t.item, done, err)
		return
	}
	for item, err := range t.each(ctx) {
		e.report.bar.start(item.Bytes)
		if !e.tell(ctx, item, item, err) || e.report.down() {
			return
		}
	}
}

// tell tells what became of an item, and whether the run goes on.
func (e *engine) tell(ctx context.Context, item, done Item, err error) bool {
	switch {
	case err != nil && ctx.Err() != nil: // the run ended: that is told once, by whoever ended it
		if !e.report.down() {
			e.report.failure(item, interrupted(err))
		}
		return false
	case err != nil:
		e.report.failure(item, err)
	case done.Action == "":
		e.report.unchanged()
	default:
		e.report.done(done)
	}
	return true
}

func interrupted(error) error {
	return exit.New(exit.Failed, "the same command again goes on where this one ended", "interrupted")
}
