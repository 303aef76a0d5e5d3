package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A table of the rows with a block that cannot be read keeps Pebble from compacting it, for
// ever, and then from taking writes. So the block's range of keys is set aside: taken out of
// all levels of the database in one step, and entered in the ledger as a gap first.
//
// It must be out of all levels: the block may have held the deletion, or a newer value, of a
// key that older levels still have, which must not come back. What newer levels have of the
// range is kept: it counts, whatever the block held. A block of the last level, where most rows
// are, takes nothing else with it. One of the first levels, whose few keys lie far apart, may
// take much: that is not for the store to choose, so it only reads from then on, and says why.
//
// Pebble takes out whole prefixes of keys only. What else of these prefixes can be read is
// put back in the same step.

// mostAside bounds how many tables one run of the process sets aside, and mostOlder how many
// octets of older levels one range may take with it.
const (
	mostAside = 16
	mostOlder = 1 << 20
)

// ailing are tables that somebody could not read. mu guards which.
type ailing struct {
	mu struct {
		sync.Mutex
		tables map[string]bool // by path
		done   int             // set aside in this run
		ended  chan struct{}   // closed when those that were reported are set aside
		tries  int             // that other tables kept from their end
	}
	wake chan struct{}
	work sync.Mutex // held by who sets tables aside, from when it knows which
}

// next is closed when those who set tables aside are done next.
func (a *ailing) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.ended
}

// ended waits for what next gave, and says whether it came: nobody sets tables aside in a
// store of people's tools.
func (a *ailing) ended(ctx context.Context, done <-chan struct{}) bool {
	if done == nil {
		return false
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case <-done:
		return true
	case <-ctx.Done():
	case <-wait.C:
	}
	return false
}

// turn is called by who sets tables aside: at first, and when all that were reported are.
func (a *ailing) turn() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.ended != nil {
		close(a.mu.ended)
	}
	a.mu.ended = make(chan struct{})
}

// report is told of a table that could not be read.
func (a *ailing) report(path string) {
	a.mu.Lock()
	if a.mu.tables == nil {
		a.mu.tables = map[string]bool{}
	}
	if len(a.mu.tables) < maxCached {
		a.mu.tables[path] = true
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take gives the tables that were reported.
func (a *ailing) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	paths := slices.Sorted(maps.Keys(a.mu.tables))
	clear(a.mu.tables)
	return paths
}

func (a *ailing) again() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.tries++
	return a.mu.tries
}

func (a *ailing) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mu.done++
	return a.mu.done
}

// setTablesAside waits for tables that cannot be read, until the store is closed.
func (s *Store) setTablesAside(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.ailing.wake:
		}
		if err := s.setAside(ctx); err != nil && ctx.Err() == nil {
			s.opt.Logger.Error("a damaged table of the rows was not set aside", "error", err)
		}
		s.ailing.turn()
	}
}

// setAside sets aside what cannot be read of the tables that were reported. Where that fails
// the store only reads: Pebble could soon take no write. When it returns, nobody else is at work on one
// that was reported before.
func (s *Store) setAside(ctx context.Context) error {
	s.ailing.work.Lock()
	defer s.ailing.work.Unlock()
	for _, path := range s.ailing.take() {
		if err := s.writable(); err != nil {
			return err
		}
		err := s.setTableAside(ctx, path)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case pebble.IsCorruptionError(err) && s.ailing.again() < mostAside:
			s.ailing.report(path) // another table cannot be read, and was reported, too
		case err != nil:
			return s.fail(fmt.Errorf("set aside what cannot be read of %s: %w", path, err))
		}
	}
	return nil
}

func (s *Store) setTableAside(ctx context.Context, path string) error {
	live, level, err := s.tablesIn(path)
	if err != nil || len(live) == 0 {
		return err // it was compacted away, or set aside
	}
	rotten, whole, cause := rottenIn(s.rowsFS(), path)
	if whole {
		rotten = live
	}
	rotten = within(rotten, live)
	if len(rotten) > 0 && s.ailing.count() > mostAside {
		return errTooRotten
	}
	for _, r := range rotten {
		older, err := s.olderThan(r, level, path)
		if err != nil {
			return err
		}
		if older > mostOlder {
			thing := Thing{Kind: DamagedRange, From: r.from, To: r.to, File: path}
			return fmt.Errorf("%s cannot be read: %w; what it holds may have replaced or deleted any of %d octets of "+
				"older rows; stop the edge and run `darkd fsck`", &thing, cause, older)
		}
	}
	for _, r := range rotten {
		if err := s.setRangeAside(ctx, r, path, cause); err != nil {
			return err
		}
	}
	s.ledger.forgetWhere(func(d *Damage) bool { return d.Kind == DamagedRange && d.File == path && d.index == 0 })
	// The rest of the table is written anew, so that the file goes. It may have been only a
	// filter that could not be read.
	for _, r := range live {
		if err := s.db.Compact(ctx, r.from, r.to, false); err != nil && !pebble.IsCorruptionError(err) {
			return err
		}
	}
	return nil
}

// tablesIn is what the database still needs of a table's file, and the first level that does.
func (s *Store) tablesIn(path string) (live []keyRange, level int, err error) {
	levels, err := s.db.SSTables()
	for i, tables := range levels {
		for j := range tables {
			if !isIn(&tables[j], path) {
				continue
			}
			if len(live) == 0 {
				level = i
			}
			live = append(live, boundsOf(&tables[j]))
		}
	}
	return live, level, err
}

func isIn(t *pebble.SSTableInfo, path string) bool {
	return fmt.Sprint(t.BackingSSTNum) == strings.TrimSuffix(filepath.Base(path), ".sst")
}

func boundsOf(t *pebble.SSTableInfo) keyRange {
	return keyRange{bytes.Clone(t.Smallest.UserKey), append(bytes.Clone(t.Largest.UserKey), 0)}
}

// olderThan is how many octets of a range lie in levels below a table, and in other tables of
// the first level where it is in that.
func (s *Store) olderThan(r keyRange, level int, path string) (octets uint64, err error) {
	levels, err := s.db.SSTables(pebble.WithKeyRangeFilter(r.from, r.to), pebble.WithApproximateSpanBytes())
	if err != nil {
		return 0, err
	}
	for i, tables := range levels {
		for j := range tables {
			if i > level || i == 0 && !isIn(&tables[j], path) {
				octets += tables[j].ApproximateSpanBytes
			}
		}
	}
	return octets, nil
}

// within is what of some ranges is in others.
func within(some, others []keyRange) (both []keyRange) {
	for _, r := range some {
		for _, o := range others {
			from, to := r.from, r.to
			if bytes.Compare(from, o.from) < 0 {
				from = o.from
			}
			if bytes.Compare(o.to, to) < 0 {
				to = o.to
			}
			if bytes.Compare(from, to) < 0 {
				both = append(both, keyRange{from, to})
			}
		}
	}
	return both
}

// setRangeAside takes a range out of the database. Nobody writes meanwhile.
func (s *Store) setRangeAside(ctx context.Context, lost keyRange, path string, cause error) error {
	s.writes.Lock()
	defer s.writes.Unlock()
	if err := s.guarded(s.db.Flush); err != nil {
		return err
	}
	span := pebble.KeyRange{Start: lost.from[:split(lost.from)], End: endOf(lost.to)}
	kept, index, err := s.keptOf(lost, span)
	if err != nil {
		return err
	}
	now := s.now()
	d := &Damage{
		Thing: Thing{Kind: DamagedRange, From: lost.from, To: lost.to, File: path},
		Cause: fmt.Sprint(cause), First: now, Last: now, index: max(index, 1),
	}
	s.ledger.setGap(d)
	if err := s.saveLedger(); err != nil { // before the database forgets
		return err
	}
	s.opt.Logger.Error("rows that cannot be read were set aside", "what", d.Thing.String(), "error", cause)
	if err := s.replaceRange(ctx, span, kept); err != nil {
		return err
	}
	return s.restate(lost)
}

// endOf is the first prefix that is behind a range which ends at a key.
func endOf(to []byte) []byte {
	last := bytes.TrimSuffix(to, []byte{0})
	return immediateSuccessor(nil, last[:split(last)])
}

// keptOf is what can be read of a span: all of it outside of the lost range, and in that what
// tables have that are newer than each that cannot be read there. Rows that these have are
// newer than what is lost: index is of the last command before theirs.
func (s *Store) keptOf(lost keyRange, span pebble.KeyRange) (_ map[string][]byte, index uint64, err error) {
	above := map[string][]byte{}
	if err := s.keptAbove(lost, above); err != nil {
		return nil, 0, err
	}
	if index, err = s.lastIndex(); err != nil {
		return nil, 0, err
	}
	for k := range above {
		if _, v, ok := rowKey([]byte(k)); ok {
			index = min(index, uint64(v)-1)
		}
	}
	kept, err := s.keptBeside(lost, span)
	maps.Copy(kept, above)
	return kept, index, err
}

func (s *Store) keptBeside(lost keyRange, span pebble.KeyRange) (map[string][]byte, error) {
	kept := map[string][]byte{}
	for _, r := range []keyRange{{span.Start, lost.from}, {lost.to, span.End}} {
		if bytes.Compare(r.from, r.to) >= 0 {
			continue
		}
		iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: r.from, UpperBound: r.to})
		if err != nil {
			return nil, err
		}
		for iter.First(); iter.Valid(); iter.Next() {
			kept[string(iter.Key())] = bytes.Clone(iter.Value())
		}
		if err := firstOf(iter.Error(), iter.Close()); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// keptAbove adds what newer tables have of a range.
func (s *Store) keptAbove(lost keyRange, kept map[string][]byte) error {
	levels, err := s.db.SSTables()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	slices.SortFunc(levels[0], func(a, b pebble.SSTableInfo) int {
		return cmp.Compare(b.LargestSeqNum, a.LargestSeqNum)
	})
	for _, tables := range levels {
		for i := range tables {
			t := &tables[i]
			both := within([]keyRange{lost}, []keyRange{boundsOf(t)})
			if len(both) == 0 {
				continue
			}
			path := s.fs.PathJoin(s.opt.Dir, "rows", fmt.Sprintf("%s.sst", t.BackingSSTNum))
			if !readAbove(s.rowsFS(), path, both[0], seen, kept) {
				return nil // what lies below may be older than what cannot be read
			}
		}
	}
	return nil
}

// readAbove adds what a table has of a range, and says whether all of it could be read.
func readAbove(fs vfs.FS, path string, r keyRange, seen map[string]bool, kept map[string][]byte) bool {
	table, err := openTable(fs, path)
	if err != nil {
		return false
	}
	defer func() { _ = table.Close() }() // it was only read
	if hasRangeDeletions(table) {
		return false
	}
	var all []sstableKV
	err = eachIn(table, r.from, r.to, func(e *sstableKV) error {
		all = append(all, sstableKV{bytes.Clone(e.key), bytes.Clone(e.value), e.set})
		return nil
	})
	if err != nil {
		return false
	}
	for _, e := range all {
		if seen[string(e.key)] {
			continue
		}
		seen[string(e.key)] = true
		if e.set {
			kept[string(e.key)] = e.value
		}
	}
	return true
}

// replaceRange makes what was kept all that there is in a span, in one step.
func (s *Store) replaceRange(ctx context.Context, span pebble.KeyRange, kept map[string][]byte) error {
	if len(kept) == 0 {
		return s.guarded(func() error { return s.db.Excise(ctx, span) })
	}
	name := s.fs.PathJoin(s.opt.Dir, "kept.sst")
	fs := s.rowsFS()
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	defer func() { _ = fs.Remove(name) }()
	o := tableOptions()
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(file),
		o.MakeWriterOptions(0, s.db.FormatMajorVersion().MaxTableFormat()))
	for _, k := range slices.Sorted(maps.Keys(kept)) {
		if err := w.Set([]byte(k), kept[k]); err != nil {
			return firstOf(err, w.Close())
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return s.guarded(func() error {
		_, err := s.db.IngestAndExcise(ctx, []string{name}, nil, nil, span)
		return err
	})
}

// restate writes again what this process knows of a range that was set aside: the index of
// the last command, the spaces that were erased, and its own incarnation.
func (s *Store) restate(lost keyRange) error {
	batch := s.db.NewBatch()
	defer batch.Close()
	in := func(k []byte) bool { return bytes.Compare(lost.from, k) <= 0 && bytes.Compare(k, lost.to) < 0 }
	if in(appliedKey) {
		index, err := s.lastIndex()
		if err != nil {
			return err
		}
		_ = batch.Set(appliedKey, binary.BigEndian.AppendUint64(nil, index), nil)
	}
	if k := writerKey(s.writer); s.writer != 0 && in(k) {
		_ = batch.Set(k, nil, nil)
	}
	for _, space := range s.machine.erased.all() {
		// Emptying an empty space again costs little.
		if k := idKey(tagErased, space); in(k) {
			_ = batch.Set(k, []byte{1}, nil)
		}
	}
	s.ledger.heal(appliedKey, append(bytes.Clone(appliedKey), 0))
	return s.guarded(func() error { return batch.Commit(pebble.Sync) })
}
