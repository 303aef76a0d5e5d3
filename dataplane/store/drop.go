package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Drop gives up what is damaged, offline, and reports each thing that it gives up: a row that
// does not open or whose body does not, an epoch key, a range of rows that cannot be read. Then it makes the
// counts anew, so that what only the lost rows needed is used again. What it reports with an
// error that matches ErrKept it could not give up.
func Drop(ctx context.Context, o Options, report func(Progress, *Damaged)) (Progress, error) {
	o.Quiet = true
	if err := standIns(o); err != nil {
		return Progress{}, fmt.Errorf("replace the tables that are gone from %s: %w", o.Dir, err)
	}
	s, err := Open(o)
	if err != nil {
		return Progress{}, err
	}
	d := &drop{s: s, ctx: ctx, tell: report}
	err = d.all()
	if cerr := s.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return d.Progress, fmt.Errorf("drop what is damaged in %s: %w", o.Dir, err)
	}
	return d.Progress, nil
}

// ErrKept is matched by reports of Drop about what it could not give up.
var ErrKept = errors.New("it stays")

// drop is one run.
type drop struct {
	Progress
	s     *Store
	ctx   context.Context
	tell  func(Progress, *Damaged)
	found []*Damaged
	lost  lostBodies // whose rows go
}

// maxLooks bounds how often Drop looks again because ranges were given up.
const maxLooks = 16

// all looks for damage until nothing more is found: one look keeps at most maxThings in mind. Only where a
// range that cannot be read has been given up is it known which bodies went with it, and a further look finds
// the rows that needed them.
func (d *drop) all() error {
	for looks := 1; ; looks++ {
		d.found, d.lost = nil, lostBodies{}
		c := &scrub{s: d.s, ctx: d.ctx, tell: d.take}
		if err := c.all(); err != nil {
			return err
		}
		d.Rows, d.Extents, d.Total, d.Done = c.Rows, c.Extents, c.Total, c.Done
		full := len(d.found) == maxThings
		if err := firstOf(d.giveUp(), d.recount(), d.ctx.Err()); err != nil {
			return err
		}
		ranged := slices.ContainsFunc(d.found, func(one *Damaged) bool { return one.Kind == DamagedRange })
		if !full && (!ranged || looks == maxLooks) {
			return nil
		}
	}
}

func (d *drop) take(p Progress, one *Damaged) {
	switch {
	case one == nil:
		d.report(p, nil)
	case len(d.found) < maxThings:
		d.found = append(d.found, one)
	}
}

func (d *drop) report(p Progress, one *Damaged) {
	if one != nil && !errors.Is(one.Err, ErrKept) {
		d.Damaged++
	}
	p.Damaged = d.Damaged
	if d.tell != nil {
		d.tell(p, one)
	}
}

// giveUp gives up what was found, each thing by its kind.
func (d *drop) giveUp() error {
	if err := d.setAside(); err != nil {
		return err
	}
	for _, one := range d.found {
		switch one.Kind {
		case DamagedRow:
			if err := d.row(appendVersion(appendKey(nil, tagRow, one.Space, one.Key), one.Version)); err != nil {
				return err
			}
			d.report(d.Progress, one)
		case DamagedExtent:
			d.lost[one.claimed()] = one // each row that needs it is told
		case DamagedEpoch: // its bodies are lost, and a new one of its day can be made
			if err := d.row(one.From); err != nil {
				return err
			}
			d.report(d.Progress, one)
		case DamagedRange:
			d.report(d.Progress, one)
		case DamagedRecord: // counts are made anew
		default:
			one.Err = fmt.Errorf("%w: %w", ErrKept, one.Err)
			d.report(d.Progress, one)
		}
	}
	for _, gap := range d.s.Damage() {
		if gap.index != 0 {
			d.s.ledger.heal(gap.From, gap.To)
		}
	}
	return firstOf(d.rowsOfLost(), d.s.saveLedger())
}

// setAside has the tables set aside in which a block could not be read.
func (d *drop) setAside() error {
	for _, one := range d.found {
		if one.Kind == DamagedRange && one.File != "" {
			d.s.ailing.report(one.File)
		}
	}
	return d.s.setAside(d.ctx)
}

// row deletes a row, or another record, as it is stored. What counts it is made anew later.
func (d *drop) row(k []byte) error {
	return d.s.write(func() error { return d.s.db.Delete(k, pebble.NoSync) })
}

// rowsOfLost deletes and reports the rows that need extents which are lost.
func (d *drop) rowsOfLost() error {
	if len(d.lost) == 0 {
		return nil
	}
	return d.s.walk([]byte{tagRow}, func(*Damaged) {}, func(k, v []byte) error {
		var r row
		escaped, version, ok := rowKey(k)
		if !ok || r.parse(v) != nil {
			return nil //nolint:nilerr // the scrub told of it
		}
		var need *extentRef
		_ = eachRef(d.s.db, k, &r, func(e extentRef) { // what it cannot read was reported before
			if _, lost := d.lost.of(ID(k[1:spaceLen]), e); lost != nil && need == nil {
				need = &e
			}
		})
		if need == nil {
			return d.ctx.Err()
		}
		thing := Thing{
			Kind: DamagedExtent, Space: ID(k[1:spaceLen]), Key: unescape(nil, bytes.Clone(escaped)), Version: version,
			Extent: need.id,
		}
		d.report(d.Progress, &Damaged{Thing: thing, Err: errors.New("its body does not open")})
		return firstOf(d.row(k), d.ctx.Err())
	})
}
