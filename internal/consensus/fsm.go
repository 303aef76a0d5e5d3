package consensus

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// fsm stands between raft's apply goroutine and a Machine. It implements
// raft.BatchingFSM.
type fsm struct {
	group   string
	machine Machine
	mark    *watermark
	snaps   *snapStore
	fatal   func(error)
}

// ApplyBatch implements raft.BatchingFSM. It is given commands and memberships; the
// machine sees commands above what it has (condition (a): after a restart raft sends
// again what the machine already held).
func (f *fsm) ApplyBatch(logs []*raft.Log) []any {
	out := make([]any, len(logs))
	applied, _ := f.machine.Applied()
	cmds := make([]Command, 0, len(logs))
	at := make([]int, 0, len(logs))
	for i, e := range logs {
		if e.Type == raft.LogCommand && e.Index > applied {
			cmds = append(cmds, Command{Index: e.Index, Term: e.Term, Data: e.Data})
			at = append(at, i)
		}
	}
	if len(cmds) > 0 {
		results := f.machine.Apply(cmds)
		if len(results) != len(cmds) {
			panic(fmt.Sprintf("consensus: machine of %s gave %d results for %d commands", f.group, len(results),
				len(cmds)))
		}
		for i, r := range results {
			out[at[i]] = r
		}
	}
	f.mark.raise(logs[len(logs)-1].Index)
	return out
}

// Apply implements raft.FSM.
func (f *fsm) Apply(e *raft.Log) any { return f.ApplyBatch([]*raft.Log{e})[0] }

// Snapshot implements raft.FSM. The checkpoint is made here, between two batches: hard
// links, and the flush of what was not flushed yet. Reading it for the checksums is
// left to Persist, which runs beside the apply goroutine.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	temp := f.snaps.newTemp()
	if err := f.snaps.fs.MkdirAll(temp, 0o700); err != nil {
		return nil, err
	}
	s := &checkpoint{snaps: f.snaps, temp: temp}
	s.applied, _ = f.machine.Applied()
	if err := f.machine.Checkpoint(f.snaps.fs, f.snaps.fs.PathJoin(temp, "data")); err != nil {
		return nil, errors.Join(fmt.Errorf("checkpoint of %s: %w", f.group, err), f.snaps.fs.RemoveAll(temp))
	}
	return s, nil
}

// Restore implements raft.FSM, for a snapshot that another member sent: raft stored
// it, and opens it. Its files are checked where they lie and handed to the machine.
func (f *fsm) Restore(rc io.ReadCloser) error {
	if w, ok := rc.(raft.ReadCloserWrapper); ok {
		rc = w.WrappedReadCloser()
	}
	r, ok := rc.(*snapReader)
	if !ok {
		return fmt.Errorf("restore of %s: %T is no snapshot of our store", f.group, rc)
	}
	if err := f.restore(r.id, r.m); err != nil {
		// The log was not compacted yet, but raft would go on with a machine that is
		// not where it thinks.
		err = fmt.Errorf("restore of %s: %w", f.group, err)
		f.fatal(err)
		return err
	}
	return nil
}

func (f *fsm) restore(id string, m *manifest) error {
	applied, _ := f.machine.Applied()
	if applied < m.Applied {
		if err := f.snaps.verify(id, m); err != nil {
			return err
		}
		if err := f.machine.Restore(f.snaps.fs, f.snaps.dataDir(id)); err != nil {
			return err
		}
		if applied, _ = f.machine.Applied(); applied != m.Applied {
			return fmt.Errorf("snapshot %s should bring the machine to %d and brought it to %d", id, m.Applied, applied)
		}
	}
	f.mark.raise(m.Index)
	return nil
}

// checkpoint is a raft.FSMSnapshot whose files are on the disk already.
type checkpoint struct {
	snaps   *snapStore
	temp    string
	applied uint64
	adopted bool
}

// Persist implements raft.FSMSnapshot.
func (c *checkpoint) Persist(sink raft.SnapshotSink) error {
	k, ok := sink.(*snapSink)
	if !ok {
		return fmt.Errorf("persist: %T is no sink of our store", sink)
	}
	c.adopted = true
	return k.adopt(c.temp, c.applied)
}

// Release implements raft.FSMSnapshot.
func (c *checkpoint) Release() {
	if !c.adopted {
		_ = c.snaps.fs.RemoveAll(c.temp)
	}
}
