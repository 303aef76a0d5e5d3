package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/dark-ecosystem/dark/dataplane/store/segment"
)

// unneeded says as an error how many bodies the segments of a store without rows hold: nobody needs them
// any more, and who moves the store away should know what goes with it. Nothing is changed.
func unneeded(ctx context.Context, o Options, report func(Progress, *Damaged)) (err error) {
	s, err := newStore(o)
	if err != nil {
		return err
	}
	files, err := segment.Open(segment.Options{FS: s.fs, Dir: s.fs.PathJoin(s.opt.Dir, "segments"), Spare: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	var p Progress
	p.Total = uint64(files.Stats().Size) //nolint:gosec // sizes are not negative
	seen := map[ID]bool{}
	err = files.Walk(func(_ segment.Ref, h segment.Header) error {
		if seen[h.ID] {
			return ctx.Err() // it was being moved
		}
		if len(seen) < maxSpoilt {
			seen[h.ID] = true
		}
		p.Extents++
		before := p.Done >> 26
		if p.Done += uint64(h.Sealed); report != nil && p.Done>>26 != before { //nolint:gosec // nor are these
			report(p, nil)
		}
		return ctx.Err()
	}, nil)
	if err != nil {
		return err
	}
	return fmt.Errorf("its segments hold bodies that no row needs: %d extents of %d octets in all", p.Extents, p.Done)
}
