package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

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
	// busy: somebody is applying a command.
	busy() bool
}

// localLog is the log of a cell of one. Whose turn it is judges a command and puts it in
// Pebble's log, and passes the turn on before that is synced: all who wait share one sync.
// The turn is a channel, so that nobody waits for it without a bound: Pebble may not return
// from a write.
type localLog struct {
	s       *Store
	turn    chan struct{}
	machine *machine // of whose turn it is
	at      atomic.Uint64
}

// patience is how long a command waits for its turn, and for the rows' database to have
// room for it.
const patience = 10 * time.Second

func newLocalLog(s *Store, m *machine) *localLog {
	l := &localLog{s: s, turn: make(chan struct{}, 1), machine: m}
	l.at.Store(m.applied)
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
	if err := l.begin(ctx); err != nil {
		return outcome{}, err
	}
	batch, out, err := l.enter(cmd)
	l.end()
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
	if err := l.begin(context.Background()); err != nil {
		return err
	}
	defer l.end()
	batch := l.machine.db.NewIndexedBatch()
	defer batch.Close()
	_, err := l.machine.Apply(batch, l.machine.applied+1, cmd)
	for _, op := range cmd.Ops {
		op.Condition = nil
	}
	return err
}

// begin waits for a turn and for room in the rows' database. ErrBusy where neither comes.
func (l *localLog) begin(ctx context.Context) error {
	wait := time.NewTimer(patience)
	defer wait.Stop()
	if err := l.s.pressure.wait(ctx, wait.C); err != nil {
		return err
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return fmt.Errorf("%w: another's write has not returned", ErrBusy)
	}
}

func (l *localLog) end() { <-l.turn }

// enter judges the command and writes what it changes. It is the caller's turn.
func (l *localLog) enter(cmd *storev1.Command) (batch *pebble.Batch, out outcome, err error) {
	l.s.writes.RLock()
	defer l.s.writes.RUnlock()
	m := l.machine
	if len(cmd.Ops) > 1 {
		batch = m.db.NewIndexedBatch()
	} else {
		batch = m.db.NewBatch()
	}
	out, err = m.Apply(batch, m.applied+1, cmd)
	if err == nil {
		// Before the rows can be seen: who finds one holds it against what was applied.
		l.at.Store(out.index)
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
	return l.at.Load()
}

func (l *localLog) busy() bool { return len(l.turn) > 0 }

// raise makes a number at least n.
func raise(to *atomic.Uint64, n uint64) {
	for at := to.Load(); at < n && !to.CompareAndSwap(at, n); at = to.Load() {
	}
}
