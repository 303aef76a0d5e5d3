package store

import (
	"context"
	"fmt"
)

// Adopt gives a body of another space, or of this one under another Sealing, to this
// space. No octet moves: the data keys are wrapped again, when what it returns is
// committed, until when the body must live. ErrGone, ErrKey, ErrWrongKey.
func (p *Space) Adopt(ctx context.Context, from *Space, b Body, was, now Sealing) (Body, error) {
	if err := p.s.gate.enter(); err != nil {
		return Body{}, err
	}
	defer p.s.gate.leave()
	if from.s != p.s {
		return Body{}, fmt.Errorf("adopt a body of another store: %w", ErrMoved)
	}
	if _, _, err := p.s.opt.Keys.Key(p.id, now.Key, 0); err != nil {
		return Body{}, keyError(err, "key %q", now.Key)
	}
	var out Body
	known := map[extentRef]extentRef{} // an extent may come more than once
	refs, err := p.s.all(&b)
	if err != nil {
		return Body{}, p.s.hurt(err)
	}
	for _, e := range refs {
		if err := ctx.Err(); err != nil {
			return Body{}, err
		}
		to, ok := known[e]
		if !ok {
			f, err := p.adoptExtent(from, e, was, now)
			if err != nil {
				return Body{}, p.s.hurt(err)
			}
			if to = f.extentRef; to != e || from.id != p.id {
				out.fresh = append(out.fresh, f)
			}
			known[e] = to
		}
		out.extents = append(out.extents, to)
	}
	return out, nil
}

// adoptExtent opens an extent's data key and makes a hold of it for this space.
func (p *Space) adoptExtent(from *Space, e extentRef, was, now Sealing) (*freshExtent, error) {
	x, err := p.s.extent(e.id)
	if err != nil {
		return nil, err
	}
	h := x.hold(from.id, e.slot)
	if h == nil {
		return nil, fmt.Errorf("extent %x: %w", e.id, ErrGone)
	}
	key, err := p.s.chain.openHold(h, e.id, was)
	if err != nil {
		return nil, err
	}
	return &freshExtent{
		extentRef: extentRef{id: e.id, length: e.length, slot: now.slot()},
		space:     p.id, key: key, inner: now.inner(&key, e.id), name: now.Key, adopt: true,
		writer: x.writer, sequence: x.sequence, hash: x.hash,
	}, nil
}
