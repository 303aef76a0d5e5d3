package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"
)

// DamageKind says what kind of thing is damaged.
type DamageKind string

// The kinds of damaged things.
const (
	DamagedRow     DamageKind = "row"
	DamagedExtent  DamageKind = "extent"
	DamagedEpoch   DamageKind = "epoch key"
	DamagedRecord  DamageKind = "record"        // of usage, counts, places, erased spaces
	DamagedRange   DamageKind = "range of rows" // blocks of a table that cannot be read
	DamagedSegment DamageKind = "segment"
	DamagedFile    DamageKind = "file"
)

var damageKinds = [...]DamageKind{
	DamagedRow, DamagedExtent, DamagedEpoch, DamagedRecord, DamagedRange, DamagedSegment, DamagedFile,
}

// Thing names one damaged thing; its zero fields do not apply.
type Thing struct {
	Kind     DamageKind
	Space    ID
	Key      []byte // of the object's row, where it is known
	Version  Version
	Extent   ID
	From, To []byte // of a range: keys of the database, To exclusive
	File     string
}

// Damage is one entry of the store's ledger of damage.
type Damage struct {
	Thing
	Cause       string
	First, Last time.Time
	Lost        bool // recorded as lost for good: nothing waits for it any more

	index uint64 // of a range that was set aside: the last command before that
}

// thingID tells things apart.
type thingID struct {
	kind   DamageKind
	name   string // what names it within its kind
	number uint64
}

func (t *Thing) id() thingID {
	id := thingID{kind: t.Kind}
	switch t.Kind {
	case DamagedExtent:
		id.name = string(t.Extent[:])
	case DamagedRange:
		id.name = t.File + "\x00" + string(t.From)
	case DamagedSegment, DamagedFile:
		id.name = t.File
	default:
		id.name, id.number = string(t.Space[:])+string(t.Key)+string(t.From), uint64(t.Version)
	}
	return id
}

// In is the space that the thing belongs to; false where it is of none or of several.
func (t *Thing) In() (ID, bool) {
	if t.Kind != DamagedRange {
		return t.Space, t.Space != ID{}
	}
	if len(t.From) < spaceLen || len(t.To) < spaceLen || t.From[0] != tagRow ||
		!bytes.Equal(t.From[:spaceLen], t.To[:spaceLen]) {
		return ID{}, false
	}
	return ID(t.From[1:spaceLen]), true
}

// String names the thing for people.
func (t *Thing) String() string {
	switch t.Kind {
	case DamagedRow:
		return fmt.Sprintf("row %q version %d of space %x", t.Key, t.Version, t.Space)
	case DamagedExtent:
		if t.Key != nil {
			return fmt.Sprintf("the body of key %q version %d of space %x (extent %x)", t.Key, t.Version, t.Space,
				t.Extent)
		}
		return fmt.Sprintf("extent %x", t.Extent)
	case DamagedRange:
		return fmt.Sprintf("rows from %s to %s in %s", nameKey(t.From), nameKey(t.To), t.File)
	case DamagedSegment, DamagedFile:
		return t.File
	}
	return fmt.Sprintf("%s %x", t.Kind, t.From)
}

// nameKey names a key of the database for people: a row by its space and key.
func nameKey(k []byte) string {
	if len(k) < spaceLen || k[0] != tagRow {
		return fmt.Sprintf("%x", k)
	}
	escaped := k[spaceLen:]
	if end := keyEnd(escaped); end >= 0 {
		escaped = escaped[:end]
	}
	return fmt.Sprintf("key %q of space %x", unescape(nil, escaped), k[1:spaceLen])
}

// scrubRun is how the last scrub went, or how the one that runs goes.
type scrubRun struct {
	Progress
	began, ended time.Time
	at           []byte // where it goes on after an interruption
}

// maxThings bounds the ledger; things beyond it are only counted.
const maxThings = 10_000

// damageLedger is the store's list of what is damaged: each thing once, however often it is met.
// It is kept in memory and in the file `damage`, which saveLedger replaces as a whole. An
// entry goes when its thing was deleted or overwritten, or when a later scrub reads it well.
// mu guards what is known; saving orders those who write the file and comes before mu.
type damageLedger struct {
	gaps   atomic.Pointer[[]gap] // the ranges that were set aside, in order; see gap.go
	saving sync.Mutex
	mu     struct {
		sync.Mutex
		things  map[thingID]*Damage
		beyond  map[DamageKind]uint64
		last    scrubRun // the last that ended
		going   scrubRun // the one that runs or was interrupted
		changed bool
	}
}

// enter takes in a damaged thing and says whether it is new.
func (l *damageLedger) enter(t Thing, cause string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.changed = true
	id := t.id()
	if d := l.mu.things[id]; d != nil {
		d.Last = now
		if d.Key == nil && t.Key != nil {
			d.Thing = t // the row that needs it is known now
		}
		return false
	}
	if len(l.mu.things) >= maxThings {
		if l.mu.beyond == nil {
			l.mu.beyond = map[DamageKind]uint64{}
		}
		l.mu.beyond[t.Kind]++
		return true
	}
	l.putLocked(&Damage{Thing: t, Cause: cause, First: now, Last: now})
	return true
}

func (l *damageLedger) putLocked(d *Damage) {
	if l.mu.things == nil {
		l.mu.things = map[thingID]*Damage{}
	}
	l.mu.things[d.id()] = d
	l.mu.changed = true
}

// lose records that a thing is lost for good.
func (l *damageLedger) lose(t Thing, cause string, now time.Time) {
	l.enter(t, cause, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.mu.things[t.id()]; d != nil {
		d.Lost = true
	}
}

// isLost says whether a thing is recorded as lost for good.
func (l *damageLedger) isLost(t Thing) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.mu.things[t.id()]
	return d != nil && d.Lost
}

// forget drops the entry of a thing that was deleted or overwritten.
func (l *damageLedger) forget(t Thing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id := t.id(); l.mu.things[id] != nil {
		delete(l.mu.things, id)
		l.mu.changed = true
	}
}

// forgetWhere drops the entries of which f is true.
func (l *damageLedger) forgetWhere(f func(d *Damage) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := len(l.mu.things)
	maps.DeleteFunc(l.mu.things, func(_ thingID, d *Damage) bool { return f(d) })
	l.mu.changed = l.mu.changed || len(l.mu.things) != before
}

// goOn gives the run that was interrupted, or begins one.
func (l *damageLedger) goOn(now time.Time) scrubRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.going.began.IsZero() {
		l.mu.going = scrubRun{began: now}
		l.mu.changed = true
	}
	return l.mu.going
}

// goes notes how far a run came.
func (l *damageLedger) goes(r scrubRun) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.going, l.mu.changed = r, true
}

// scrubbed keeps the result of a run that ended, and drops what it did not meet. Where there are
// ranges that could not be read, or were set aside, that may lie in these, and stays.
func (l *damageLedger) scrubbed(r scrubRun) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gap := false
	for _, d := range l.mu.things {
		gap = gap || d.index != 0 || d.Kind == DamagedRange && !d.Last.Before(r.began)
	}
	if !gap {
		maps.DeleteFunc(l.mu.things, func(_ thingID, d *Damage) bool { return d.Last.Before(r.began) })
		l.mu.beyond = nil
	}
	l.mu.last, l.mu.going, l.mu.changed = r, scrubRun{}, true
}

// runs are the last scrub that ended and the one that goes on; zero where there is none.
func (l *damageLedger) runs() (last, going scrubRun) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.last, l.mu.going
}

func (l *damageLedger) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.mu.things) == 0
}

func (l *damageLedger) all() []Damage {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Damage, 0, len(l.mu.things))
	for _, d := range l.mu.things {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b Damage) int {
		x, y := a.id(), b.id()
		return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.name, y.name), cmp.Compare(x.number, y.number))
	})
	return out
}

func (l *damageLedger) counts() map[DamageKind]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := maps.Clone(l.mu.beyond)
	if out == nil {
		out = map[DamageKind]uint64{}
	}
	for _, d := range l.mu.things {
		out[d.Kind]++
	}
	return out
}

// Damage is what is known to be damaged, in order: each thing once.
func (s *Store) Damage() []Damage { return s.ledger.all() }

// DamageCounts is how many things of each kind are damaged.
func (s *Store) DamageCounts() map[DamageKind]uint64 { return s.ledger.counts() }

// damagedThings is how many things are damaged.
func (s *Store) damagedThings() (n uint64) {
	for _, k := range s.ledger.counts() {
		n += k
	}
	return n
}

// hurt enters what is damaged in the ledger and passes the error on. What Pebble found
// damaged becomes a *Damaged. A thing is logged when it is met first.
func (s *Store) hurt(err error) error {
	var d *Damaged
	if pebble.IsCorruptionError(err) && !errors.As(err, &d) {
		err = s.damagedTable(err)
	}
	if errors.As(err, &d) && s.ledger.enter(d.Thing, fmt.Sprint(d.Err), s.now()) {
		s.opt.Logger.Error("stored data is damaged", "what", d.Name(), "error", d.Err)
	}
	return err
}

// damagedTable names the table and its keys where Pebble says which it is.
func (s *Store) damagedTable(err error) *Damaged {
	what := "the rows' database in " + s.opt.Dir
	i := pebble.ExtractDataCorruptionInfo(err)
	if i == nil {
		return &Damaged{Thing: fileThing(s.opt.Dir), What: what, Err: err}
	}
	return &Damaged{Thing: tableThing(i), What: what, Err: err}
}

func tableThing(i *pebble.DataCorruptionInfo) Thing {
	to := bytes.Clone(i.Bounds.End.Key)
	if i.Bounds.End.Kind == 0 { // inclusive
		to = append(to, 0)
	}
	return Thing{Kind: DamagedRange, From: bytes.Clone(i.Bounds.Start), To: to, File: i.Path}
}

// recordThing names a record by its key in the database.
func recordThing(k []byte) Thing {
	t := Thing{Kind: DamagedRecord, From: bytes.Clone(k)}
	if len(k) >= spaceLen && k[0] != tagExtent {
		t.Space = ID(k[1:spaceLen])
	}
	return t
}

func fileThing(name string) Thing { return Thing{Kind: DamagedFile, File: name} }

func damagedExtent(id ID, err error) *Damaged {
	return &Damaged{Thing: Thing{Kind: DamagedExtent, Extent: id}, Err: err}
}

// The file is the octets of a storev1.Ledger behind their XXH64 (8, big endian).
const ledgerHeader = 8

// mostLedger bounds what is read of the file: maxThings of two keys each.
const mostLedger = maxThings * (2*MaxKey + 1<<10)

func (s *Store) ledgerName() string { return s.fs.PathJoin(s.opt.Dir, "damage") }

// loadLedger reads the ledger. A damaged one is told of and begins anew: that it is lost
// keeps nobody from what is not.
func (s *Store) loadLedger() {
	b, err := readLedger(s.rowsFS(), s.ledgerName())
	if err == nil {
		err = s.ledger.decode(b)
	}
	if err != nil {
		_ = s.hurt(&Damaged{What: s.ledgerName(), Err: err, Thing: fileThing(s.ledgerName())})
	}
}

func readLedger(disk vfs.FS, name string) ([]byte, error) {
	file, err := disk.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing is damaged
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, mostLedger))
}

func (l *damageLedger) decode(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if len(b) < ledgerHeader || xxhash.Sum64(b[ledgerHeader:]) != binary.BigEndian.Uint64(b) {
		return errors.New("its hash is another")
	}
	var m storev1.Ledger
	if err := proto.Unmarshal(b[ledgerHeader:], &m); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range m.Things {
		l.putLocked(decodeDamage(t))
	}
	l.findGapsLocked()
	l.mu.changed = false
	for kind, n := range m.Uncounted {
		if l.mu.beyond == nil {
			l.mu.beyond = map[DamageKind]uint64{}
		}
		l.mu.beyond[DamageKind(kind)] = n
	}
	l.mu.last, l.mu.going = decodeRun(m.GetScrub()), decodeRun(m.GetGoing())
	return nil
}

func decodeRun(r *storev1.ScrubRun) scrubRun {
	return scrubRun{
		began: timeOf(r.GetBegan()), ended: timeOf(r.GetEnded()), at: r.GetAt(),
		Progress: Progress{
			Done: r.GetDone(), Total: r.GetTotal(), Damaged: r.GetDamaged(), Extents: r.GetExtents(), Rows: r.GetRows(),
		},
	}
}

func (r *scrubRun) encode() *storev1.ScrubRun {
	return &storev1.ScrubRun{
		Began: nanoseconds(r.began), Ended: nanoseconds(r.ended), At: r.at,
		Done: r.Done, Total: r.Total, Damaged: r.Damaged, Extents: r.Extents, Rows: r.Rows,
	}
}

func (l *damageLedger) encodeLocked() ([]byte, error) {
	m := &storev1.Ledger{Uncounted: map[string]uint64{}}
	for _, d := range l.mu.things {
		m.Things = append(m.Things, d.encode())
	}
	for kind, n := range l.mu.beyond {
		m.Uncounted[string(kind)] = n
	}
	m.Scrub, m.Going = l.mu.last.encode(), l.mu.going.encode()
	b, err := proto.MarshalOptions{}.MarshalAppend(make([]byte, ledgerHeader), m)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint64(b, xxhash.Sum64(b[ledgerHeader:]))
	return b, nil
}

func (d *Damage) encode() *storev1.DamagedThing {
	t := &storev1.DamagedThing{
		Kind: string(d.Kind), Key: d.Key, Version: uint64(d.Version), From: d.From, To: d.To, File: d.File,
		Cause: d.Cause, First: nanoseconds(d.First), Last: nanoseconds(d.Last), Lost: d.Lost, Index: d.index,
	}
	if d.Space != (ID{}) {
		t.Space = d.Space[:]
	}
	if d.Extent != (ID{}) {
		t.Extent = d.Extent[:]
	}
	return t
}

func decodeDamage(t *storev1.DamagedThing) *Damage {
	d := &Damage{
		Thing: Thing{
			Kind: DamageKind(t.Kind), Key: t.Key, Version: Version(t.Version), From: t.From, To: t.To,
			File: t.File,
		},
		Cause: t.Cause, First: timeOf(t.First), Last: timeOf(t.Last), Lost: t.Lost, index: t.Index,
	}
	copy(d.Space[:], t.Space)
	copy(d.Extent[:], t.Extent)
	return d
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeOf(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return unix(nanoseconds)
}

// saveLedger writes the ledger where it changed: a new file takes the place of the old one.
func (s *Store) saveLedger() error {
	l := &s.ledger
	l.saving.Lock()
	defer l.saving.Unlock()
	l.mu.Lock()
	if !l.mu.changed {
		l.mu.Unlock()
		return nil
	}
	b, err := l.encodeLocked()
	l.mu.changed = false
	l.mu.Unlock()
	if err == nil {
		err = replaceFile(s.rowsFS(), s.ledgerName(), b)
	}
	if err != nil {
		l.mu.Lock()
		l.mu.changed = true
		l.mu.Unlock()
		return fmt.Errorf("write the ledger of damage: %w", err)
	}
	return nil
}

// replaceFile puts octets in the place of a file, durably: after a crash it is the old one or
// the new one.
func replaceFile(fs vfs.FS, name string, b []byte) error {
	file, err := fs.Create(name+".new", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	err = firstOf(err, file.Sync())
	if err := firstOf(err, file.Close()); err != nil {
		return err
	}
	if err := fs.Rename(name+".new", name); err != nil {
		return err
	}
	dir, err := fs.OpenDir(fs.PathDir(name))
	if err != nil {
		return err
	}
	err = dir.Sync()
	return firstOf(err, dir.Close())
}
