package consensus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A side file says how long the log of a group must be. The WAL of the log's Pebble
// cannot say it: one that ends early looks like one that was never written further,
// and a member that lost acknowledged entries or its vote would help to elect a
// leader without them.
//
// Two slots of 512 bytes are written in turn, each in a 4 KiB block of its own so that
// a torn write of one cannot harm the other. Of two good slots the higher sequence
// counts. A slot is synced after the batch it speaks of and before the batch is
// acknowledged; before a tail is cut off on purpose, the slot says so first.
//
//	0 magic "DKSD" | 4 version u32 | 8 sequence u64 | 16 last index u64 | 24 last term u64
//	32 stable writes u64 | 40 length of name u8 | 41 name | zeros | 508 crc32c of 0..508
const (
	sideSlot    = 512
	sideStride  = 4096
	sideMagic   = "DKSD"
	sideVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sideClaim is what a slot says: the log reaches index, whose entry has term, and the
// stable store has seen so many writes.
type sideClaim struct {
	index, term, stable uint64
}

type sideFile struct {
	f     vfs.File
	group string
	seq   uint64
	claim sideClaim
}

func appendSlot(b []byte, group string, seq uint64, c sideClaim) []byte {
	start := len(b)
	b = append(b, sideMagic...)
	b = binary.LittleEndian.AppendUint32(b, sideVersion)
	for _, v := range []uint64{seq, c.index, c.term, c.stable} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	b = append(b, byte(len(group)))
	b = append(b, group...)
	b = append(b, make([]byte, sideSlot-4-(len(b)-start))...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func parseSlot(b []byte, group string) (seq uint64, c sideClaim, ok bool) {
	if len(b) != sideSlot || string(b[:4]) != sideMagic ||
		binary.LittleEndian.Uint32(b[4:]) != sideVersion ||
		binary.LittleEndian.Uint32(b[508:]) != crc32.Checksum(b[:508], castagnoli) {
		return 0, sideClaim{}, false
	}
	if n := int(b[40]); n > 63 || string(b[41:41+n]) != group {
		return 0, sideClaim{}, false
	}
	u := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	return u(8), sideClaim{u(16), u(24), u(32)}, true
}

// openSide opens the side file of a group and reads its claim. fresh says that the
// group has nothing in the log's Pebble, the only case in which a side file may be
// missing.
func openSide(fsys vfs.FS, dir, group string, fresh bool) (*sideFile, error) {
	name := fsys.PathJoin(dir, group)
	there, err := exists(fsys, name)
	if err != nil {
		return nil, err
	}
	if !there {
		if !fresh {
			return nil, &CorruptError{Group: group, Dir: dir, Text: "the side file is missing"}
		}
		if err := createSide(fsys, dir, group); err != nil {
			return nil, fmt.Errorf("create side file %s: %w", name, err)
		}
	}
	f, err := fsys.OpenReadWrite(name, diskCategory)
	if err != nil {
		return nil, err
	}
	s := &sideFile{f: f, group: group}
	if err := s.read(dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

// createSide makes a side file that claims nothing. It appears whole or not at all,
// so that one without a good slot is always damage.
func createSide(fsys vfs.FS, dir, group string) error {
	b := appendSlot(nil, group, 0, sideClaim{})
	b = append(b, make([]byte, 2*sideStride-len(b))...)
	tmp := fsys.PathJoin(dir, group+".tmp")
	if err := writeFile(fsys, tmp, b); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, fsys.PathJoin(dir, group)); err != nil {
		return err
	}
	return syncDir(fsys, dir)
}

func (s *sideFile) read(dir string) error {
	found := false
	for i := range int64(2) {
		b := make([]byte, sideSlot)
		if _, err := s.f.ReadAt(b, i*sideStride); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		seq, c, ok := parseSlot(b, s.group)
		if ok && (!found || seq > s.seq) {
			s.seq, s.claim, found = seq, c, true
		}
	}
	if !found {
		return &CorruptError{Group: s.group, Dir: dir, Text: "the side file has no readable slot"}
	}
	return nil
}

// write makes the next claim durable.
func (s *sideFile) write(c sideClaim) error {
	seq := s.seq + 1
	b := appendSlot(make([]byte, 0, sideSlot), s.group, seq, c)
	if _, err := s.f.WriteAt(b, int64(seq%2)*sideStride); err != nil {
		return fmt.Errorf("write side file of %s: %w", s.group, err)
	}
	if err := s.f.SyncData(); err != nil {
		return fmt.Errorf("sync side file of %s: %w", s.group, err)
	}
	s.seq, s.claim = seq, c
	return nil
}

func (s *sideFile) close() error { return s.f.Close() }
