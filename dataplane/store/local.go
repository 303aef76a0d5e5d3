package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// Log puts commands in order and applies them. In a cell of one that is a lock and a
// synced batch; in a cell of three a Raft group.
type Log interface {
	// propose returns when the command was applied and is durable, with what it came to,
	// or with what Apply said against it.
	propose(ctx context.Context, cmd *storev1.Command) (outcome, error)
	// applied is the index of the last command that was applied.
	applied() uint64
}

// localLog is the log of a cell of one. mu is held while a command is judged and put in
// Pebble's log, not while that is synced: all who wait share one sync.
type localLog struct {
	s  *Store
	mu struct {
		sync.Mutex
		machine *machine
	}
}

func newLocalLog(s *Store, m *machine) *localLog {
	l := &localLog{s: s}
	l.mu.machine = m
	return l
}

func (l *localLog) propose(ctx context.Context, cmd *storev1.Command) (outcome, error) {
	if err := ctx.Err(); err != nil {
		return outcome{}, err
	}
	if err := l.s.writable(); err != nil {
		return outcome{}, err
	}
	if l.s.control.between != nil {
		if err := l.judgeAhead(cmd); err != nil {
			return outcome{}, err
		}
		l.s.control.between()
	}
	batch, out, err := l.enter(cmd)
	if err != nil {
		return outcome{}, err
	}
	// The batch must not be closed before it was synced.
	defer batch.Close()
	if err := batch.SyncWait(); err != nil {
		return outcome{}, l.s.fail(fmt.Errorf("sync the log: %w", err))
	}
	l.s.durable.raise(out.index)
	l.s.noteFloor(out.index)
	return out, nil
}

// judgeAhead is of the control build that judges before the log and not in it.
func (l *localLog) judgeAhead(cmd *storev1.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.mu.machine.db.NewIndexedBatch()
	defer batch.Close()
	_, err := l.mu.machine.Apply(batch, l.mu.machine.applied+1, cmd)
	for _, op := range cmd.Ops {
		op.Condition = nil
	}
	return err
}

// enter judges the command and writes what it changes.
func (l *localLog) enter(cmd *storev1.Command) (batch *pebble.Batch, out outcome, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.mu.machine
	if len(cmd.Ops) > 1 {
		batch = m.db.NewIndexedBatch()
	} else {
		batch = m.db.NewBatch()
	}
	out, err = m.Apply(batch, m.applied+1, cmd)
	if err == nil {
		err = l.s.guarded(func() error { return m.db.ApplyNoSyncWait(batch, pebble.Sync) })
	}
	if err != nil {
		batch.Close()
		return nil, outcome{}, err
	}
	m.done(&out)
	return batch, out, nil
}

func (l *localLog) applied() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.machine.applied
}

// raise makes a number at least n.
func raise(to *atomic.Uint64, n uint64) {
	for at := to.Load(); at < n && !to.CompareAndSwap(at, n); at = to.Load() {
	}
}
