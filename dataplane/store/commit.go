package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	storev1 "github.com/dark-ecosystem/dark/proto/dark/store/v1"

	"github.com/dark-ecosystem/dark/dataplane/store/seal"
)

// maxTries bounds how often a command is made again because a key or a row that it was
// sealed for changed before it was applied.
const maxTries = 8

// maxExtents bounds a body: 8 TiB of full extents.
const maxExtents = 1 << 19

// Commit does all of ops, or none, and returns when that is durable. Conditions are
// judged and ops done in order; later ones see what earlier ones did.
// Errors: *Refused, ErrFull, ErrReadOnly, ErrErased, ErrTooLarge, ErrKey, ErrGone (where a
// body was deleted meanwhile: then it is a *Refused, too), or the context's.
func (p *Space) Commit(ctx context.Context, ops ...Op) ([]Result, error) {
	if err := p.s.gate.enter(); err != nil {
		return nil, err
	}
	defer p.s.gate.leave()
	if err := p.admit(ops); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		done := p.s.ailing.next()
		results, err := p.commit(ctx, ops)
		if pebble.IsCorruptionError(err) && try == 1 && p.s.ailing.ended(ctx, done) {
			continue // what could not be read was set aside
		}
		err = p.s.hurt(err)
		var r *Refused
		if !errors.As(err, &r) || try == maxTries {
			return results, err
		}
		switch {
		case r.Reason == reasonEpoch:
			p.s.chain.forget(p.id, "", true)
		case r.Reason == Changed && resealed(ops[r.Op]):
		default:
			return nil, err
		}
	}
}

// resealed: the value was sealed for the row as it was read; nobody else asked that the
// row be that one.
func resealed(op Op) bool {
	return op.Kind == Amend && op.Condition.Version == 0 && op.Condition.Amended == 0
}

// admit refuses what no state of the space would take.
func (p *Space) admit(ops []Op) error {
	if len(ops) == 0 || len(ops) > MaxOps {
		return fmt.Errorf("a command of %d ops: %w", len(ops), ErrTooLarge)
	}
	adds := false
	for i := range ops {
		op := &ops[i]
		if len(op.Key) > MaxKey || len(op.Tag) > MaxTag || len(op.Value) > MaxValue ||
			op.Body.count() > maxExtents || op.Size < 0 {
			return fmt.Errorf("op %d on key %.100q: %w", i, op.Key, ErrTooLarge)
		}
		adds = adds || op.Kind == Put || op.Kind == Stack || op.Kind == Amend
	}
	return p.s.room(adds)
}

func (p *Space) commit(ctx context.Context, ops []Op) ([]Result, error) {
	out := make([]*storev1.Op, len(ops))
	var fresh []*freshExtent
	for i := range ops {
		op, err := p.encode(ctx, &ops[i], &fresh)
		if err != nil {
			return nil, err
		}
		out[i] = op
	}
	for _, f := range fresh {
		f.committed.Store(true)
	}
	done, err := p.s.propose(ctx, out...)
	if err == nil {
		p.s.intents.committed(fresh)
		return done.results, p.s.syncLate(ctx, fresh)
	}
	if r := (*Refused)(nil); errors.As(err, &r) || errors.Is(err, ctx.Err()) && ctx.Err() != nil {
		for _, f := range fresh {
			f.committed.Store(false)
		}
	}
	return nil, err
}

// encode makes an op of a command: the value sealed, fresh extents' keys wrapped.
func (p *Space) encode(ctx context.Context, op *Op, fresh *[]*freshExtent) (*storev1.Op, error) {
	out := &storev1.Op{Space: p.id[:], Key: op.Key, Condition: op.Condition.encode()}
	switch op.Kind {
	case Require:
	case Put, Stack:
		put, err := p.encodePut(ctx, op, fresh)
		if err != nil {
			return nil, err
		}
		out.Op = &storev1.Op_Put{Put: put}
	case Delete:
		out.Op = &storev1.Op_Delete{Delete: &storev1.Delete{Version: uint64(op.Version), Idempotent: op.Idempotent}}
	case Amend:
		return out, p.encodeAmend(op, out)
	case DropPrefix:
		out.Op = &storev1.Op_DropPrefix{DropPrefix: true}
	default:
		return nil, fmt.Errorf("op of kind %d: %w", op.Kind, errors.ErrUnsupported)
	}
	return out, nil
}

func (c *Condition) encode() *storev1.Condition {
	if !c.Absent && !c.Exists && c.Match == nil && c.NoMatch == nil && c.Time.IsZero() && c.Size == nil &&
		c.Version == 0 && c.Amended == 0 && c.QuotaBytes == 0 && c.QuotaRows == 0 {
		return nil
	}
	out := &storev1.Condition{
		Absent: c.Absent, Exists: c.Exists, Match: c.Match, NoMatch: c.NoMatch,
		Version: uint64(c.Version), Amended: uint64(c.Amended),
		QuotaBytes: c.QuotaBytes, QuotaRows: c.QuotaRows,
	}
	if !c.Time.IsZero() {
		out.Time = c.Time.Unix()
	}
	if c.Size != nil {
		out.HasSize, out.Size = true, *c.Size
	}
	return out
}

func (p *Space) encodePut(ctx context.Context, op *Op, fresh *[]*freshExtent) (*storev1.Put, error) {
	put := &storev1.Put{
		Stack: op.Kind == Stack, Marker: op.Marker, Tag: op.Tag, Size: op.Size, Flags: op.Flags, Counts: op.Counts,
	}
	all, err := p.s.all(&op.Body)
	if err != nil {
		return nil, err
	}
	refs := make([]storev1.ExtentRef, len(all))
	put.Extents = make([]*storev1.ExtentRef, len(refs))
	row := row{bits: rowBits(put), flags: op.Flags, size: uint64(op.Size), tag: op.Tag, n: len(refs)}
	for i := range refs {
		e := &all[i]
		refs[i].Id, refs[i].Length, refs[i].Slot = e.id[:], e.length, e.slot
		put.Extents[i] = &refs[i]
		row.extents = appendExtentRef(row.extents, *e)
	}
	row.apart()
	for _, f := range op.Body.fresh {
		if f.committed.Load() {
			continue // known by now, or deleted again
		}
		n, err := p.encodeFresh(ctx, f)
		if err != nil {
			return nil, err
		}
		put.Fresh = append(put.Fresh, n)
		*fresh = append(*fresh, f)
	}
	put.Value, err = p.sealValue(&row, op.Key, op.Value)
	return put, err
}

// sealValue seals a row's value for its place, under the newest version of the space's key.
func (p *Space) sealValue(r *row, key, value []byte) ([]byte, error) {
	values, version, err := p.s.chain.values(p.id, 0)
	if err != nil {
		return nil, err
	}
	sealed := make([]byte, 4, 4+len(value)+seal.ValueOverhead)
	sealed[0], sealed[1], sealed[2], sealed[3] = byte(version>>24), byte(version>>16), byte(version>>8), byte(version)
	return values.Seal(sealed, value, r.bound(p.id, key)), nil
}

// openValue opens a row's value.
func (s *Store) openValue(space ID, r *row, key []byte, v Version) ([]byte, error) {
	if len(r.sealed) < 4+seal.ValueOverhead {
		return nil, damagedRow(space, key, v, errRow)
	}
	version := uint32(r.sealed[0])<<24 | uint32(r.sealed[1])<<16 | uint32(r.sealed[2])<<8 | uint32(r.sealed[3])
	values, _, err := s.chain.values(space, version)
	if err != nil {
		return nil, err
	}
	value, err := values.Open(make([]byte, 0, len(r.sealed)-4-seal.ValueOverhead), r.sealed[4:], r.bound(space, key))
	if err != nil {
		return nil, damagedRow(space, key, v, err)
	}
	return value, nil
}

func (p *Space) encodeFresh(ctx context.Context, f *freshExtent) (*storev1.NewExtent, error) {
	if f.space != p.id {
		return nil, fmt.Errorf("a body of space %x in %x: %w", f.space, p.id, ErrGone)
	}
	e, err := p.s.chain.current(ctx, p.id, p.tenant, f.name)
	if err != nil {
		return nil, err
	}
	ad := place(e.tenant, p.id, f.id, f.slot, f.name, e.number)
	return &storev1.NewExtent{
		Id: f.id[:], Length: f.length, Writer: f.writer, Sequence: f.sequence, Inline: f.inline, Hash: f.hash,
		Adopt: f.adopt,
		Hold: &storev1.Hold{
			Slot: f.slot, KeyName: f.name, Epoch: e.number, Customer: f.inner != nil,
			Wrapped: e.wrapHold(&f.key, f.inner, ad),
		},
	}, nil
}

// encodeAmend seals the new value for the row that is there now, and asks that it be that
// one when the command is applied.
func (p *Space) encodeAmend(op *Op, out *storev1.Op) error {
	found, err := p.find(op.Key, op.Version)
	if errors.Is(err, ErrNotFound) {
		return &Refused{Reason: Missing}
	}
	if err != nil {
		return err
	}
	found.row.flags = op.Flags
	value, err := p.sealValue(&found.row, op.Key, op.Value)
	if err != nil {
		return err
	}
	if out.Condition == nil {
		out.Condition = &storev1.Condition{}
	}
	if out.Condition.Version == 0 {
		out.Condition.Version = uint64(found.v)
	}
	out.Op = &storev1.Op_Amend{Amend: &storev1.Amend{Version: uint64(op.Version), Value: value, Flags: op.Flags}}
	return nil
}

// propose puts a command into the log, and frees what it removed.
func (s *Store) propose(ctx context.Context, ops ...*storev1.Op) (outcome, error) {
	cmd := &storev1.Command{Writer: s.writer, Time: s.opt.Clock.Now().UnixNano(), Ops: ops}
	out, err := s.log.propose(ctx, cmd)
	if err != nil {
		return out, err
	}
	s.free(out.removed)
	s.mended(cmd.Ops, &out)
	return out, nil
}
