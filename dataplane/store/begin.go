package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// untilReadable calls f until the tables that it meets can be read: what cannot is set aside.
// Where that is not for the store to do, it only reads, and f's error is given.
func (s *Store) untilReadable(f func() error) error {
	err := f()
	for range mostAside {
		if !pebble.IsCorruptionError(err) || !s.tablesReported() || s.setAside(context.Background()) != nil {
			break
		}
		err = f()
	}
	return err
}

// openMachine reads the index of the last command and which spaces were erased. Where these
// cannot be read and not be set aside, the store opens all the same and only reads.
func (s *Store) openMachine() (err error) {
	err = s.untilReadable(func() (err error) {
		s.machine, err = newMachine(s.db, &s.ledger)
		return err
	})
	if !pebble.IsCorruptionError(err) || s.fault.reason() == nil {
		return err
	}
	index, ferr := s.indexBehindFloor()
	if ferr != nil {
		return errors.Join(err, ferr)
	}
	s.machine.applied = index
	return nil
}

// floorGap is how far behind the floor commands go on where the index of the last one is
// lost: the floor may be up to a second behind it, and no index may come twice.
const floorGap = 1 << 32

// indexBehindFloor stands for the index of the last command where that cannot be read.
func (s *Store) indexBehindFloor() (uint64, error) {
	name := s.fs.PathJoin(s.opt.Dir, "floor")
	index, _, err := readFloor(s.fs, name)
	if err == nil && index == 0 {
		err = fmt.Errorf("%s, which says what was durable, is gone, too", name)
	}
	return index + floorGap, err
}

// lastIndex is the index of the last command.
func (s *Store) lastIndex() (uint64, error) {
	if s.log != nil {
		return s.log.applied(), nil
	}
	if s.machine != nil && s.machine.applied != 0 {
		return s.machine.applied, nil
	}
	return s.indexBehindFloor()
}

// takeUp makes the store ready for writes.
func (s *Store) takeUp() error {
	err := s.untilReadable(s.begin)
	if err == nil {
		err = s.adoptAll()
	}
	if err != nil && s.fault.reason() != nil && pebble.IsCorruptionError(err) {
		_ = s.hurt(err)
		return nil // it only reads
	}
	if err != nil {
		return err
	}
	if err := s.disk.Restock(); err != nil {
		s.opt.Logger.Warn("disk", "store", s.opt.Dir, "error", err)
	}
	return nil
}

// begin makes this incarnation known, and the bodies of former ones that are not committed
// yet unwelcome for ever.
func (s *Store) begin() error {
	var former []uint64
	prefix := []byte{tagLocal, localWriter}
	err := eachKey(s.db, prefix, func(k, _ []byte) error {
		former = append(former, binary.BigEndian.Uint64(k[len(prefix):]))
		return nil
	})
	if err != nil {
		return err
	}
	var id [8]byte
	rand.Read(id[:]) // never fails
	s.writer = binary.BigEndian.Uint64(id[:])
	if err := s.raise(context.Background(), former); err != nil {
		return err
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	for _, w := range former {
		_ = batch.Delete(writerKey(w), nil)
	}
	_ = batch.Set(writerKey(s.writer), nil, nil)
	return batch.Commit(pebble.Sync)
}
