package consensus

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// watermark is the highest index such that the machine has finished every command at
// or below it. raft does not tell: its AppliedIndex is what it sent towards the
// machine, and no-ops and barriers never get there. So it rises in three ways:
//
//   - ApplyBatch has returned: all up to the last entry of the batch is finished, since
//     batches come in log order and commands are never left out.
//   - A snapshot was restored, or taken at an index the apply goroutine had reached.
//   - Somebody waits for an index above it: from the mark upwards, entries at or below
//     raft's commit index that are no commands are stepped over, until a command (which
//     must come through ApplyBatch) or the commit index. Committed entries never change,
//     so looking them up in the log is sound; above the commit index an entry could
//     still be replaced by another, so there nothing is concluded. An entry that is
//     not in the log any more is covered by a snapshot, which is the second way.
//
// The commit index of a follower rises without telling anyone, so while somebody waits
// one goroutine looks every millisecond; with nobody waiting there is none.
type watermark struct {
	commit func() uint64
	entry  func(uint64, *raft.Log) error

	mu struct {
		sync.Mutex
		at      uint64
		changed chan struct{} // closed when at rises
		waiters int
		pumping bool
		closed  bool
	}
	pumps sync.WaitGroup
	done  chan struct{} // closed by close
}

func newWatermark(at uint64, commit func() uint64, entry func(uint64, *raft.Log) error) *watermark {
	w := &watermark{commit: commit, entry: entry, done: make(chan struct{})}
	w.mu.at, w.mu.changed = at, make(chan struct{})
	return w
}

// raise notes that everything up to index is finished.
func (w *watermark) raise(index uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index > w.mu.at {
		w.mu.at = index
		close(w.mu.changed)
		w.mu.changed = make(chan struct{})
	}
}

func (w *watermark) load() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mu.at
}

// step steps over committed entries that are no commands and returns where it is.
func (w *watermark) step() uint64 {
	from, commit := w.load(), w.commit()
	at := from
	for ; at < commit; at++ {
		var e raft.Log
		if err := w.entry(at+1, &e); err != nil || e.Type == raft.LogCommand {
			break
		}
	}
	if at > from {
		w.raise(at)
	}
	return w.load()
}

// wait returns when the mark is at or above index.
func (w *watermark) wait(ctx context.Context, index uint64) error {
	if w.load() >= index || w.step() >= index {
		return nil
	}
	if err := w.join(); err != nil {
		return err
	}
	defer w.leave()
	for {
		w.mu.Lock()
		at, changed := w.mu.at, w.mu.changed
		w.mu.Unlock()
		if at >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-w.done:
			return ErrClosed
		}
	}
}

func (w *watermark) join() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mu.closed {
		return ErrClosed
	}
	w.mu.waiters++
	if !w.mu.pumping {
		w.mu.pumping = true
		w.pumps.Go(w.pump)
	}
	return nil
}

func (w *watermark) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.waiters--
}

func (w *watermark) pump() {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		w.step()
		select {
		case <-tick.C:
		case <-w.done:
			return
		}
		w.mu.Lock()
		if w.mu.waiters == 0 {
			w.mu.pumping = false
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
	}
}

// close wakes the waiters and waits for the pump.
func (w *watermark) close() {
	w.mu.Lock()
	if !w.mu.closed {
		w.mu.closed = true
		close(w.done)
	}
	w.mu.Unlock()
	w.pumps.Wait()
}
