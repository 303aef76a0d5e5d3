package store

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What the rows' database may hold in memory: memtables are taken out of the cache, whose
// size therefore has room for them.
const (
	memTable  = 8 << 20
	memTables = 3
	cacheSize = 24<<20 + memTables*memTable
)

// openRows opens the one Pebble database of a store.
func openRows(fs vfs.FS, dir string, log pebble.Logger, readOnly bool) (*pebble.DB, error) {
	o := &pebble.Options{
		FS:                          fs,
		Comparer:                    comparer,
		Logger:                      log,
		ReadOnly:                    readOnly,
		ErrorIfNotExists:            readOnly,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   cacheSize,
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                500,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       40,
		LBaseMaxBytes:               32 << 20,
		WALBytesPerSync:             0, // each commit syncs
		BytesPerSync:                1 << 20,
	}
	// Bodies and values are sealed: they do not shrink.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].FilterType = pebble.TableFilter
	}
	// Small bodies go to files of their own, which compactions of rows leave alone.
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: 1 << 10, MaxBlobReferenceDepth: 10,
			RewriteMinimumAge: time.Minute, TargetGarbageRatio: 0.3,
		}
	}
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open rows in %s: %w", dir, err)
	}
	return db, nil
}
