package config

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// errStopped ends the making of a spare when the store is closed.
var errStopped = errors.New("the configuration is being closed")

// mirrorLocked writes a commit to the spare, or keeps it for the one being made.
func (s *store) mirrorLocked(repr []byte, urgent bool) {
	if s.mu.spare == nil {
		s.mu.bytes += len(repr)
		if s.mu.bytes <= maxBacklog {
			s.mu.backlog = append(s.mu.backlog, repr)
		}
		return
	}
	if err := s.mu.spare.fault(); err != nil {
		s.dropSpareLocked(err)
		return
	}
	s.mu.since++
	opts := pebble.NoSync
	if urgent || s.mu.since >= spareCommits || time.Since(s.mu.synced) > spareEvery {
		opts, s.mu.since, s.mu.synced = pebble.Sync, 0, time.Now()
	}
	if err := s.mu.spare.apply(repr, opts); err != nil {
		s.dropSpareLocked(err)
	}
}

// good is how many generations are whole: the live one, unless it was lost, and the spare.
func (s *store) good() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if !s.lost.Load() {
		n++
	}
	if s.mu.spare != nil {
		n++
	}
	return n
}

// verifySpare looks at every checksum of the spare, in the background of a start.
func (s *store) verifySpare(g *generation) {
	err := g.verify(s.stop)
	g.reading.Done()
	if err == nil || errors.Is(err, errStopped) {
		return
	}
	g.damaged(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.spare == g {
		s.dropSpareLocked(err)
	}
}

// dropSpareLocked gives up a spare that failed and begins another.
func (s *store) dropSpareLocked(err error) {
	old := s.mu.spare
	s.damages.Add(1)
	s.log.Error("config: the spare generation failed and is made anew", "generation", old.name, "error", err)
	s.mu.spare = nil
	s.startSpareLocked(old)
}

// respare begins a spare where none could be made for want of space.
func (s *store) respare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.spare == nil && !s.mu.making {
		s.startSpareLocked(nil)
	}
}

// startSpareLocked makes a spare in a goroutine, which first closes an old one. From here
// on commits are kept for it.
func (s *store) startSpareLocked(old *generation) {
	s.mu.backlog, s.mu.bytes, s.mu.making = nil, 0, true
	from, name, seq := s.live.db.NewSnapshot(), otherName(s.live.name), s.mu.seq
	s.work.Go(func() {
		if err := old.close(); err != nil {
			s.log.Warn("config: close the failed generation", "error", err)
		}
		g, err := s.makeSpare(name, from, seq)
		s.mu.Lock()
		s.mu.making = false
		s.mu.Unlock()
		if err != nil && !errors.Is(err, errStopped) {
			s.log.Error("config: no spare generation could be made; the next start, or space on a full disk, tries "+
				"again", "error", err)
		}
		if err == nil {
			s.log.Info("config: a spare generation was made", "generation", g.name)
		}
	})
}

// otherName is the name of the other generation.
func otherName(name string) string {
	if name == "a" {
		return "b"
	}
	return "a"
}

// makeSpare copies a snapshot of the live generation and then what was committed since.
// The number of the last commit is written when the copy is complete, so that one that
// was interrupted is never served.
func (s *store) makeSpare(name string, from *pebble.Snapshot, seq uint64) (*generation, error) {
	g, err := s.emptySpare(name)
	if err != nil {
		return nil, errors.Join(err, from.Close())
	}
	var parts uint64
	err = guard(func() (err error) {
		parts, err = s.copyAll(g.db, from)
		return err
	})
	err = errors.Join(err, from.Close())
	if err == nil {
		err = s.finish(g, seq, parts)
	}
	if err == nil {
		err = s.adopt(g)
	}
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (s *store) emptySpare(name string) (*generation, error) {
	select {
	case <-s.stop:
		return nil, errStopped
	default:
	}
	if s.full() {
		return nil, errFull
	}
	if err := errors.Join(s.fs.RemoveAll(s.path(name)), syncDir(s.fs, s.dir)); err != nil {
		return nil, err
	}
	return s.openGeneration(name, true)
}

// copyAll copies all of one database into an empty one, in parts of a mebibyte, each with
// a mark.
func (s *store) copyAll(to *pebble.DB, from *pebble.Snapshot) (parts uint64, err error) {
	b := to.NewBatch()
	defer func() { b.Close() }()
	put := func(opts *pebble.WriteOptions) error {
		parts++
		return errors.Join(b.Set(partKey(parts), nil, nil), b.Commit(opts))
	}
	err = scan(from, nil, func(key, value []byte) error {
		if bytes.Equal(key, keySeq) || bytes.Equal(key, keyParts) || key[0] == spacePart {
			return nil
		}
		if err := b.Set(key, value, nil); err != nil || b.Len() < 1<<20 {
			return err
		}
		if err := put(pebble.NoSync); err != nil {
			return err
		}
		b.Close()
		b = to.NewBatch()
		select {
		case <-s.stop:
			return errStopped
		default:
			return nil
		}
	})
	if err != nil {
		return 0, err
	}
	err = put(pebble.Sync)
	return parts, err
}

// finish makes a copy one that a start may choose.
func (s *store) finish(g *generation, seq, parts uint64) (err error) {
	if g.marked, err = getNumber(g.db, keyMarked); err != nil {
		return err
	}
	g.parts = parts
	b := g.db.NewBatch()
	defer b.Close()
	return errors.Join(syncDir(s.fs, s.dir), b.Set(keyParts, number(parts), nil), b.Set(keySeq, number(seq), nil),
		b.Commit(pebble.Sync))
}

// adopt applies what was committed meanwhile and makes g the spare.
func (s *store) adopt(g *generation) error {
	for {
		s.mu.Lock()
		if s.mu.bytes > maxBacklog {
			s.mu.Unlock()
			return fmt.Errorf("more than %d octets were committed while it was made", maxBacklog)
		}
		todo := s.mu.backlog
		s.mu.backlog, s.mu.bytes = nil, 0
		if len(todo) == 0 {
			s.mu.spare = g
			s.mu.restored++
			s.mu.synced = time.Time{}
			s.mu.Unlock()
			return nil
		}
		s.mu.Unlock()
		for _, repr := range todo {
			if wait := g.busy(markSpare); wait != nil {
				select {
				case <-wait:
				case <-s.stop:
					return errStopped
				}
			}
			if err := g.apply(repr, pebble.NoSync); err != nil {
				return err
			}
		}
	}
}
