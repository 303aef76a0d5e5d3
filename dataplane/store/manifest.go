package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"
)

// checkManifest refuses a manifest with a damaged record in the middle. Pebble takes that
// for a torn end, and would forget tables that later records name. A damaged last record
// is what a power cut may leave; what is lost by it the floor tells.
//
// A manifest is LevelDB's log format: blocks of 32 KiB, in each chunks of checksum (4),
// length (2), type (1: 1 to 4), octets; little endian. The checksum is a masked CRC-32C of
// type and octets.
func checkManifest(fs vfs.FS, dir string) error {
	name, err := atomicfs.ReadMarker(fs, dir, "manifest")
	if err != nil || name == "" {
		return nil // a new store, or Pebble tells
	}
	file, err := fs.Open(fs.PathJoin(dir, name))
	if err != nil {
		return nil
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	end := chunksEnd(b)
	for at := end + 1; at < len(b); at++ {
		if chunkAt(b, at) > 0 {
			return &Damaged{Thing: fileThing(fs.PathJoin(dir, name)), Err: fmt.Errorf("at %d, %w", end, errChunk)}
		}
	}
	return nil
}

// rowsAreThere refuses a store that has segments and no rows: new rows would know no body, and
// the segments would be used again. The rows are made before the first segment is.
func (s *Store) rowsAreThere(rows string) error {
	if names, err := s.fs.List(rows); err == nil && len(names) > 0 {
		return nil
	}
	names, err := s.fs.List(s.fs.PathJoin(s.opt.Dir, "segments"))
	if err != nil {
		return nil //nolint:nilerr // there are none, or segment.Open tells
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, ".seg") })
	if len(names) == 0 {
		return nil
	}
	return &Damaged{
		Thing: fileThing(rows),
		Err: fmt.Errorf("%w, and %d segments are there, whose bodies nobody could name without it; put it back from "+
			"a backup, or begin an empty store by moving %s away", errRowsGone, len(names), s.opt.Dir),
	}
}

var errRowsGone = errors.New("it is gone or empty")

var errChunk = errors.New("a record's checksum is wrong, and there are others after it")

const (
	manifestBlock = 32 << 10
	chunkHeader   = 7
)

// chunksEnd is where the first chunk stands that is not whole.
func chunksEnd(b []byte) (at int) {
	for at < len(b) {
		if rest := manifestBlock - at%manifestBlock; rest < chunkHeader {
			at += rest
			continue
		}
		n := chunkAt(b, at)
		if n == 0 {
			return at
		}
		at += n
	}
	return at
}

// chunkAt is the length of the whole chunk at a place, 0 where there is none.
func chunkAt(b []byte, at int) int {
	block := b[at:min(len(b), at-at%manifestBlock+manifestBlock)]
	if len(block) < chunkHeader || block[6] < 1 || block[6] > 4 {
		return 0
	}
	n := chunkHeader + int(binary.LittleEndian.Uint16(block[4:]))
	if n > len(block) {
		return 0
	}
	sum := crc32.Checksum(block[6:n], crc32.MakeTable(crc32.Castagnoli))
	if (sum>>15|sum<<17)+0xa282ead8 != binary.LittleEndian.Uint32(block) {
		return 0
	}
	return n
}
