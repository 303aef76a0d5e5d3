package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// floorEvery is how often the floor is synced, where commands were applied.
const floorEvery = time.Second

// floor is a file of its own with an index that was durable: after a restart the rows may
// not stand below it. A log whose tail has rotted looks to Pebble like one whose tail was
// never synced, and would be cut in silence. Two slots are written by turns, so that a torn
// write leaves the other:
//
//	index (8, big endian) | XXH64 of it (8); the second slot at 512
//
// What it promises: it is written before a command is acknowledged and after that one is
// durable, so that it is exact when the process was killed or the store closed. It is
// synced once a second and not with each command, which would cost a second sync: after a
// power cut it may be up to a second behind, and the loss of commands of that second from
// a log that rotted, too, goes unnoticed.
//
// mu guards what is written, and is not held during a sync; syncing comes before it.
type floor struct {
	mu struct {
		sync.Mutex
		file vfs.File
		at   uint64 // what the file says
		slot int64
	}
	syncing struct {
		sync.Mutex
		at uint64 // what of it is durable
	}
}

const (
	floorSlot   = 512
	floorRecord = 16
)

// openFloor refuses rows that have lost what was durable.
func (s *Store) openFloor(readOnly bool) error {
	name := s.fs.PathJoin(s.opt.Dir, "floor")
	f := &s.floor
	f.mu.Lock()
	defer f.mu.Unlock()
	index, slot, err := readFloor(s.fs, name)
	if s.control.unchecked {
		index, err = 0, nil
	}
	if err != nil {
		return err
	}
	if err := s.belowFloor(s.machine.applied, index); err != nil {
		return err
	}
	if readOnly {
		return nil
	}
	f.mu.at, f.mu.slot, f.syncing.at = index, slot, index
	if _, err := s.fs.Stat(name); err == nil {
		f.mu.file, err = s.fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
		return err
	}
	if f.mu.file, err = s.fs.Create(name, vfs.WriteCategoryUnspecified); err != nil {
		return err
	}
	for slot := range int64(2) { // now, so that a full disk cannot keep it from rising
		if _, err := f.mu.file.WriteAt(appendFloor(nil, 0), slot*floorSlot); err != nil {
			return err
		}
	}
	if err := f.mu.file.Sync(); err != nil {
		return err
	}
	return makeDir(s.fs, s.opt.Dir) // its name, too
}

func (s *Store) belowFloor(applied, index uint64) error {
	if applied >= index {
		return nil
	}
	return &Damaged{Thing: fileThing(s.opt.Dir), What: "the rows' log in " + s.opt.Dir, Err: fmt.Errorf(
		"it ends at command %d, and command %d was durable; restore it, or remove %s to go on without what is lost",
		applied, index, s.fs.PathJoin(s.opt.Dir, "floor"))}
}

// judgeRows compares the rows with the floor before Pebble may write: it would go on behind
// the last good record of the log, and remove the rest and tables that it does not know, which
// people may yet restore.
func (s *Store) judgeRows(dir string) error {
	index, _, err := readFloor(s.fs, s.fs.PathJoin(s.opt.Dir, "floor"))
	if err != nil || index == 0 {
		return err
	}
	db, err := openRows(s.rowsFS(), dir, pebbleLog{s}, true)
	if err != nil {
		return tablesGone(dir, err)
	}
	defer db.Close()
	m, err := newMachine(db, &s.ledger)
	if pebble.IsCorruptionError(err) {
		return nil // the log has no command: all of them are in tables, of which one cannot be read
	}
	if err != nil {
		return err
	}
	return s.belowFloor(m.applied, index)
}

func appendFloor(dst []byte, index uint64) []byte {
	at := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, index)
	return binary.BigEndian.AppendUint64(dst, xxhash.Sum64(dst[at:]))
}

// parseFloor reads the slot at a place.
func parseFloor(b []byte, at int) (index uint64, ok bool) {
	if len(b) < at+floorRecord {
		return 0, false
	}
	v := b[at : at+floorRecord]
	return binary.BigEndian.Uint64(v), xxhash.Sum64(v[:8]) == binary.BigEndian.Uint64(v[8:])
}

// readFloor gives the greater of the two slots, and the other to be written next.
func readFloor(disk vfs.FS, name string) (index uint64, next int64, err error) {
	file, err := disk.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil // a new store, or people removed it
	}
	if err != nil {
		return 0, 0, fmt.Errorf("open %s: %w", name, err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, 2*floorSlot))
	if err != nil {
		return 0, 0, fmt.Errorf("read %s: %w", name, err)
	}
	good := len(b) == 0 // made, and not written when the power went
	for slot := range int64(2) {
		if n, ok := parseFloor(b, int(slot)*floorSlot); ok {
			good = true
			if n >= index {
				index, next = n, 1-slot
			}
		}
	}
	if !good {
		return 0, 0, &Damaged{Thing: fileThing(name), Err: errors.New("both its slots are")}
	}
	return index, next, nil
}

// noteFloor writes down that a command is durable, before it is acknowledged. That it
// cannot costs the command nothing: syncFloor tries again, and tells.
func (s *Store) noteFloor(index uint64) { _ = s.writeFloor(index) }

func (s *Store) writeFloor(index uint64) error {
	f := &s.floor
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.file == nil || index <= f.mu.at {
		return nil // another's command, which came later, wrote it
	}
	var record [floorRecord]byte
	if _, err := f.mu.file.WriteAt(appendFloor(record[:0], index), f.mu.slot*floorSlot); err != nil {
		return err
	}
	f.mu.at, f.mu.slot = index, 1-f.mu.slot
	return nil
}

// syncFloor makes durable what is written down.
func (s *Store) syncFloor() error {
	f := &s.floor
	f.syncing.Lock()
	defer f.syncing.Unlock()
	index := s.durable.load()
	if index <= f.syncing.at || s.writable() != nil {
		return nil
	}
	if err := s.writeFloor(index); err != nil {
		return err
	}
	f.mu.Lock()
	file := f.mu.file
	f.mu.Unlock()
	if file == nil {
		return nil
	}
	if err := file.Sync(); err != nil {
		return s.fail(fmt.Errorf("sync the floor: %w", err))
	}
	f.syncing.at = index
	return nil
}

func (s *Store) closeFloor() {
	f := &s.floor
	f.syncing.Lock()
	defer f.syncing.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.file != nil {
		f.mu.file.Close()
		f.mu.file = nil
	}
}

// syncFloors syncs the floor, and writes down damage, until the store is closed.
func (s *Store) syncFloors(ctx context.Context) {
	tick := time.NewTicker(floorEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.syncFloor(); err != nil {
				s.opt.Logger.Warn("the floor does not rise", "error", err)
			}
			if err := s.saveLedger(); err != nil {
				s.opt.Logger.Warn("damage is not written down", "error", err)
			}
		}
	}
}
