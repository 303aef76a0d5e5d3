package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// outcome is what a command came to, and what the member has to do about it.
type outcome struct {
	index   uint64
	results []Result
	removed []ID // extents, not inline, that nobody needs any more
	erased  []ID
}

// machine is the state that a cell's members share. It is pure: what Apply does follows
// from the rows that are there, the index and the command, and from nothing else. Its
// owner, a Log, applies one command at a time.
type machine struct {
	db      *pebble.DB
	applied uint64
	erased  erasures // spaces that were erased
	most    uint32   // versions of one key
	ledger  *damageLedger
	c       change // of the command that is applied
}

// erasures may also be read by who does not own the machine.
type erasures struct {
	mu struct {
		sync.RWMutex
		ids map[ID]bool
	}
}

func (e *erasures) has(space ID) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.mu.ids[space]
}

func (e *erasures) all() []ID {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return slices.Collect(maps.Keys(e.mu.ids))
}

func (e *erasures) add(space ID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.ids == nil {
		e.mu.ids = map[ID]bool{}
	}
	e.mu.ids[space] = true
}

func newMachine(db *pebble.DB, l *damageLedger) (*machine, error) {
	m := &machine{db: db, most: MaxVersions, ledger: l}
	m.c.machine = m
	v, err := get(db, appliedKey)
	if err != nil {
		return m, fmt.Errorf("read the applied index: %w", err)
	}
	if len(v) == 8 {
		m.applied = binary.BigEndian.Uint64(v)
	}
	return m, eachKey(db, []byte{tagErased}, func(k, _ []byte) error {
		m.erased.add(ID(k[1:]))
		return nil
	})
}

// Apply judges a command and puts all that it changes into the batch; after an error
// (*Refused, ErrErased, ErrTooLarge: the command's; others: the database's) the batch is
// to be dropped. batch is indexed if the command has more than one op.
func (m *machine) Apply(batch *pebble.Batch, index uint64, cmd *storev1.Command) (outcome, error) {
	c := &m.c
	c.begin(batch, index, cmd)
	for i, op := range cmd.Ops {
		if err := c.apply(op); err != nil {
			var r *Refused
			if errors.As(err, &r) {
				r.Op = i
			}
			return outcome{}, err
		}
	}
	if err := c.settle(); err != nil {
		return outcome{}, err
	}
	return c.outcome, nil
}

// done is told that the batch that Apply filled was written.
func (m *machine) done(out *outcome) {
	m.applied = out.index
	for _, id := range out.erased {
		m.erased.add(id)
	}
}

// change is one command being applied: what it read and will write.
type change struct {
	*machine
	outcome
	batch   *pebble.Batch
	read    pebble.Reader // the database, or the batch over it
	time    int64
	extents map[ID]*extentChange
	epochs  map[epochID]*epochChange
	usage   map[ID]*Usage
	quotas  []quota
	brought uint32 // inline extents so far
	buf     []byte
}

type extentChange struct {
	extent
	there  bool // in the database
	inline []byte
}

type epochID struct {
	space ID
	name  string
	epoch uint32
}

type epochChange struct {
	epoch
	there bool
	dirty bool
}

type quota struct {
	op    int
	space ID
	cond  *storev1.Condition
}

func (c *change) begin(batch *pebble.Batch, index uint64, cmd *storev1.Command) {
	*c = change{
		machine: c.machine, outcome: outcome{index: index, results: make([]Result, 0, len(cmd.Ops))},
		batch: batch, read: c.db, time: cmd.Time, extents: c.extents, epochs: c.epochs, usage: c.usage, buf: c.buf,
	}
	if batch.Indexed() {
		c.read = batch
	}
	if c.extents == nil || len(c.extents) > 1000 {
		c.extents = map[ID]*extentChange{}
		c.epochs = map[epochID]*epochChange{}
		c.usage = map[ID]*Usage{}
	}
	clear(c.extents)
	clear(c.epochs)
	clear(c.usage)
}

func (c *change) apply(op *storev1.Op) error {
	if err := sound(op); err != nil {
		return err
	}
	if len(op.Space) != len(ID{}) {
		if do, ok := op.Op.(*storev1.Op_Horizon); ok {
			return c.horizon(do.Horizon)
		}
		return fmt.Errorf("a space's identity of %d octets: %w", len(op.Space), ErrTooLarge)
	}
	space := ID(op.Space)
	if _, ok := op.Op.(*storev1.Op_Empty); c.machine.erased.has(space) && !ok {
		return ErrErased
	}
	res, err := c.one(space, op)
	c.results = append(c.results, res)
	return err
}

func (c *change) one(space ID, op *storev1.Op) (Result, error) {
	switch do := op.Op.(type) {
	case *storev1.Op_Put:
		return c.put(space, op, do.Put)
	case *storev1.Op_Delete:
		return c.delete(space, op, do.Delete)
	case *storev1.Op_Amend:
		return c.amend(space, op, do.Amend)
	case *storev1.Op_DropPrefix:
		return Result{}, c.dropPrefix(space, op.Key)
	case *storev1.Op_Horizon:
		return Result{}, c.horizon(do.Horizon)
	case *storev1.Op_Epoch:
		return Result{}, c.addEpoch(space, do.Epoch)
	case *storev1.Op_DropEpoch:
		return Result{}, c.dropEpoch(space, do.DropEpoch)
	case *storev1.Op_Rewrap:
		return Result{}, c.rewrap(space, do.Rewrap)
	case *storev1.Op_Erase:
		return Result{}, c.erase(space)
	case *storev1.Op_Empty:
		return Result{}, c.empty(space, int(do.Empty))
	}
	return Result{}, c.require(space, op)
}

// settle writes what the ops left in memory, and judges quotas.
func (c *change) settle() error {
	for id, x := range c.extents {
		if err := c.settleExtent(id, x); err != nil {
			return err
		}
	}
	for id, e := range c.epochs {
		if e.dirty {
			c.buf = e.append(c.buf[:0])
			_ = c.batch.Set(epochKey(id.space, id.name, id.epoch), c.buf, nil) // never fails before its commit
		}
	}
	for space, u := range c.usage {
		c.buf = u.append(c.buf[:0])
		_ = c.batch.Set(idKey(tagUsage, space), c.buf, nil) // never fails before its commit
	}
	for _, q := range c.quotas {
		if err := q.judge(c.usage[q.space]); err != nil {
			return err
		}
	}
	return c.batch.Set(appliedKey, binary.BigEndian.AppendUint64(c.buf[:0], c.index), nil)
}

// settleExtent writes an extent, or removes it where nobody holds it any more. An epoch key
// that cannot be read fails the command: its count of holds would be wrong for ever.
func (c *change) settleExtent(id ID, x *extentChange) error {
	kept := x.holds[:0]
	for _, h := range x.holds {
		if h.references > 0 {
			kept = append(kept, h)
			continue
		}
		e, err := c.epoch(h.space, h.name, h.epoch)
		if err != nil {
			return err
		}
		if e.there || e.dirty {
			e.holds--
			e.dirty = true
		}
	}
	x.holds = kept
	if len(kept) > 0 {
		c.buf = x.append(c.buf[:0])
		_ = c.batch.Set(idKey(tagExtent, id), c.buf, nil) // never fails before its commit
		if x.extentInline() {
			_ = c.batch.Set(inlineKey(x.index, x.number), x.inline, nil) // never fails before its commit
		}
		return nil
	}
	if x.there {
		_ = c.batch.Delete(idKey(tagExtent, id), nil) // never fails before its commit
		if x.extent.inline {
			_ = c.batch.Delete(inlineKey(x.index, x.number), nil) // never fails before its commit
		}
	}
	if !x.extent.inline {
		c.removed = append(c.removed, id)
	}
	return nil
}

// extentInline: its octets came with this command.
func (x *extentChange) extentInline() bool { return len(x.inline) > 0 }

// load gives an extent as this command has left it so far; one that is not there has no
// holds.
func (c *change) load(id ID) (*extentChange, error) {
	if x, ok := c.extents[id]; ok {
		return x, nil
	}
	x := &extentChange{}
	v, err := get(c.db, idKey(tagExtent, id))
	if err != nil {
		return nil, err
	}
	if v != nil {
		if err := x.parse(v); err != nil {
			return nil, damagedExtent(id, err)
		}
		x.there = true
	}
	c.extents[id] = x
	return x, nil
}

func (c *change) epoch(space ID, name string, number uint32) (*epochChange, error) {
	id := epochID{space, name, number}
	if e, ok := c.epochs[id]; ok {
		return e, nil
	}
	e := &epochChange{}
	k := epochKey(space, name, number)
	v, err := get(c.db, k)
	if err != nil {
		return nil, err
	}
	if v != nil {
		if err := e.parse(v); err != nil {
			return nil, damagedEpoch(id, err)
		}
		e.there = true
	}
	c.epochs[id] = e
	return e, nil
}

func (c *change) used(space ID) (*Usage, error) {
	if u, ok := c.usage[space]; ok {
		return u, nil
	}
	u := &Usage{}
	if err := readUsage(c.db, space, u); err != nil {
		return nil, err
	}
	c.usage[space] = u
	return u, nil
}

func readUsage(r pebble.Reader, space ID, u *Usage) error {
	v, err := get(r, idKey(tagUsage, space))
	if err != nil || v == nil {
		return err
	}
	if err := u.parse(v); err != nil {
		return &Damaged{
			Thing: recordThing(idKey(tagUsage, space)), What: fmt.Sprintf("usage of space %x", space),
			Err: err,
		}
	}
	return nil
}

// get reads a record, nil where there is none; the octets are the caller's.
func get(r pebble.Reader, k []byte) ([]byte, error) {
	v, closer, err := r.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}

// eachKey goes over all records whose keys begin with prefix, as they are at one time.
func eachKey(r pebble.Reader, prefix []byte, f func(k, v []byte) error) error {
	_, err := someKeys(r, prefix, after(prefix), math.MaxInt, f)
	return err
}

// stepKeys is how many records eachKeyInSteps reads with one iterator.
const stepKeys = 64

// eachKeyInSteps goes over all records whose keys begin with prefix. An iterator keeps the
// tables that it began with on the disk, and destroyed keys in them: what takes long takes a
// new one every few records.
func eachKeyInSteps(r pebble.Reader, prefix []byte, f func(k, v []byte) error) (err error) {
	for from := prefix; from != nil && err == nil; {
		from, err = someKeys(r, from, after(prefix), stepKeys, f)
	}
	return err
}

// someKeys goes over at most so many records, and says where the next one is; after an error,
// where it is at least.
func someKeys(r pebble.Reader, from, to []byte, most int, f func(k, v []byte) error) (next []byte, err error) {
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return from, err
	}
	defer iter.Close()
	next = from
	for iter.First(); iter.Valid(); iter.Next() {
		if most--; most < 0 {
			return bytes.Clone(iter.Key()), nil
		}
		v, err := iter.ValueAndErr()
		if err != nil {
			return next, err
		}
		if err := f(iter.Key(), v); err != nil {
			return next, err
		}
		next = append(bytes.Clone(iter.Key()), 0)
	}
	if err := iter.Error(); err != nil {
		return next, err
	}
	return nil, nil
}

func sameKey(iter *pebble.Iterator, prefix []byte) bool {
	return iter.Valid() && bytes.HasPrefix(iter.Key(), prefix) && len(iter.Key()) == len(prefix)+versionLen
}
