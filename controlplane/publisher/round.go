package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/controlplane/admit"
	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Bounds of one publication. Everything behind it waits, so it must be short, and an edge
// stages all of it before any of it counts.
type Bounds struct {
	// Records and Bytes of changes and a page. What one transaction changed is never
	// divided: it may have as many records, and its octets are far fewer. Where a change
	// brings more than was written, as a zone's TTL brings all of its sets, its kind is told
	// what the round has left (kind.Publication.Room), and what is more goes out in pages.
	Records, Bytes int
	// Deny is the octets of revocations that run ahead.
	Deny int
	// Scan is how many changed resources are looked at for one publication.
	Scan int
}

// DefaultBounds are those of design/publish.md: 2,000 sets, and 4 MiB with the
// revocations, the last record and the frames' own octets.
var DefaultBounds = Bounds{Records: 2000, Bytes: 3 << 20, Deny: 512 << 10, Scan: 50_000}

// round is one publication while it is gathered: nothing of it is proposed before all is
// there, so that a round that turns out too large is begun again with fewer changes.
type round struct {
	p               *Publisher
	ctx             context.Context
	through, target uint64
	before, now     *view
	records         []kind.Record
	bytes           int
	marks           []*statev1.Op   // notes of what was set aside, and of bulks
	marked          []func()        // what is true once the marks are written
	paged           map[string]bool // keys of bulks whose last page is in this round
}

// change is a resource that changed, and the revision at which it did first.
type change struct {
	ref *statev1.Ref
	at  uint64
}

func (p *Publisher) newRound(ctx context.Context, through, target uint64) (*round, error) {
	r := &round{p: p, ctx: ctx, through: through, target: target, paged: map[string]bool{}}
	var err error
	if r.before, err = p.view(through); err != nil {
		return nil, err
	}
	if r.now, err = p.view(target); err != nil {
		r.before.close()
		return nil, err
	}
	return r, nil
}

func (r *round) close() {
	r.before.close()
	r.now.close()
}

// fault is a failure of reading: nothing that was made with it counts.
func (r *round) fault() error {
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	return errors.Join(r.before.rows.fault, r.now.rows.fault)
}

// gather makes a round of the changes in (through, target], or of the first of them that
// fit. A fixed target is where a publication that was cut short was going.
func (p *Publisher) gather(ctx context.Context, through, target uint64, fixed bool) (*round, error) {
	for {
		r, err := p.newRound(ctx, through, target)
		if err != nil {
			return nil, err
		}
		less, err := r.changes(fixed)
		if err == nil && less == 0 {
			return r, nil
		}
		r.close()
		if err != nil {
			return nil, err
		}
		target = less
	}
}

// changes hands each resource that changed to its kind. It returns the revision to go to
// instead where that was too much, and 0 where all of it fits.
func (r *round) changes(fixed bool) (less uint64, err error) {
	list, less, err := r.changed(fixed)
	if err != nil || less != 0 {
		return less, err
	}
	first, last := revisions(list)
	inOrder := slices.Clone(list)
	slices.SortFunc(inOrder, func(a, b change) int { return strings.Compare(orderOf(a.ref), orderOf(b.ref)) })
	for _, c := range inOrder {
		if err := r.item(c.ref); err != nil {
			return 0, err
		}
		if r.bytes > r.p.Bounds.Bytes && !fixed && first < last {
			return middle(list), nil
		}
	}
	return 0, nil
}

// orderOf sorts record sets before the zones that they count in.
func orderOf(r *statev1.Ref) string { return r.Kind + "\x00" + r.Organization + "\x00" + r.Name }

func revisions(list []change) (first, last uint64) {
	if len(list) == 0 {
		return 0, 0
	}
	return list[0].at, list[len(list)-1].at
}

// middle is a revision that has about half of the changes, and at least the first.
func middle(list []change) uint64 {
	first, last := revisions(list)
	at := list[len(list)/2].at
	if at == last {
		for _, c := range list {
			if c.at == last {
				break
			}
			at = c.at
		}
	}
	return max(first, at)
}

// changed lists what changed in (through, target] and is told of, by revision, each
// resource once.
func (r *round) changed(fixed bool) (list []change, less uint64, err error) {
	seen := map[string]bool{}
	scanned, end := 0, r.through
	for end < r.target {
		commits, err := r.p.Store.Commits(end, 16) // one of an import has thousands of names
		if err != nil || len(commits) == 0 {
			return list, 0, err
		}
		for _, c := range commits {
			if c.Revision > r.target {
				return list, 0, nil
			}
			for _, ref := range c.Changed {
				tell, err := r.tells(ref)
				if err != nil {
					return nil, 0, err
				}
				if id := orderOf(ref); tell && !seen[id] {
					seen[id] = true
					list = append(list, change{ref, c.Revision})
				}
			}
			scanned += len(c.Changed)
			first, last := revisions(list)
			switch {
			case fixed:
			case len(list) > r.p.Bounds.Records*3/4 && first < last: // a page has a quarter at least
				return nil, end, nil
			case scanned > r.p.Bounds.Scan && c.Revision < r.target:
				return nil, c.Revision, nil
			}
			end = c.Revision
		}
	}
	return list, 0, nil
}

// tells reports whether edges are told anything of a changed resource.
func (r *round) tells(ref *statev1.Ref) (bool, error) {
	k := r.p.kinds[ref.Kind]
	if k == nil || k.Publish == nil && k.Deny == nil {
		return false, nil
	}
	if k.Silent == nil {
		return true, nil
	}
	silent, err := k.Silent(r.ctx, kind.Publication{
		Before: r.before, After: r.now, Organization: ref.Organization,
		Stored: ref.Name,
	})
	if fault := r.fault(); fault != nil {
		return false, fault
	}
	// What cannot even say so is published, and set aside there.
	return err != nil || !silent, nil //nolint:nilerr // said where it is set aside
}

// item publishes one resource, or sets it aside.
func (r *round) item(ref *statev1.Ref) error {
	k := r.p.kinds[ref.Kind]
	if k == nil {
		return nil
	}
	pub := r.publication(ref)
	var err error
	if pub.Old, _, err = r.before.Get(r.ctx, ref.Kind, ref.Organization, ref.Name); err == nil {
		pub.New, _, err = r.now.Get(r.ctx, ref.Kind, ref.Organization, ref.Name)
	}
	if fault := r.fault(); fault != nil {
		return fault
	}
	if err != nil {
		r.settle(ref, err)
		return nil
	}
	if pub.Old == nil && pub.New == nil && !r.p.aside[asideKey(ref)] {
		return nil // came and went in between
	}
	var used []string // bulks that count from here on
	pub.Paged = func(generation uint64) bool {
		key := kind.BulkKey(ref.Kind, ref.Organization, ref.Name, generation)
		done := r.paged[key]
		if !done {
			b, err := r.p.bulk(key)
			done = r.before.rows.failed(err) == nil && b.GetDone() && b.Failed == ""
		}
		if done {
			used = append(used, key)
		}
		return done
	}
	denied, derr := r.make(k, func(emit func(kind.Record) error) error { return call(r.ctx, k.Deny, pub, emit) })
	made, perr := r.make(k, func(emit func(kind.Record) error) error { return call(r.ctx, k.Publish, pub, emit) })
	var bulk *kind.Bulk
	waits := errors.As(perr, &bulk)
	if waits {
		perr = r.begin(ref, bulk)
	}
	if fault := r.fault(); fault != nil {
		return fault
	}
	r.take(denied)
	if perr == nil {
		r.take(made)
		for _, key := range used {
			r.note(key, nil, nil)
		}
	}
	if err := errors.Join(derr, perr); err != nil || !waits {
		r.settle(ref, err) // what waits for its pages stays set aside until they are out
	}
	return nil
}

func call(
	ctx context.Context, f func(context.Context, kind.Publication, func(kind.Record) error) error,
	p kind.Publication, emit func(kind.Record) error,
) error {
	if f == nil {
		return nil
	}
	return f(ctx, p, emit)
}

func (r *round) publication(ref *statev1.Ref) kind.Publication {
	left := r.room()
	return kind.Publication{
		Before: r.before, After: r.now, Organization: ref.Organization, Stored: ref.Name, Now: r.p.Clock.Now(),
		// One at least: none would be no bound at all.
		Room: kind.Room{Records: max(left.Records, 1), Bytes: max(min(left.Bytes, r.p.Bounds.Bytes/2), 1)},
	}
}

// make runs one function of a kind. Its fault, a panic too, costs what it made alone.
func (r *round) make(k *kind.Kind, f func(emit func(kind.Record) error) error) (made []kind.Record, err error) {
	bytes := 0
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("its publication failed: %v", fault)
		}
	}()
	err = f(func(rec kind.Record) error {
		if len(rec.Value) > k.RecordLimit() {
			return fmt.Errorf("%s has %d octets as edges get it, at most %d are allowed", rec.Name, len(rec.Value),
				k.RecordLimit())
		}
		if bytes += rec.Cost(); bytes > r.p.Bounds.Bytes+kind.MaxRecord {
			return fmt.Errorf("it brings more than the %d octets of one publication", r.p.Bounds.Bytes)
		}
		made = append(made, rec)
		return nil
	})
	return made, err
}

func (r *round) take(records []kind.Record) {
	for _, rec := range records {
		r.records = append(r.records, rec)
		r.bytes += rec.Cost()
	}
}

// note writes a note to the state with the round, or removes it where m is nil; then is
// called once that is done.
func (r *round) note(key string, m proto.Message, then func()) {
	op := &statev1.Op{Op: &statev1.Op_DeleteMeta{DeleteMeta: key}}
	if m != nil {
		value, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			panic(err) // a message of ours with plain fields always marshals
		}
		op = &statev1.Op{Op: &statev1.Op_PutMeta{PutMeta: &statev1.PutMeta{Key: key, Value: value}}}
	}
	r.marks = append(r.marks, op)
	if then != nil {
		r.marked = append(r.marked, then)
	}
}

// rows remembers when reading failed: that is no fault of what was being published.
type rows struct {
	admit.Reader
	fault error
}

func (r *rows) failed(err error) error {
	if err != nil {
		r.fault = err
	}
	return err
}

func (r *rows) Get(kind, organization, stored string) (admit.Version, bool, error) {
	v, ok, err := r.Reader.Get(kind, organization, stored)
	return v, ok, r.failed(err)
}

func (r *rows) Scan(kind, organization, prefix, after string, yield func(admit.Version) bool) error {
	return r.failed(r.Reader.Scan(kind, organization, prefix, after, yield))
}

func (r *rows) ScanAll(kind string, yield func(admit.Version) bool) error {
	return r.failed(r.Reader.ScanAll(kind, yield))
}

// view is a reader of desired state for kinds.
type view struct {
	*admit.View
	rows  *rows
	close func()
}

func newView(r admit.Reader, published func(stream, kind, name string) ([]byte, error), close func()) *view {
	v := &view{rows: &rows{Reader: r}, close: close}
	v.View = admit.NewView(v.rows, func(stream, kind, name string) ([]byte, error) {
		b, err := published(stream, kind, name)
		return b, v.rows.failed(err)
	})
	return v
}

// listAfter is List from a place on.
func (v *view) listAfter(kind, organization, prefix, after string, yield func(string, proto.Message) bool) error {
	var bad error
	err := v.rows.Scan(kind, organization, prefix, after, func(ver admit.Version) bool {
		var m proto.Message
		if m, bad = admit.Decode(kind, ver.Value); bad != nil {
			return false
		}
		return yield(ver.Name, m)
	})
	return errors.Join(err, bad)
}
