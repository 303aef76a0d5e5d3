package store

import (
	"fmt"
	"io"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/compaction"
)

// What the rows' database may hold in memory: memtables are taken out of the cache, whose
// size therefore has room for them.
const (
	memTable  = 8 << 20
	memTables = 3
	cacheSize = 24<<20 + memTables*memTable
)

// openRows opens the one Pebble database of a store.
func openRows(fs vfs.FS, dir string, log pebbleLog, readOnly bool) (*pebble.DB, error) {
	o := &pebble.Options{
		FS:                          fs,
		Comparer:                    comparer,
		Logger:                      log,
		ReadOnly:                    readOnly,
		ErrorIfNotExists:            readOnly,
		FlushSplitBytes:             2 << 20,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   cacheSize,
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: memTables,
		MaxOpenFiles:                500,
		// a compaction takes in all rows of the next level: let it be for five flushes of new ones
		L0CompactionThreshold:       10,
		L0StopWritesThreshold:       stopSublevels,
		LBaseMaxBytes:               32 << 20,
		WALBytesPerSync:             0, // each commit syncs
		BytesPerSync:                1 << 20,
		DisableAutomaticCompactions: log.s.control.calm,
		DisableTableStats:           log.s.control.calm,
	}
	// The reader who met it gets the error; the others go on. Without this it is fatal.
	o.EventListener = &pebble.EventListener{
		DataCorruption: log.damaged, CompactionEnd: log.s.compactions.ended,
	}
	// Bodies and values are sealed: they do not shrink.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].FilterType = pebble.TableFilter
	}
	// No blob files: Pebble 2.1 panics, also in its own goroutines, when the footer of one
	// has rotted. Compactions below the first level move the tables of small bodies without
	// rewriting them anyway: they have tables of their own, in the order of commands.
	o.Experimental.SpanPolicyFunc = bodiesApart
	o.Experimental.CompactionScheduler = compaction.New()
	db, err := pebble.Open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open rows in %s: %w", dir, firstOf(judgeOptions(fs, dir, o), err))
	}
	return db, nil
}

// judgeOptions names the file of options where that is why Pebble refuses: it has no
// checksum, and Pebble says what is wrong in it and not where.
func judgeOptions(fs vfs.FS, dir string, o *pebble.Options) error {
	names, err := fs.List(dir)
	if err != nil {
		return nil //nolint:nilerr // Pebble told
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "OPTIONS-") {
			continue
		}
		path := fs.PathJoin(dir, name)
		file, err := fs.Open(path)
		if err != nil {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(file, 1<<20))
		file.Close()
		if err == nil {
			o.EnsureDefaults()
			err = o.CheckCompatibility(dir, string(b))
		}
		if err != nil {
			return &Damaged{Thing: fileThing(path), Err: fmt.Errorf("%w; rows can be read without this file", err)}
		}
	}
	return nil
}

// bodiesApart ends tables where the octets of inline extents begin and end. They are most
// of what is written; in one table with keys that each command writes, they would be
// merged again with each of those. Keeping them out of the first level's compactions, too,
// was tried: at 500 tables there Pebble compacts without a pause.
func bodiesApart(first []byte) (p pebble.SpanPolicy, end []byte, err error) {
	switch {
	case len(first) == 0 || first[0] < tagInline:
		end = []byte{tagInline}
	case first[0] == tagInline:
		end = []byte{tagInline + 1}
	}
	return p, end, nil
}
