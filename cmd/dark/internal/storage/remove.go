package storage

import (
	"context"
	"errors"
	"iter"

	"github.com/minio/minio-go/v7"
)

// removedAtOnce is how many keys a request may name (API reference, DeleteObjects).
const removedAtOnce = 1000

// errUntold is for a key of which the answer to a DeleteObjects says nothing.
var errUntold = errors.New("the endpoint does not say whether it was removed")

// removals makes tasks that remove objects of one bucket, each with one request.
func (e *engine) removals(all iter.Seq2[entry, error], dryRun bool) iter.Seq2[task, error] {
	return func(yield func(task, error) bool) {
		var batch []entry
		for x, err := range all {
			if err != nil {
				yield(task{}, err)
				return
			}
			if batch = append(batch, x); len(batch) == removedAtOnce {
				if !yield(e.removal(batch, dryRun), nil) {
					return
				}
				batch = nil
			}
		}
		if len(batch) > 0 {
			yield(e.removal(batch, dryRun), nil)
		}
	}
}

func (e *engine) removal(batch []entry, dryRun bool) task {
	return task{each: func(ctx context.Context) iter.Seq2[Item, error] {
		return func(yield func(Item, error) bool) {
			var told map[string]error
			if !dryRun {
				told = e.removeAll(ctx, batch)
			}
			for _, x := range batch {
				i := Item{Action: "remove", Source: x.at.String(), Bytes: x.size, ETag: x.etag, DryRun: dryRun}
				err, ok := told[x.at.key]
				if !ok && !dryRun {
					err = errUntold
				}
				if !yield(i, err) {
					return
				}
			}
		}
	}}
}

// removeAll says of each key what became of it.
func (e *engine) removeAll(ctx context.Context, batch []entry) map[string]error {
	told := make(map[string]error, len(batch))
	all := func(yield func(minio.ObjectInfo) bool) {
		for _, x := range batch {
			if !yield(minio.ObjectInfo{Key: x.at.key}) {
				return
			}
		}
	}
	err := e.acquire(ctx)
	if err == nil {
		defer e.release()
		var results iter.Seq[minio.RemoveObjectResult]
		results, err = e.RemoveObjectsWithIter(ctx, batch[0].at.bucket, all, minio.RemoveObjectsOptions{})
		if err == nil {
			for x := range results {
				if told[x.ObjectName] = x.Err; x.ObjectName == "" {
					err = x.Err // an answer that cannot be read
				}
			}
		}
	}
	if err != nil {
		for _, x := range batch {
			if _, ok := told[x.at.key]; !ok {
				told[x.at.key] = err
			}
		}
	}
	return told
}
