package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/lifecycle"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// Expired is what a pass of Lifecycle did.
type Expired struct {
	Buckets int // that have rules
	Objects int // current versions that ended
	Rows    int // versions and markers that were deleted for good
	Uploads int // that were ended
	Failed  int // steps that did not succeed; the next pass tries again
}

// keptCompletion is how long a client may ask again for the answer to its completion.
const keptCompletion = 24 * time.Hour

// expireBatch is how many steps go in one command.
const expireBatch = 256

// Lifecycle makes one pass over all buckets and does what their rules say is due by the
// handler's clock. It judges rows as they were when it came to their bucket; what was
// written meanwhile is left alone, by conditions. It ends early with its context.
func (h *Handler) Lifecycle(ctx context.Context) (Expired, error) {
	var done Expired
	var failed []error
	h.View().Buckets(func(b *Bucket) bool {
		s := sweep{h: h, ctx: ctx, b: b, rules: b.Spec.GetLifecycleRules(), now: h.config.Clock.Now(), done: &done}
		if err := s.run(); err != nil {
			failed = append(failed, fmt.Errorf("lifecycle of bucket %s: %w", b.Name, err))
		}
		return ctx.Err() == nil
	})
	return done, errors.Join(append(failed, ctx.Err())...)
}

// sweep is the pass over one bucket.
type sweep struct {
	h     *Handler
	ctx   context.Context
	b     *Bucket
	space *store.Space
	rules []*storagev1.LifecycleRule
	now   time.Time
	done  *Expired
	steps []step
}

// step is one thing to be done, by ops of its own.
type step struct {
	ops   []store.Op
	count *int
}

func (s *sweep) run() (err error) {
	if s.space, err = s.h.config.Store.At(s.b.Placement); err != nil {
		return err
	}
	if err := s.reopen(); err != nil {
		return err
	}
	err = s.completions()
	if len(s.rules) == 0 {
		return err
	}
	s.done.Buckets++
	return errors.Join(err, s.uploads(), s.versions())
}

// each goes over rows of one kind, oldest state as of now, and does the steps after it.
func (s *sweep) each(o store.ScanOptions, judge func(*store.Cursor) error) error {
	c, err := s.space.Scan(o)
	if err != nil {
		return err
	}
	defer finish(c)
	var damage error // the first
	for at := o.Prefix; ; {
		if err := s.walk(c, at, judge, &damage); err != nil {
			return err
		}
		behind, lost := c.Behind()
		if !lost || !bytes.HasPrefix(behind, o.Prefix) || bytes.Compare(behind, at) <= 0 {
			break
		}
		at = behind
	}
	s.flush()
	return damage
}

// walk judges rows from a key on. What is damaged is passed over, and kept to be told.
func (s *sweep) walk(c *store.Cursor, at []byte, judge func(*store.Cursor) error, damage *error) error {
	passed := func(err error) bool {
		damaged := (*store.Damaged)(nil)
		if !errors.As(err, &damaged) {
			return false
		}
		if *damage == nil {
			*damage = err
		}
		return true
	}
	for ok := c.Seek(at); ok && s.ctx.Err() == nil; ok = c.Next() {
		if err := judge(c); err != nil && !passed(err) {
			return err
		}
	}
	if err := c.Err(); err != nil && !passed(err) {
		return err
	}
	return nil
}

// completions drops what was kept for clients that ask again.
func (s *sweep) completions() error {
	return s.each(store.ScanOptions{Prefix: []byte{rowCompleted}}, func(c *store.Cursor) error {
		row := c.Row()
		if s.now.Sub(row.Time) >= keptCompletion {
			s.add(nil, store.Op{Kind: store.Delete, Key: bytes.Clone(row.Key), Idempotent: true})
		}
		return nil
	})
}

func (s *sweep) uploads() error {
	return s.each(store.ScanOptions{Prefix: []byte{rowUpload}}, func(c *store.Cursor) error {
		row := c.Row()
		key, id := splitUpload(row.Key)
		v := lifecycle.EvaluateUpload(s.rules, &lifecycle.Upload{Key: string(key), Started: row.Time}, s.now)
		if v.Action == lifecycle.AbortUpload {
			s.add(&s.done.Uploads,
				store.Op{Kind: store.Delete, Key: bytes.Clone(row.Key), Condition: store.Condition{Exists: true}},
				store.Op{Kind: store.DropPrefix, Key: append([]byte{rowPart}, id...)})
		}
		return nil
	})
}

// versions judges each row with the one before it, which says since when it is not
// current, and the one after it, which says whether a marker has anything under it.
func (s *sweep) versions() error {
	var last *lifecycle.Version
	var row store.Row
	settle := func(only bool) {
		if last == nil {
			return
		}
		last.OnlyVersion = last.Current && only
		s.judge(last, &row)
	}
	err := s.each(store.ScanOptions{Prefix: []byte{rowObject}, Versions: true}, func(c *store.Cursor) error {
		at := c.Row()
		same := last != nil && bytes.Equal(at.Key, row.Key)
		settle(!same)
		v := &lifecycle.Version{
			Key: string(at.Key[1:]), Size: at.Size, Written: at.Time, Current: at.Current, Marker: at.Marker,
		}
		if same {
			v.NoncurrentSince = last.Written
			if !last.Current {
				v.NewerNoncurrent = last.NewerNoncurrent + 1
			}
		}
		row, last = at.Clone(), v
		return s.tags(c, v)
	})
	damaged := (*store.Damaged)(nil)
	if err != nil && !errors.As(err, &damaged) || s.ctx.Err() != nil {
		return err
	}
	settle(true)
	s.flush()
	return err
}

// tags opens the row where a rule asks for tags.
func (s *sweep) tags(c *store.Cursor, v *lifecycle.Version) error {
	if v.Marker || !s.wantTags() {
		return nil
	}
	value, err := c.Value()
	if err != nil {
		return err
	}
	f, err := open(store.Row{Key: c.Row().Key, Value: value})
	if err != nil {
		return err
	}
	v.Tags = f.object.GetTags()
	return nil
}

func (s *sweep) wantTags() bool {
	for _, r := range s.rules {
		if len(r.GetTags()) > 0 {
			return true
		}
	}
	return false
}

// judge plans what is due for one row.
func (s *sweep) judge(v *lifecycle.Version, row *store.Row) {
	switch lifecycle.Evaluate(s.rules, v, s.now).Action {
	case lifecycle.ExpireCurrent:
		s.add(&s.done.Objects, s.expire(row))
	case lifecycle.DeleteNoncurrent, lifecycle.RemoveMarker:
		s.add(&s.done.Rows, store.Op{
			Kind: store.Delete, Key: row.Key, Version: rowVersion(row),
			Condition: store.Condition{Version: row.Version},
		})
	}
}

// expire ends a current version as a DELETE would, unless it was replaced meanwhile.
func (s *sweep) expire(row *store.Row) store.Op {
	op := store.Op{Key: row.Key, Condition: store.Condition{Exists: true, Match: [][]byte{row.Tag}, Time: row.Time}}
	switch {
	case !s.b.versioned():
		op.Kind, op.Version = store.Delete, rowVersion(row)
	case s.b.stacks():
		op.Kind, op.Marker, op.Counts = store.Stack, true, true
	default:
		op.Kind, op.Marker, op.Counts = store.Put, true, true
	}
	return op
}

func (s *sweep) add(count *int, ops ...store.Op) {
	s.steps = append(s.steps, step{ops, count})
	if len(s.steps) >= expireBatch {
		s.flush()
	}
}

// flush does the steps in one command; where that is refused, one by one.
func (s *sweep) flush() {
	steps := s.steps
	s.steps = s.steps[:0]
	if len(steps) == 0 {
		return
	}
	var all []store.Op
	for i := range steps {
		all = append(all, steps[i].ops...)
	}
	if _, err := s.space.Commit(s.ctx, all...); err == nil {
		for i := range steps {
			steps[i].did()
		}
		return
	}
	for i := range steps {
		_, err := s.space.Commit(s.ctx, steps[i].ops...)
		var refused *store.Refused
		switch {
		case err == nil:
			steps[i].did()
		case !errors.As(err, &refused): // refused: somebody was first, and nothing is due any more
			s.done.Failed++
		}
	}
}

func (s *step) did() {
	if s.count != nil {
		*s.count++
	}
}
