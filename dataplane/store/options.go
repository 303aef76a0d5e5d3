package store

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
	"github.com/dark-ecosystem/dark/internal/clock"
)

// Options say where a store is and what it may use. Dir and Keys must be given.
type Options struct {
	FS          vfs.FS // nil: the system's
	Dir         string
	Cell        string // its name in Placements; a Placement of another cell is ErrMoved
	Keys        Keys
	DiskKey     *[32]byte // encrypts the files of the rows' database; nil: they are not
	Clock       clock.Clock
	Logger      *slog.Logger // nil: none
	SegmentSize int64        // octets of a segment; 0: 256 MiB, less on disks under 16 GiB
	// octets that stay free on the disk; 0: 256 MiB, less on disks under 4 GiB; negative: none
	Reserve    int64
	ShredAfter time.Duration // see Store.SetShredAfter; 0: 7 days, at least one
	MoveRate   int64         // octets a second that compaction and scrubbing move; 0: 64 MiB
	// Quiet runs no background work (sweeping, compaction, shredding): tests drive it with
	// Store.Maintain.
	Quiet bool

	control control
}

// control builds are those that the tests must catch.
type control struct {
	noBodySync bool // bodies are not synced before they are acknowledged
	early      bool // the command before the body's sync
	// calm: Pebble does nothing by itself. It is no broken build, but a quick one.
	calm bool
	// unchecked: neither the floor nor the manifest is looked at, and bodies are what
	// unsealed gives.
	unchecked bool
	unsealed  func(key *seal.Key, chunk int64, sealed []byte) []byte
	// dirty: rows are shown before they are durable.
	dirty bool
	// between, called after, makes conditions be judged before the log, and not in it.
	between func()
}

func (o Options) withDefaults() (Options, error) {
	if o.Dir == "" || o.Keys == nil {
		return o, errors.New("a store needs a directory and keys")
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ShredAfter == 0 {
		o.ShredAfter = 7 * day
	}
	o.ShredAfter = max(o.ShredAfter, day)
	if o.MoveRate == 0 {
		o.MoveRate = 64 << 20
	}
	if o.SegmentSize != 0 && o.SegmentSize < minSegment {
		return o, fmt.Errorf("segments of %d octets: at least %d", o.SegmentSize, minSegment)
	}
	return o, nil
}

// minSegment holds an extent of one chunk.
const minSegment = 128 << 10
