package publisher

import (
	"context"

	"github.com/dark-ecosystem/dark/internal/kind"
)

// ahead makes the deny records of all changes so far, which go out before anything else
// of the changes does. They come once more with the change itself, which is harmless: a
// deny entry says the same however often it is said.
//
// It returns the revision that it came to; p.denied is set to that once they are out.
func (p *Publisher) ahead(ctx context.Context, through, last uint64) (denied []kind.Record, to uint64, err error) {
	from := max(p.denied, through)
	if from >= last {
		return nil, from, nil
	}
	r, err := p.newRound(ctx, from, last)
	if err != nil {
		return nil, from, err
	}
	defer r.close()
	list, to, err := r.denials()
	if err != nil {
		return nil, from, err
	}
	for _, c := range list {
		if r.bytes > p.Bounds.Deny {
			// The rest comes in the next round, from this change on, which is not made yet.
			return r.records, c.at - 1, nil
		}
		if err := r.deny(c); err != nil {
			return nil, from, err
		}
	}
	return r.records, to, nil
}

// denials lists the changes whose kinds may have something to deny.
func (r *round) denials() (list []change, to uint64, err error) {
	to = r.through
	for to < r.target {
		commits, err := r.p.Store.Commits(to, 16)
		if err != nil {
			return nil, to, err
		}
		if len(commits) == 0 {
			break
		}
		for _, c := range commits {
			if to = c.Revision; to > r.target {
				return list, r.target, nil
			}
			for _, ref := range c.Changed {
				if k := r.p.kinds[ref.Kind]; k != nil && k.Deny != nil {
					list = append(list, change{ref, c.Revision})
				}
			}
		}
	}
	return list, to, nil
}

// deny adds what one change denies. What fails here is set aside when its change is due.
func (r *round) deny(c change) error {
	k, pub := r.p.kinds[c.ref.Kind], r.publication(c.ref)
	var err error
	if pub.Old, _, err = r.before.Get(r.ctx, c.ref.Kind, c.ref.Organization, c.ref.Name); err == nil {
		pub.New, _, err = r.now.Get(r.ctx, c.ref.Kind, c.ref.Organization, c.ref.Name)
	}
	if fault := r.fault(); fault != nil {
		return fault
	}
	if err != nil || pub.Old == nil && pub.New == nil {
		return nil //nolint:nilerr // said where the change itself is published
	}
	made, err := r.make(k, func(emit func(kind.Record) error) error { return call(r.ctx, k.Deny, pub, emit) })
	if fault := r.fault(); fault != nil {
		return fault
	}
	if err == nil {
		r.take(made)
	}
	return nil
}
