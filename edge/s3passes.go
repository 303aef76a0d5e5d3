package edge

import (
	"context"
	"errors"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

const (
	lifecycleFirst = time.Minute // after a start
	lifecycleEvery = time.Hour
	scrubFirst     = time.Hour
	scrubEvery     = 7 * 24 * time.Hour
)

// passes calls pass now and then until ctx ends.
func passes(ctx context.Context, first, every time.Duration, pass func()) {
	t := time.NewTimer(min(first, every))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			pass()
			t.Reset(every)
		}
	}
}

func orEvery(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// expire ends what the buckets' lifecycle rules say.
func (s *s3Server) expire(ctx context.Context) {
	passes(ctx, lifecycleFirst, orEvery(s.c.Lifecycle, lifecycleEvery), func() {
		done, err := s.handler.Lifecycle(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.c.Logger.Warn("lifecycle of buckets", "err", err, "objects", done.Objects, "rows", done.Rows,
				"uploads", done.Uploads)
		case done.Objects+done.Rows+done.Uploads > 0:
			s.c.Logger.Info("lifecycle of buckets", "objects", done.Objects, "rows", done.Rows, "uploads", done.Uploads)
		}
	})
}

// scrub opens every seal from time to time, so that what is damaged is found while
// somebody may still have a copy.
func (s *s3Server) scrub(ctx context.Context) {
	every := orEvery(s.c.Scrub, scrubEvery)
	first := max(scrubFirst, every-s.c.Clock.Now().Sub(s.store.Stats().Scrubbed)) // also an earlier process's
	passes(ctx, first, every, func() {
		p, err := s.store.Scrub(ctx, func(_ store.Progress, d *store.Damaged) {
			if d != nil {
				s.c.Logger.Error("scrub: damaged", "what", d.Name(), "err", d.Err)
			}
		})
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
			s.c.Logger.Warn("scrub", "err", err)
			return
		}
		s.c.Logger.Info("scrub", "extents", p.Extents, "rows", p.Rows, "damaged", p.Damaged)
	})
}

// shred tells the store how long deleted objects' keys may live on, where buckets say so.
// It belongs to the goroutine that swaps views.
func (s *s3Server) shred(v *storageView) {
	if v.shreds == s.shreds {
		return
	}
	s.shreds = v.shreds
	s.store.SetShredAfter(shredTimes(v.s3, s.c.Name))
}

// shredTimes are the times of the buckets of a cell that say one.
func shredTimes(v *s3.View, cell string) map[store.ID]time.Duration {
	own := map[store.ID]time.Duration{}
	v.Buckets(func(b *s3.Bucket) bool {
		if d := b.Spec.GetShredAfter(); d != nil && b.Placement.Cell == cell {
			own[b.Placement.Space] = d.AsDuration()
		}
		return true
	})
	return own
}
