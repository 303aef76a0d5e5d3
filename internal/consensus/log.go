package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"
)

// groupLog is raft's LogStore and StableStore for one group. Every write is one synced
// commit in the shared Pebble followed by one synced claim in the side file.
type groupLog struct {
	db     *logDB
	number uint32
	name   string

	mu struct {
		sync.Mutex
		side        *sideFile
		first, last uint64 // zeros when the log is empty
		stable      uint64 // writes to the stable store so far
		// The newest snapshot, for two things raft does after installing one: see
		// GetLog and DeleteRange.
		snapIndex, snapTerm uint64
	}
}

func openGroupLog(db *logDB, fsys vfs.FS, sideDir, name string) (*groupLog, error) {
	number, err := db.group(name)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", name, err)
	}
	l := &groupLog{db: db, number: number, name: name}
	if err := l.load(); err != nil {
		return nil, err
	}
	fresh := l.mu.last == 0 && l.mu.stable == 0
	if l.mu.side, err = openSide(fsys, sideDir, name, fresh); err != nil {
		return nil, err
	}
	if err := l.check(); err != nil {
		return nil, errors.Join(err, l.mu.side.close())
	}
	return l, nil
}

// load finds where the log begins and ends.
func (l *groupLog) load() error {
	it, err := l.db.db.NewIter(&pebble.IterOptions{LowerBound: l.logKey(0), UpperBound: l.logKey(1<<64 - 1)})
	if err != nil {
		return err
	}
	var first uint64
	if it.First() {
		first = indexOf(it.Key())
	}
	if it.Last() {
		l.mu.last = indexOf(it.Key())
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return l.corrupt("the log cannot be read", err)
	}
	if l.mu.first, err = l.getCounter(prefixFirst); err != nil {
		return err
	}
	if l.mu.first != first {
		return l.corrupt(fmt.Sprintf("the log begins at %d and should begin at %d", first, l.mu.first), nil)
	}
	l.mu.stable, err = l.getCounter(prefixCount)
	return err
}

// check compares what is there with what the side file says must be there.
func (l *groupLog) check() error {
	c := l.mu.side.claim
	if l.mu.stable < c.stable {
		return l.corrupt(fmt.Sprintf("the store of terms and votes was written %d times and shows %d", c.stable,
			l.mu.stable), nil)
	}
	if c.index == 0 {
		return nil
	}
	if l.mu.last < c.index {
		return l.corrupt(fmt.Sprintf("entries up to %d were acknowledged and the log ends at %d", c.index, l.mu.last),
			nil)
	}
	if c.index < l.mu.first {
		return nil
	}
	var e raft.Log
	if err := l.GetLog(c.index, &e); err != nil {
		return l.corrupt(fmt.Sprintf("entry %d", c.index), err)
	}
	if e.Term != c.term {
		return l.corrupt(fmt.Sprintf("entry %d has term %d and was acknowledged with term %d", c.index, e.Term, c.term),
			nil)
	}
	return nil
}

func (l *groupLog) corrupt(text string, cause error) error {
	return &CorruptError{Group: l.name, Dir: l.db.dir, Text: text, cause: cause}
}

// FirstIndex implements raft.LogStore.
func (l *groupLog) FirstIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.first, nil
}

// LastIndex implements raft.LogStore.
func (l *groupLog) LastIndex() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.last, nil
}

// IsMonotonic implements raft.MonotonicLogStore: our log has no gaps.
func (l *groupLog) IsMonotonic() bool { return true }

// GetLog implements raft.LogStore.
//
// The entry at the newest snapshot's index, where it is gone, is answered from the
// snapshot. raft asks for it when a follower had a longer log than the snapshot it
// was sent; without an answer it refuses what follows and is sent the same snapshot
// for ever.
func (l *groupLog) GetLog(index uint64, out *raft.Log) error {
	v, closer, err := l.db.db.Get(l.logKey(index))
	if errors.Is(err, pebble.ErrNotFound) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if index != 0 && index == l.mu.snapIndex {
			*out = raft.Log{Index: index, Term: l.mu.snapTerm, Type: raft.LogNoop}
			return nil
		}
		return raft.ErrLogNotFound
	}
	if err != nil {
		return err
	}
	err = decodeEntry(v, index, out)
	return errors.Join(err, closer.Close())
}

// StoreLog implements raft.LogStore.
func (l *groupLog) StoreLog(e *raft.Log) error { return l.StoreLogs([]*raft.Log{e}) }

// StoreLogs implements raft.LogStore: one synced commit for all of them.
func (l *groupLog) StoreLogs(logs []*raft.Log) error {
	return l.append(logs, nil)
}

// append stores logs and, in the same commit, what more adds to the batch.
func (l *groupLog) append(logs []*raft.Log, more func(*pebble.Batch) error) error {
	if len(logs) == 0 {
		return nil
	}
	if err := l.db.room(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.db.db.NewBatch()
	defer func() { _ = b.Close() }()
	at := l.mu.last
	for _, e := range logs {
		if at != 0 && e.Index != at+1 {
			return fmt.Errorf("group %s: entry %d cannot follow entry %d", l.name, e.Index, at)
		}
		at = e.Index
		if err := b.Set(l.logKey(e.Index), encodeEntry(e), nil); err != nil {
			return err
		}
	}
	first := l.mu.first
	if first == 0 {
		first = logs[0].Index
		if err := b.Set(l.key(prefixFirst), binary.BigEndian.AppendUint64(nil, first), nil); err != nil {
			return err
		}
	}
	if more != nil {
		if err := more(b); err != nil {
			return err
		}
	}
	if err := l.db.commit(b); err != nil {
		return err
	}
	last := logs[len(logs)-1]
	if err := l.claimLocked(last.Index, last.Term); err != nil {
		return err
	}
	l.mu.first, l.mu.last = first, last.Index
	return nil
}

func (l *groupLog) claimLocked(index, term uint64) error {
	if err := l.mu.side.write(sideClaim{index, term, l.mu.stable}); err != nil {
		return l.db.fail(err)
	}
	return nil
}

// DeleteRange implements raft.LogStore for the three deletions raft makes: the
// compaction of a prefix, the removal of a conflicting suffix, and the removal of the
// whole log after a snapshot was installed. Of the last it keeps what lies above that
// snapshot: raft goes on to believe in its last index, and those entries may be
// acknowledged ones (Raft, section 7: "retain log entries following it").
func (l *groupLog) DeleteRange(lo, hi uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lo <= l.mu.snapIndex && l.mu.snapIndex < hi {
		hi = l.mu.snapIndex
	}
	lo, hi = max(lo, l.mu.first), min(hi, l.mu.last)
	if l.mu.last == 0 || lo > hi {
		return nil
	}
	first, last := l.mu.first, l.mu.last
	switch {
	case lo == first && hi == last:
		first, last = 0, 0
	case lo == first:
		first = hi + 1
	case hi == last:
		last = lo - 1
	default:
		return fmt.Errorf("group %s: will not delete entries %d to %d from the middle of %d to %d", l.name, lo, hi,
			first, last)
	}
	if last != l.mu.last {
		if err := l.claimTailLocked(last); err != nil {
			return err
		}
	}
	return l.deleteLocked(lo, hi, first, last)
}

// claimTailLocked lowers the claim before the tail goes: the other way round, a crash
// between the two would look like loss.
func (l *groupLog) claimTailLocked(last uint64) error {
	if last == 0 {
		return l.claimLocked(0, 0)
	}
	v, err := l.db.get(l.logKey(last))
	if err != nil {
		return err
	}
	var e raft.Log
	if err := decodeEntry(v, last, &e); err != nil {
		return err
	}
	return l.claimLocked(last, e.Term)
}

func (l *groupLog) deleteLocked(lo, hi, first, last uint64) error {
	b := l.db.db.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.DeleteRange(l.logKey(lo), l.logKey(hi+1), nil); err != nil {
		return err
	}
	var err error
	if first == 0 {
		err = b.Delete(l.key(prefixFirst), nil)
	} else {
		err = b.Set(l.key(prefixFirst), binary.BigEndian.AppendUint64(nil, first), nil)
	}
	if err != nil {
		return err
	}
	if err := l.db.commit(b); err != nil {
		return err
	}
	l.mu.first, l.mu.last = first, last
	return nil
}

// setSnapshot tells the log of the newest durable snapshot.
func (l *groupLog) setSnapshot(index, term uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index >= l.mu.snapIndex {
		l.mu.snapIndex, l.mu.snapTerm = index, term
	}
}

func (l *groupLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.side.close()
}

func (l *groupLog) key(prefix byte) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefix}, l.number)
}

func (l *groupLog) logKey(index uint64) []byte {
	return binary.BigEndian.AppendUint64(l.key(prefixLog), index)
}

func indexOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

func (l *groupLog) getCounter(prefix byte) (uint64, error) {
	v, err := l.db.get(l.key(prefix))
	if err != nil || len(v) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(v), nil
}

// An entry is stored as
//
//	0 version u8 | 1 type u8 | 2 term u64 | 10 appended at, ns u64 | 18 length of extensions u32 | extensions | data
const entryHeader = 22

func encodeEntry(e *raft.Log) []byte {
	b := make([]byte, 0, entryHeader+len(e.Extensions)+len(e.Data))
	b = append(b, 1, byte(e.Type))
	b = binary.BigEndian.AppendUint64(b, e.Term)
	var at int64
	if !e.AppendedAt.IsZero() {
		at = e.AppendedAt.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Extensions)))
	b = append(b, e.Extensions...)
	return append(b, e.Data...)
}

func decodeEntry(b []byte, index uint64, out *raft.Log) error {
	if len(b) < entryHeader || b[0] != 1 {
		return fmt.Errorf("log entry %d is malformed", index)
	}
	ext := uint64(binary.BigEndian.Uint32(b[18:]))
	if ext > uint64(len(b)-entryHeader) {
		return fmt.Errorf("log entry %d is malformed", index)
	}
	*out = raft.Log{Index: index, Term: binary.BigEndian.Uint64(b[2:]), Type: raft.LogType(b[1])}
	if at := int64(binary.BigEndian.Uint64(b[10:])); at != 0 {
		out.AppendedAt = time.Unix(0, at)
	}
	rest := append([]byte(nil), b[entryHeader:]...)
	if ext > 0 {
		out.Extensions = rest[:ext:ext]
	}
	out.Data = rest[ext:]
	return nil
}
