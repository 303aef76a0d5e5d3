package publisher

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// bulk reads the note of a bulk; nil when there is none.
func (p *Publisher) bulk(key string) (*statev1.Bulk, error) {
	value, _, err := p.Store.Meta(key)
	if err != nil || value == nil {
		return nil, err
	}
	b := &statev1.Bulk{}
	if err := proto.Unmarshal(value, b); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return b, nil
}

// begin notes that a resource waits for a bulk. One that an import began goes on, and one
// that failed is begun anew.
func (r *round) begin(ref *statev1.Ref, want *kind.Bulk) error {
	if k := r.p.kinds[ref.Kind]; k == nil || k.Page == nil {
		return want
	}
	key := kind.BulkKey(ref.Kind, ref.Organization, ref.Name, want.Generation)
	b, err := r.p.bulk(key)
	if err != nil {
		return err
	}
	if b == nil || want.Anew || b.Failed != "" {
		b = &statev1.Bulk{Ref: ref, Generation: want.Generation}
	}
	b.Waits = true
	r.note(key, b, nil)
	return nil
}

// pages adds one page of one bulk. Bulks take turns, so that a long one does not keep
// the others waiting. It reports whether there is more.
func (r *round) pages() (more bool, err error) {
	names, err := r.p.Store.MetaNames("bulk/")
	if err != nil || r.room().Records <= 0 {
		return len(names) > 0, err
	}
	at := 0
	for at < len(names) && names[at] <= r.p.turn {
		at++
	}
	for i := range names {
		key := names[(at+i)%len(names)]
		b, err := r.p.bulk(key)
		if err != nil {
			return false, err
		}
		progress, err := r.page(key, b)
		if err != nil {
			return false, err
		}
		if progress {
			r.p.turn = key
			return true, nil
		}
	}
	return false, nil
}

// room is what the round has left.
func (r *round) room() kind.Room {
	return kind.Room{Records: r.p.Bounds.Records - len(r.records), Bytes: r.p.Bounds.Bytes - r.bytes}
}

// page adds the next page of a bulk; false when nothing of it is there yet. Of one that is
// out, or that failed, it asks only whether it is still wanted.
func (r *round) page(key string, b *statev1.Bulk) (progress bool, err error) {
	k := r.p.kinds[b.GetRef().GetKind()]
	if k == nil || k.Page == nil {
		return false, nil
	}
	room, ended := r.room(), b.Done || b.Failed != ""
	if ended {
		room = kind.Room{}
	}
	var paged kind.Paged
	made, err := r.make(k, func(emit func(kind.Record) error) (err error) {
		paged, err = k.Page(r.ctx, kind.Page{
			Now: r.now, List: r.now.listAfter, Meta: r.p.Store.Meta,
			Organization: b.Ref.Organization, Stored: b.Ref.Name, Generation: b.Generation, After: b.After,
			Room: room,
		}, emit)
		return err
	})
	if fault := r.fault(); fault != nil {
		return false, fault
	}
	switch {
	case ended && (err != nil || !paged.Gone || r.p.Store.LastChange() > r.target):
		// Where there are later changes the import may have turned the zone to it: the page
		// saw the import's end, which is not in what it reads of the zone.
		return false, nil //nolint:nilerr // it is asked again, and its end is said then
	case err != nil:
		r.fail(key, b, err)
		return true, nil
	}
	r.take(made)
	switch {
	case paged.Gone:
		r.note(key, nil, nil)
	case paged.Done:
		b.After, b.Done = paged.After, true
		r.note(key, b, nil)
		if r.paged[key] = true; b.Waits {
			return true, r.item(b.Ref)
		}
	case paged.After == b.After:
		return false, nil
	default:
		b.After = paged.After
		r.note(key, b, nil)
	}
	return true, nil
}

// fail has a bulk stand still. The resource that waits for it is set aside; an import says
// itself why it ends.
func (r *round) fail(key string, b *statev1.Bulk, err error) {
	b.Failed = reason(err)
	r.note(key, b, nil)
	if b.Waits {
		r.settle(b.Ref, err)
		return
	}
	r.p.Log.Error("an import cannot be published", "kind", b.Ref.Kind, "organization", b.Ref.Organization, "name",
		b.Ref.Name, "err", err)
}
