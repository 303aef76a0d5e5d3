package state

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/errs"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// judgePublish refuses frames that do not follow their stream's last one: together with
// the lease that is what keeps a deposed publisher from writing.
func (a *applying) judgePublish(p *statev1.Publish) (*errs.Error, error) {
	if p.Through < a.p.Published {
		return errs.New(errs.Conflict, "published through %d already", a.p.Published), nil
	}
	heads := map[string]*statev1.StreamHead{}
	for _, f := range p.Frames {
		h := heads[f.Stream]
		if h == nil {
			h = &statev1.StreamHead{}
			if err := getProto(a.b, key(rowHead, f.Stream), h); err != nil && !errors.Is(err, pebble.ErrNotFound) {
				return nil, err
			}
		}
		follows := f.Part == 0 && f.Revision > h.Revision || f.Revision == h.Revision && f.Part == h.Part+1
		if !follows {
			return errs.New(errs.Conflict, "frame %s %d.%d does not follow %d.%d", f.Stream, f.Revision, f.Part,
				h.Revision, h.Part), nil
		}
		heads[f.Stream] = &statev1.StreamHead{Revision: f.Revision, Part: f.Part}
	}
	return nil, nil
}

// publish stores frames as the bytes that edges get, and their items as the published
// records from which a snapshot is made.
func (a *applying) publish(p *statev1.Publish) error {
	for _, f := range p.Frames {
		if err := a.publishItems(f); err != nil {
			return err
		}
		if err := a.keepFrame(f); err != nil {
			return err
		}
	}
	if p.Through > a.p.Published {
		a.p.PublishedTime = a.time
	}
	a.p.Published, a.p.PublishCursor = p.Through, p.Cursor
	return a.trimFrames()
}

func (a *applying) publishItems(f *statev1.StoredFrame) error {
	var signed feedv1.SignedFrame
	var frame feedv1.Frame
	if err := errors.Join(proto.Unmarshal(f.Data, &signed), proto.Unmarshal(signed.Frame, &frame)); err != nil {
		return fmt.Errorf("frame %s %d.%d: %w", f.Stream, f.Revision, f.Part, err)
	}
	for _, i := range frame.Items {
		if err := a.publishItem(f, i); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) publishItem(f *statev1.StoredFrame, i *feedv1.Item) error {
	switch {
	case i.Prefix:
		from := prefixKey(rowPublished, f.Stream, i.Kind, i.Name)
		return a.b.DeleteRange(from, after(from), nil)
	case i.Deleted:
		return a.b.Delete(key(rowPublished, f.Stream, i.Kind, i.Name), nil)
	}
	return a.put(key(rowPublished, f.Stream, i.Kind, i.Name), &statev1.PublishedRecord{
		Revision: f.Revision, Lane: i.Lane, Value: i.Value, Expires: i.Expires,
	})
}

func (a *applying) keepFrame(f *statev1.StoredFrame) error {
	head := &statev1.StreamHead{Revision: f.Revision, Part: f.Part, Hash: f.Hash}
	number, size := a.p.NextFrame, uint64(len(f.Data))
	a.p.NextFrame++
	a.p.FrameBytes += size
	return errors.Join(
		a.put(key(rowHead, f.Stream), head),
		a.put(frameKey(f.Stream, f.Revision, f.Part), f),
		a.put(frameNumber(number), &statev1.FrameRef{
			Stream: f.Stream, Revision: f.Revision, Part: f.Part, Size: size,
			Time: a.time,
		}),
	)
}

func frameNumber(n uint64) []byte { return number([]byte{rowFrameAt}, n) }

// trimFrames forgets the oldest frames: edges that still lack them get a snapshot.
func (a *applying) trimFrames() error {
	for a.p.OldestFrame < a.p.NextFrame {
		var r statev1.FrameRef
		if err := getProto(a.b, frameNumber(a.p.OldestFrame), &r); err != nil {
			return err
		}
		if a.p.FrameBytes <= a.s.opts.RingBytes && r.Time >= a.time-a.s.opts.RingAge {
			return nil
		}
		err := errors.Join(a.b.Delete(frameNumber(a.p.OldestFrame), nil),
			a.b.Delete(frameKey(r.Stream, r.Revision, r.Part), nil))
		if err != nil {
			return err
		}
		a.p.OldestFrame++
		a.p.FrameBytes -= r.Size
	}
	return nil
}
