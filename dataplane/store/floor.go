package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// floorEvery is how often the floor rises, where commands were applied.
const floorEvery = time.Second

// floor is a file of its own with an index that was durable: after a restart the rows may
// not stand below it. A log whose tail has rotted looks to Pebble like one whose tail was
// never synced, and would be cut in silence. Two slots are written by turns, so that a torn
// write leaves the other:
//
//	index (8, big endian) | XXH64 of it (8); the second slot at 512
type floor struct {
	mu struct {
		sync.Mutex
		file vfs.File
		at   uint64 // what the file says
		slot int64
	}
}

const floorSlot = 512

// openFloor refuses rows that have lost what was durable.
func (s *Store) openFloor(readOnly bool) error {
	name := s.fs.PathJoin(s.opt.Dir, "floor")
	f := &s.floor
	f.mu.Lock()
	defer f.mu.Unlock()
	index, slot, err := readFloor(s.fs, name)
	if err != nil {
		return err
	}
	if s.machine.applied < index {
		return &Damaged{What: "the rows' log in " + s.opt.Dir, Err: fmt.Errorf(
			"it ends at command %d, and command %d was durable; restore it, or remove %s to go on without what is lost", s.machine.applied, index, name)}
	}
	if readOnly {
		return nil
	}
	f.mu.at, f.mu.slot = index, slot
	if _, err := s.fs.Stat(name); err == nil {
		f.mu.file, err = s.fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
		return err
	}
	if f.mu.file, err = s.fs.Create(name, vfs.WriteCategoryUnspecified); err != nil {
		return err
	}
	return makeDir(s.fs, s.opt.Dir) // its name, too
}

// readFloor gives the greater of the two slots, and the other to be written next.
func readFloor(fs vfs.FS, name string) (index uint64, next int64, err error) {
	file, err := fs.Open(name)
	if err != nil {
		return 0, 0, nil // a new store, or people removed it
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, 2*floorSlot))
	if err != nil {
		return 0, 0, err
	}
	good := len(b) == 0
	for slot := range int64(2) {
		at := slot * floorSlot
		if int64(len(b)) < at+16 {
			continue
		}
		v := b[at : at+16]
		if xxhash.Sum64(v[:8]) != binary.BigEndian.Uint64(v[8:]) {
			continue
		}
		good = true
		if n := binary.BigEndian.Uint64(v); n >= index {
			index, next = n, 1-slot
		}
	}
	if !good {
		return 0, 0, &Damaged{What: name, Err: errors.New("both its slots are")}
	}
	return index, next, nil
}

// raiseFloor writes down what is durable.
func (s *Store) raiseFloor() error {
	f := &s.floor
	f.mu.Lock()
	defer f.mu.Unlock()
	index := s.durable.Load()
	if f.mu.file == nil || index <= f.mu.at || s.writable() != nil {
		return nil
	}
	b := binary.BigEndian.AppendUint64(nil, index)
	b = binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
	if _, err := f.mu.file.WriteAt(b, f.mu.slot*floorSlot); err != nil {
		return err
	}
	if err := f.mu.file.Sync(); err != nil {
		return s.fail(fmt.Errorf("sync the floor: %w", err))
	}
	f.mu.at, f.mu.slot = index, 1-f.mu.slot
	return nil
}

func (s *Store) closeFloor() {
	f := &s.floor
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.file != nil {
		f.mu.file.Close()
		f.mu.file = nil
	}
}

// raiseFloors raises the floor until the store is closed.
func (s *Store) raiseFloors(ctx context.Context) {
	tick := time.NewTicker(floorEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.raiseFloor(); err != nil {
				s.opt.Logger.Warn("the floor does not rise", "error", err)
			}
		}
	}
}
