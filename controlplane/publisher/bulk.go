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

// begin notes that a resource waits for a bulk. One that an import began goes on.
func (r *round) begin(ref *statev1.Ref, want *kind.Bulk) error {
	if k := r.p.kinds[ref.Kind]; k == nil || k.Page == nil {
		return want
	}
	key := kind.BulkKey(ref.Kind, ref.Organization, ref.Name, want.Generation)
	b, err := r.p.bulk(key)
	if err != nil {
		return err
	}
	if b == nil || want.Anew {
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
		if b.GetDone() {
			continue
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

// page adds the next page of a bulk; false when nothing of it is there yet.
func (r *round) page(key string, b *statev1.Bulk) (progress bool, err error) {
	k := r.p.kinds[b.GetRef().GetKind()]
	if k == nil || k.Page == nil {
		return false, nil
	}
	var paged kind.Paged
	made, err := r.make(k, func(emit func(kind.Record) error) (err error) {
		paged, err = k.Page(r.ctx, kind.Page{
			Now: r.now, List: r.now.listAfter, Meta: r.p.Store.Meta,
			Organization: b.Ref.Organization, Stored: b.Ref.Name, Generation: b.Generation, After: b.After,
			Room: r.room(),
		}, emit)
		return err
	})
	if fault := r.fault(); fault != nil {
		return false, fault
	}
	if err != nil {
		// It stands still until its resource changes, which begins it anew.
		b.Done = true
		r.note(key, b, nil)
		r.settle(b.Ref, err)
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
