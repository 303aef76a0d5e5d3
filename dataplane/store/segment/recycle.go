package segment

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// retryAfter is how long the preparer waits after an error, such as a full disk.
const retryAfter = 5 * time.Second

// fillStep is how much is filled with zeros at a time.
const fillStep = 1 << 20

func (f *Files) name(number uint32) string {
	return f.opt.FS.PathJoin(f.opt.Dir, fmt.Sprintf("%08d.seg", number))
}

// prepare recycles dead segments and fills spare ones until Close.
func (f *Files) prepare() {
	retry := time.NewTimer(0)
	defer retry.Stop()
	turn := time.NewTicker(demandWindow)
	defer turn.Stop()
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-f.wake:
		case <-retry.C:
		case <-turn.C: // more may be ready than is still needed
		}
		if err := f.prepareAll(); err != nil && f.ctx.Err() == nil {
			f.opt.Logger.Warn("no spare segment", "dir", f.opt.Dir, "error", err)
			retry.Reset(retryAfter)
		}
	}
}

func (f *Files) prepareAll() error {
	for {
		more, err := f.prepareOne()
		if err != nil || !more {
			return err
		}
	}
}

// prepareOne recycles one segment, or adds a spare one.
func (f *Files) prepareOne() (more bool, err error) {
	if f.Err() != nil || f.ctx.Err() != nil {
		return false, nil
	}
	if more, err = f.recycleOne(true); more || err != nil {
		return more, err
	}
	if s := f.takeSurplus(); s != nil {
		return true, f.remove(s)
	}
	if !f.wantsSpare() {
		return false, nil
	}
	size, err := f.newSize(false)
	if err != nil {
		return false, fmt.Errorf("create a segment: %w", err)
	}
	s, err := f.createSegment(size, true)
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.ready = append(f.mu.ready, s)
	return true, nil
}

// wantsSpare says whether a new segment is to be made ahead of need.
func (f *Files) wantsSpare() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.resumed && len(f.mu.ready) < f.opt.Spare
}

// recycleOne makes an empty segment that nobody reads ready again, or removes it where
// there are enough. In the background, one that was never filled is. The caller holds
// growing.
func (f *Files) recycleOne(background bool) (bool, error) {
	s, surplus := f.takeEmpty(background)
	if s == nil {
		return false, nil
	}
	if surplus {
		return true, f.remove(s)
	}
	err := f.renew(s, background)
	f.mu.Lock()
	defer f.mu.Unlock()
	s.unlock()
	if err != nil {
		f.mu.empty = append(f.mu.empty, s)
		return false, fmt.Errorf("recycle segment %d: %w", s.number, err)
	}
	s.reset()
	s.state = ready
	f.mu.ready = append(f.mu.ready, s)
	return true, nil
}

// takeEmpty takes an empty segment out and locks it against pins.
func (f *Files) takeEmpty(background bool) (s *segment, surplus bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, e := range f.mu.empty {
		if e.lock() {
			f.mu.empty = append(f.mu.empty[:i], f.mu.empty[i+1:]...)
			return e, background && len(f.mu.ready) >= f.keepLocked()
		}
	}
	return nil, false
}

// renew gives a segment its next generation, durably, before anything is written to it:
// after a crash in between, what it held still has the old one and nothing needs it. Refs
// are stale from the first octet on, also where an error ends it.
func (f *Files) renew(s *segment, fill bool) error {
	s.generation.Add(1)
	if fill && !s.filled {
		if err := f.fill(s.file, s.size); err != nil {
			return err
		}
		s.filled = true
	}
	var first [page]byte
	s.identity().put(first[:])
	if _, err := s.file.WriteAt(first[:], 0); err != nil {
		return err
	}
	return f.syncFile(s)
}

// remove deletes a locked segment, to which no ref leads any more.
func (f *Files) remove(s *segment) error {
	f.leave(s)
	_ = s.file.Close()
	if err := f.opt.FS.Remove(f.name(s.number)); err != nil {
		return fmt.Errorf("remove segment %d: %w", s.number, err)
	}
	// Unsynced: should the file come back, nothing needs what it holds.
	return nil
}

// GiveBack removes a segment that holds nothing, ready or not yet, so that others have its
// space, and says whether there was one.
func (f *Files) GiveBack() (bool, error) {
	select {
	case f.growing <- struct{}{}:
	case <-f.ctx.Done():
		return false, ErrClosed
	}
	defer func() { <-f.growing }()
	s := f.takeReady()
	if s == nil {
		s, _ = f.takeEmpty(false)
	}
	if s == nil {
		return false, nil
	}
	return true, f.remove(s)
}

func (f *Files) takeReady() *segment {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.mu.ready)
	if n == 0 || !f.mu.ready[n-1].lock() {
		return nil
	}
	s := f.mu.ready[n-1]
	f.mu.ready = f.mu.ready[:n-1]
	return s
}

// createSegment makes a new segment file. It gets its name when all of it is durable, so
// that a .seg file without a good header is a damaged one.
func (f *Files) createSegment(size int64, fill bool) (*segment, error) {
	d := identity{number: f.takeNumber(), generation: firstGeneration(), size: size, filled: fill}
	file, err := f.createFile(d)
	if err != nil {
		return nil, fmt.Errorf("create segment %d: %w", d.number, err)
	}
	s := newSegment(file, d)
	s.state = ready
	f.enter(s)
	return s, nil
}

func (f *Files) takeNumber() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.next++
	return f.mu.next - 1
}

func (f *Files) createFile(d identity) (vfs.File, error) {
	name := f.name(d.number)
	file, err := f.opt.FS.Create(name+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	if err = f.initFile(file, d); err == nil {
		err = f.opt.FS.Rename(name+".tmp", name)
	}
	if err != nil {
		_ = file.Close()
		_ = f.opt.FS.Remove(name + ".tmp")
		return nil, err
	}
	if err := f.dir.Sync(); err != nil {
		_ = file.Close()
		return nil, f.fail(fmt.Errorf("sync directory: %w", err))
	}
	return file, nil
}

// initFile takes the space, so that a full disk is found here and not at a sync, and
// writes the first page and the last.
func (f *Files) initFile(file vfs.File, d identity) error {
	if err := file.Preallocate(0, d.size); err != nil && !errors.Is(err, syscall.EOPNOTSUPP) {
		return err
	}
	if d.filled {
		if err := f.fill(file, d.size); err != nil {
			return err
		}
	}
	var p [page]byte
	if _, err := file.WriteAt(p[:], d.size-page); err != nil {
		return err
	}
	d.put(p[:])
	if _, err := file.WriteAt(p[:], 0); err != nil {
		return err
	}
	err := file.Sync()
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		return f.fail(err)
	}
	return err
}

// fill writes zeros behind the first page.
func (f *Files) fill(file vfs.File, size int64) error {
	zeros := make([]byte, min(fillStep, size))
	budget := NewBudget(f.opt.FillRate)
	for at := int64(page); at < size; {
		n := min(fillStep, size-at)
		if err := budget.Take(f.ctx, n); err != nil {
			return err
		}
		if _, err := file.WriteAt(zeros[:n], at); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// firstGeneration is random, with room to count up.
func firstGeneration() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])>>2 + 1
}
