package config

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Pebble opens a database of which an older log file is missing or empty without a word:
// the commits of that file are gone, and those after it are there. So each commit leaves a
// mark with its number, in a ring of markRing rows, and a start looks whether the marks
// before the last commit are all there. Commits further back than the ring lie in tables,
// of which Pebble misses none in silence: every flushEvery commits the logs are made into
// tables. A generation that began as a copy has a mark for each part of the copy.
//
// A disk may be too slow, or too full, to make tables for longer than the ring is. A further
// commit would then overwrite the mark of one that is in a log alone: it is refused, and before
// that the follower takes in nothing until the tables are made (waitMarks).
const (
	markRing   = 2048
	flushEvery = 512
	markSpare  = 64 // more than the commits of one message: at so many the follower waits
)

var errNoMark = errors.New("no table is made of the logs: the disk is too slow, or is full")

// markKey is the row of the ring that a commit's mark has.
func markKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint16([]byte{spaceMark}, uint16(seq%markRing))
}

// partKey is the row of the mark of a part of a copy, the first of which is 1.
func partKey(part uint64) []byte { return append([]byte{spacePart}, number(part)...) }

// number gives a commit its number in the generation, and leaves its mark.
func (g *generation) number(b *pebble.Batch, seq uint64) error {
	if g.busy(0) != nil {
		return errNoMark
	}
	if g.marked == 0 { // a new configuration, or one of an earlier version
		g.marked = seq
		if err := b.Set(keyMarked, number(seq), nil); err != nil {
			return err
		}
	}
	return errors.Join(b.Set(markKey(seq), number(seq), nil), b.Set(keySeq, number(seq), nil), g.own(b))
}

// own writes with each commit what is this generation's own, since the log that said it
// first may be the one that is lost.
func (g *generation) own(b *pebble.Batch) error { return b.Set(keyParts, number(g.parts), nil) }

// readNumber reads the number of the last commit, and looks whether a commit before it is
// missing.
func (g *generation) readNumber() (err error) {
	if g.seq, err = getNumber(g.db, keySeq); err != nil {
		return err
	}
	if g.marked, err = getNumber(g.db, keyMarked); err != nil {
		return err
	}
	if err := g.copied(); err != nil {
		return err
	}
	if g.marked == 0 { // of an earlier version, without marks; or what says where they begin is lost
		mark, err := getNumber(g.db, markKey(g.seq))
		if err == nil && mark != 0 {
			err = fmt.Errorf("%w: where the marks of commits begin is missing", errDamaged)
		}
		return err
	}
	for seq := max(g.marked, g.seq-min(g.seq, markRing-1)); seq <= g.seq; seq++ {
		mark, err := getNumber(g.db, markKey(seq))
		if err != nil {
			return err
		}
		if mark != seq {
			return fmt.Errorf("%w: commit %d of %d is missing, as when a log file was lost", errDamaged, seq, g.seq)
		}
	}
	return nil
}

// copied looks whether a part is missing of the copy that a generation began as.
func (g *generation) copied() (err error) {
	if g.parts, err = getNumber(g.db, keyParts); err != nil {
		return err
	}
	for part := uint64(1); part <= g.parts; part++ {
		_, closer, err := g.db.Get(partKey(part))
		if errors.Is(err, pebble.ErrNotFound) {
			return fmt.Errorf("%w: part %d of %d is missing, as when a log file was lost", errDamaged, part, g.parts)
		}
		if err != nil {
			return err
		}
		if err := closer.Close(); err != nil {
			return err
		}
	}
	return nil
}

// committed is called after each commit, by the goroutine that commits. It waits for
// nothing: while tables are still being made it begins no others.
func (g *generation) committed() error {
	if g.commits++; g.commits < flushEvery {
		return nil
	}
	select {
	case <-g.flushed:
	default:
		if g.flushed != nil {
			return nil
		}
	}
	g.held, g.commits = g.commits, 0
	var err error
	g.flushed, err = g.db.AsyncFlush()
	return err
}

// busy is what to wait for before a commit is made: it is closed when tables were made of the
// logs. It is nil where the ring has a free mark and so many to spare.
func (g *generation) busy(spare int) <-chan struct{} {
	select {
	case <-g.flushed:
		g.held = 0
	default:
	}
	if g.held == 0 || g.held+g.commits+spare < markRing {
		return nil
	}
	return g.flushed
}

// busy is what to wait for before a message is taken in, in either generation.
func (s *store) busy() <-chan struct{} {
	if wait := s.live.busy(markSpare); wait != nil {
		return wait
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.spare == nil {
		return nil
	}
	return s.mu.spare.busy(markSpare)
}

// marksPatience is how long tables may take before the log says that the edge waits for them.
const marksPatience = 10 * time.Second

// waitMarks returns when commits have marks again, or ctx ends. It holds no lock: what is served
// and what is said of the edge goes on.
func (c *Config) waitMarks(ctx context.Context) {
	for wait := c.store.busy(); wait != nil && ctx.Err() == nil; wait = c.store.busy() {
		late := time.NewTimer(marksPatience)
		select {
		case <-wait:
		case <-ctx.Done():
		case <-late.C:
			c.o.Log.Error("config: the edge takes in no change until its disk has written the earlier ones; it serves "+
				"what it has", "error", errNoMark)
		}
		late.Stop()
	}
}

// apply makes a commit of the other generation in this one.
func (g *generation) apply(repr []byte, opts *pebble.WriteOptions) error {
	b := g.db.NewBatch()
	defer b.Close()
	if g.busy(0) != nil {
		return errNoMark
	}
	if err := b.SetRepr(repr); err != nil {
		return err
	}
	if err := errors.Join(g.own(b), b.Commit(opts)); err != nil {
		return err
	}
	return g.committed()
}
