package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// Scrub opens every seal, of rows and extents, and tells what does not open. progress may
// be nil; it is called now and then, and with each *Damaged. A body that only its customer
// can open, or whose key is not here, is compared with its hash.
//
// It reads Options.MoveRate octets a second. One that was interrupted, by ctx or by the end of
// the process, is gone on with; its result is kept with the ledger of damage. One runs at a
// time: a second is ErrScrubbing.
func (s *Store) Scrub(ctx context.Context, progress func(Progress, *Damaged)) (Progress, error) {
	if err := s.gate.enter(); err != nil {
		return Progress{}, err
	}
	s.gate.leave()
	if !s.scrubbing.TryLock() {
		return Progress{}, ErrScrubbing
	}
	defer s.scrubbing.Unlock()
	c := &scrub{
		s: s, ctx: ctx, tell: progress, kept: true,
		budget: segment.NewBudget(s.opt.MoveRate), run: s.ledger.goOn(s.now()),
	}
	c.Progress = c.run.Progress
	c.takeUp()
	err := s.works.run(ctx, "scrub", s.now, func(context.Context) error { return c.all() })
	c.run.Progress = c.Progress
	switch {
	case err == nil:
		c.run.ended, c.run.at = s.now(), nil
		s.ledger.scrubbed(c.run)
	case ctx.Err() != nil:
		c.pause()
	default:
		s.ledger.goes(scrubRun{}) // the next one begins anew, and not where this one failed
	}
	return c.Progress, firstOf(err, s.saveLedger())
}

// now is the time by the store's clock, without a monotonic reading.
func (s *Store) now() time.Time { return s.opt.Clock.Now().Round(0) }

// scrub is one run.
type scrub struct {
	Progress
	s    *Store
	ctx  context.Context
	tell func(Progress, *Damaged)
	buf  chunkBuffer
	each func(k, v []byte, r *row) // told of each row that has a good header
	held func(id ID, x *extent)    // told of each extent that has a good record
	gaps uint64                    // ranges of records that could not be read
	// lost are extents that do not open. They are told at the end, by the rows that need them.
	lost lostBodies

	kept   bool // it is gone on with after an interruption
	run    scrubRun
	at     []byte          // the record that is looked at
	budget *segment.Budget // nil: no bound
}

// takeUp brings back the extents that an interrupted run found, and had not told by their rows.
func (c *scrub) takeUp() {
	for _, d := range c.s.Damage() {
		if d.Kind == DamagedExtent && d.Key == nil && !d.Last.Before(c.run.began) {
			c.keep(&Damaged{Thing: d.Thing, Err: errors.New(d.Cause)})
		}
	}
}

// pause notes how far the run came: the record that it looked at last is looked at again.
func (c *scrub) pause() {
	if c.at != nil {
		c.run.at = bytes.Clone(c.at)
	}
	c.run.Progress = c.Progress
	c.s.ledger.goes(c.run)
}

// walk goes over the records whose keys begin with a prefix, from where the run goes on.
func (c *scrub) walk(prefix []byte, f func(k, v []byte) error) error {
	from, end := prefix, after(prefix)
	if bytes.Compare(from, c.run.at) < 0 {
		from = c.run.at
	}
	if bytes.Compare(from, end) >= 0 {
		return nil
	}
	return c.s.walkFrom(from, end, c.skipped, func(k, v []byte) error {
		c.at = append(c.at[:0], k...)
		return f(k, v)
	})
}

func (c *scrub) all() error {
	files := c.s.files.Stats()
	c.Total = uint64(files.Live)
	if n, err := c.s.db.EstimateDiskUsage([]byte{0}, []byte{0xFF}); err == nil {
		c.Total += n
	}
	for _, step := range []func() error{c.aside, c.epochs, c.rows, c.extents, c.nameLost} {
		if err := step(); err != nil {
			return c.s.hurt(err)
		}
	}
	c.Total = c.Done
	c.report(nil)
	return nil
}

func (c *scrub) report(err error) {
	var d *Damaged
	if errors.As(err, &d) {
		c.Damaged++
		_ = c.s.hurt(err)
	}
	if c.Done > c.Total {
		c.Total = c.Done
	}
	if c.tell != nil {
		c.tell(c.Progress, d)
	}
}

// aside tells of the ranges that were set aside before: nothing of them can be looked at.
func (c *scrub) aside() error {
	for _, d := range c.s.Damage() {
		if d.index != 0 {
			c.skipped(&Damaged{Thing: d.Thing, Err: fmt.Errorf("it was set aside: %s", d.Cause)})
		}
	}
	return nil
}

// skipped tells of a range of records that could not be read.
func (c *scrub) skipped(d *Damaged) {
	c.gaps++
	c.report(d)
}

// judge passes over what is damaged, which is told, and over keys that are not here.
func (c *scrub) judge(err error) error {
	var d *Damaged
	if pebble.IsCorruptionError(err) && !errors.As(err, &d) {
		err = c.s.damagedTable(err) // a record that it needed lies in a block that cannot be read
	}
	switch {
	case err == nil, errors.Is(err, ErrKey):
		return nil
	case errors.As(err, &d):
		c.report(err)
		return nil
	}
	return err
}

// did counts octets, and tells of them now and then.
func (c *scrub) did(n int) error {
	const often = 64 << 20
	before := c.Done / often
	if c.Done += uint64(n); c.Done/often != before {
		c.report(nil)
		if c.kept {
			c.pause()
			if err := c.s.saveLedger(); err != nil {
				c.s.opt.Logger.Warn("scrub", "error", err)
			}
		}
	}
	return c.budget.Take(c.ctx, int64(n))
}

// epochs opens every epoch key.
func (c *scrub) epochs() error {
	return c.walk([]byte{tagEpoch}, func(k, v []byte) error {
		id, e, err := readEpoch(k, v)
		if err == nil {
			_, err = c.s.chain.unwrap(id, &e)
		}
		return c.judge(err)
	})
}

// rows opens every row's value.
func (c *scrub) rows() error {
	return c.walk([]byte{tagRow}, func(k, v []byte) error {
		c.Rows++
		if err := c.judge(c.row(k, v)); err != nil {
			return err
		}
		return c.did(len(k) + len(v))
	})
}

func (c *scrub) row(k, v []byte) error {
	var r row
	escaped, version, ok := rowKey(k)
	if !ok {
		return &Damaged{Thing: recordThing(k), Err: errRow}
	}
	space, key := ID(k[1:spaceLen]), unescape(nil, escaped)
	if err := r.parse(v); err != nil {
		return damagedRow(space, key, version, err)
	}
	if c.each != nil {
		c.each(k, v, &r)
	}
	_, err := c.s.openValue(space, &r, key, version)
	return firstOf(err, eachRef(c.s.db, k, &r, func(extentRef) {}))
}

// extents opens every body. What is deleted or moved meanwhile is passed over.
func (c *scrub) extents() error {
	return c.walk([]byte{tagExtent}, func(k, v []byte) error {
		c.Extents++
		id := ID(k[1:])
		var x extent
		if err := x.parse(v); err != nil {
			return c.judge(damagedExtent(id, err))
		}
		if c.held != nil {
			c.held(id, &x)
		}
		err := c.extent(id, &x)
		if errors.Is(err, ErrGone) {
			err = nil
		}
		if d := (*Damaged)(nil); errors.As(err, &d) && d.Kind == DamagedExtent && c.keep(d) {
			err = nil
		}
		if err := c.judge(err); err != nil {
			return err
		}
		return c.ctx.Err()
	})
}

// keep takes in an extent that does not open, to be told with its row.
func (c *scrub) keep(d *Damaged) bool {
	if len(c.lost) >= maxThings {
		return false
	}
	if c.lost == nil {
		c.lost = lostBodies{}
	}
	c.lost[d.claimed()] = d
	_ = c.s.hurt(d) // known from now on, though it is told with its row
	return true
}

// nameLost tells of the extents that do not open: each by the first row that needs it, where
// one does.
func (c *scrub) nameLost() error {
	if len(c.lost) == 0 {
		return nil
	}
	err := c.s.walk([]byte{tagRow}, func(*Damaged) {}, func(k, v []byte) error {
		var r row
		escaped, version, ok := rowKey(k)
		if !ok || r.parse(v) != nil {
			return nil //nolint:nilerr // told before
		}
		_ = eachRef(c.s.db, k, &r, func(e extentRef) { // what it cannot read was told before
			of, d := c.lost.of(ID(k[1:spaceLen]), e)
			if d == nil {
				return
			}
			delete(c.lost, of)
			where := d.Name()
			d.Space, d.Key, d.Version = ID(k[1:spaceLen]), unescape(nil, bytes.Clone(escaped)), version
			d.What = fmt.Sprintf("the body of key %q version %d of space %x (%s)", d.Key, version, d.Space, where)
			c.report(d)
		})
		return c.ctx.Err()
	})
	if err != nil {
		return err
	}
	for _, d := range c.lost {
		c.report(d)
	}
	c.lost = nil
	return nil
}

func (c *scrub) extent(id ID, x *extent) error {
	p := piece{extentRef: extentRef{id: id, length: x.length}, n: x.length}
	if x.inline {
		var err error
		if p.inline, err = get(c.s.db, inlineKey(x.index, x.number)); err != nil {
			return err
		}
		if p.inline == nil {
			return c.s.lostInline(id)
		}
	} else if err := c.s.pin(&p); err != nil {
		return err
	}
	defer p.unpin()
	if err := p.judgeHeader(x); err != nil {
		return err
	}
	return c.chunks(&p, x, c.openClaims(id, x))
}

// judgeHeader says whether an extent's header is this one's. Reading does without it;
// compaction and Rebuild do not.
func (p *piece) judgeHeader(x *extent) error {
	if !p.pinned {
		return nil
	}
	h, err := p.pin.Header()
	if err == nil && (h.ID != p.id || h.Clear != x.length || h.Hash != x.hash) {
		err = errors.New("its header is another's")
	}
	if err != nil {
		return p.damaged(err)
	}
	return nil
}

// lostInline says why an extent has no octets.
func (s *Store) lostInline(id ID) error {
	if _, err := s.extent(id); err != nil {
		return err
	}
	return damagedExtent(id, errors.New("its octets are missing"))
}

// chunks opens each chunk, or compares the hash of all.
func (c *scrub) chunks(p *piece, x *extent, opener *seal.Opener) error {
	span := seal.SpanOf(x.length, 0, x.length)
	r := Reader{s: c.s, span: span, buf: &c.buf}
	var sum xxhash.Digest
	sum.Reset()
	for ; r.chunk < span.End; r.chunk++ {
		sealed, err := r.sealed(p)
		if err != nil {
			return p.damaged(err)
		}
		if opener == nil {
			_, _ = sum.Write(sealed)
		} else if _, err := opener.Open(sealed[:0], sealed, r.chunk, span.Last(r.chunk)); err != nil {
			return p.damaged(err)
		}
		if err := c.did(len(sealed)); err != nil {
			return err
		}
	}
	if opener == nil && sum.Sum64() != x.hash {
		return p.damaged(errors.New("its hash is another"))
	}
	return nil
}

// Check is Scrub and more, offline: rows against extents, reference counts, usage and
// counts of epoch keys. It changes nothing.
func Check(ctx context.Context, o Options, report func(Progress, *Damaged)) (Progress, error) {
	o.Quiet = true
	s, err := openOffline(o, true)
	if err != nil {
		return Progress{}, err
	}
	defer func() { _ = s.Close() }()
	c := &scrub{s: s, ctx: ctx, tell: report}
	t := newTally(c)
	if err := c.all(); err != nil {
		return c.Progress, fmt.Errorf("check %s: %w", o.Dir, err)
	}
	if c.gaps > 0 {
		c.report(&Damaged{
			What: "the counts of " + o.Dir,
			Err:  errors.New("they were not compared, since rows are lost"),
		})
		return c.Progress, nil
	}
	if err := t.compare(); err != nil {
		return c.Progress, fmt.Errorf("check %s: %w", o.Dir, err)
	}
	return c.Progress, nil
}

// Rebuild makes the index of extents anew from the segments' headers, offline.
func Rebuild(ctx context.Context, o Options, report func(Progress, *Damaged)) (Progress, error) {
	o.Quiet = true
	s, err := openOffline(o, false)
	if errors.Is(err, errRowsGone) {
		return Progress{}, errors.Join(err, unneeded(ctx, o, report))
	}
	if err != nil {
		return Progress{}, err
	}
	defer func() { _ = s.Close() }()
	b := &rebuild{s: s, ctx: ctx, tell: report}
	if err := b.all(); err != nil {
		return b.Progress, fmt.Errorf("rebuild %s: %w", o.Dir, err)
	}
	return b.Progress, nil
}

// rebuild is one run.
type rebuild struct {
	Progress
	s      *Store
	ctx    context.Context
	tell   func(Progress, *Damaged)
	batch  *pebble.Batch
	spoilt map[ID]segment.Ref
}

func (b *rebuild) all() error {
	b.batch = b.s.db.NewBatch()
	defer func() { b.batch.Close() }()
	b.Total = uint64(b.s.files.Stats().Size)
	if err := b.s.files.Walk(b.found, b.foundSpoilt); err != nil {
		return err
	}
	if err := firstOf(b.keepSpoilt(), b.dropStale()); err != nil {
		return err
	}
	if err := b.batch.Commit(pebble.Sync); err != nil {
		return err
	}
	b.Done = b.Total
	return b.missing()
}

// foundSpoilt remembers a place with a good header and a chunk that has rotted: where there
// is no whole copy, the chunks that are whole can still be read there.
func (b *rebuild) foundSpoilt(r segment.Ref, h segment.Header) error {
	if x, err := b.s.extent(h.ID); err != nil || x.inline || x.length != h.Clear || x.hash != h.Hash {
		return b.ctx.Err() //nolint:nilerr // nothing needs it, or missing tells
	}
	if b.spoilt == nil {
		b.spoilt = map[ID]segment.Ref{}
	}
	if b.spoilt[h.ID] = r; len(b.spoilt) == maxSpoilt {
		return firstOf(b.keepSpoilt(), b.ctx.Err()) // a whole copy that is found later takes the place
	}
	return b.ctx.Err()
}

// maxSpoilt bounds the places of spoilt extents that are kept in mind. Tests change it.
var maxSpoilt = 1 << 18

// keepSpoilt gives spoilt extents that have no whole copy their place, and tells of them.
func (b *rebuild) keepSpoilt() error {
	if err := b.next(); err != nil {
		return err
	}
	for id, r := range b.spoilt {
		at, ok, err := b.s.place(id)
		if err != nil {
			return err
		}
		if x, err := b.s.extent(id); err == nil && ok && at != r && b.stands(id, &x) {
			continue // there is a whole copy
		}
		b.report(damagedExtent(id, errRotten))
		if err := b.batch.Set(placeKey(id), r.Append(nil), nil); err != nil {
			return err
		}
	}
	clear(b.spoilt)
	return nil
}

// errRotten: an extent's place is known, and a chunk of it does not open.
var errRotten = errors.New("a part of it has rotted; the rest can be read")

// stands says whether an extent's place leads to its header.
func (b *rebuild) stands(id ID, x *extent) bool {
	p := piece{extentRef: extentRef{id: id, length: x.length}, n: x.length}
	if b.s.pin(&p) != nil {
		return false
	}
	defer p.unpin()
	return p.judgeHeader(x) == nil
}

// dropStale drops the places that lead nowhere, and those of extents that are no more. Until
// then all places stay, so that a rebuild that was interrupted has made nothing worse.
func (b *rebuild) dropStale() error {
	if err := b.next(); err != nil {
		return err
	}
	prefix := []byte{tagLocal, localExtent}
	return b.s.walk(prefix, b.report, func(k, _ []byte) error {
		id := ID(k[len(prefix):])
		x, err := b.s.extent(id)
		if err != nil && !errors.Is(err, ErrGone) || err == nil && b.stands(id, &x) {
			return b.ctx.Err()
		}
		return firstOf(b.ctx.Err(), b.batch.Delete(placeKey(id), nil))
	})
}

// next writes what was found so far, and begins another batch.
func (b *rebuild) next() error {
	if err := b.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	b.batch.Close()
	b.batch = b.s.db.NewBatch()
	return nil
}

// rebuildBatch is how many octets a rebuild writes at a time.
const rebuildBatch = 4 << 20

// found keeps an extent's place where it is what its record says.
func (b *rebuild) found(r segment.Ref, h segment.Header) error {
	b.Done += uint64(r.Sealed)
	x, err := b.s.extent(h.ID)
	if errors.Is(err, ErrGone) {
		return b.ctx.Err() // deleted, or never committed
	}
	if pebble.IsCorruptionError(err) {
		err = b.s.hurt(err) // its record lies in a block that cannot be read; missing tells of that
	}
	if d := (*Damaged)(nil); errors.As(err, &d) {
		b.report(d)
		return nil
	}
	if err != nil {
		return err
	}
	if x.inline || x.length != h.Clear || x.hash != h.Hash {
		return nil
	}
	b.report(nil)
	err = firstOf(b.ctx.Err(), b.batch.Set(placeKey(h.ID), r.Append(nil), nil))
	if err == nil && b.batch.Len() > rebuildBatch {
		err = b.next()
	}
	return err
}

func (b *rebuild) report(d *Damaged) {
	if d != nil {
		b.Damaged++
	}
	if b.tell != nil {
		b.tell(b.Progress, d)
	}
}

// missing tells of extents that are in no segment.
func (b *rebuild) missing() error {
	return b.s.walk([]byte{tagExtent}, b.report, func(k, v []byte) error {
		var x extent
		id := ID(k[1:])
		b.Extents++
		if err := x.parse(v); err != nil || x.inline {
			return nil //nolint:nilerr // told by found
		}
		if _, ok, err := b.s.place(id); err != nil || ok {
			return err
		}
		b.report(damagedExtent(id, errors.New("it lies in no segment")))
		return b.ctx.Err()
	})
}
