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
}

// all does the tasks with as many workers as there are slots and waits for them. A task
// that fails is told of and the others go on, except where the endpoint is out of reach
// or the run was interrupted. An error of the sequence itself ends it.
func (e *engine) all(ctx context.Context, tasks iter.Seq2[task, error]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	todo := make(chan task)
	var workers sync.WaitGroup
	for range cap(e.slots) {
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
	e.report.bar.start(t.item.Bytes)
	done, err := t.do(ctx)
	switch {
	case err != nil && ctx.Err() != nil: // the run ended: that is told once, by whoever ended it
		if e.report.down() {
			return
		}
		e.report.failure(t.item, interrupted(err))
	case err != nil:
		e.report.failure(t.item, err)
	case done.Action == "":
		e.report.unchanged()
	default:
		e.report.done(done)
	}
}

func interrupted(error) error {
	return exit.New(exit.Failed, "the same command again goes on where this one ended", "interrupted")
}
