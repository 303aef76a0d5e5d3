package publisher

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/frame"
	"github.com/dark-ecosystem/dark/internal/kind"
	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Sizes: a frame's items and what one transaction carries. They add up: a frame of one
// item of kind.MaxRecord has less than 272 KiB, a transaction is proposed before a frame
// would carry it over transactionBytes, and beside frames it has the notes of a round, at
// most notesBytes of them. All of that is below state.MaxTransactionBytes.
const (
	partBytes        = 192 << 10
	transactionBytes = 400 << 10
	notesBytes       = 64 << 10
)

// batch is one publication: all that changed up to one revision.
type batch struct {
	p               *Publisher
	ctx             context.Context
	through, target uint64
	streams         map[string]*stream
	order           []string               // streams as they were first met
	frames          []*statev1.StoredFrame // sealed, not proposed yet
	bytes           int
	notes           []*statev1.Op // of the round, not proposed yet
}

// write proposes a round: its records as frames, and its notes.
func (p *Publisher) write(r *round) error {
	b := &batch{p: p, ctx: r.ctx, through: r.through, target: r.target, streams: map[string]*stream{}}
	for _, rec := range r.records {
		if err := b.add(rec); err != nil {
			return err
		}
	}
	if err := b.finish(r.marks); err != nil {
		return err
	}
	for _, then := range r.marked {
		then()
	}
	return nil
}

// stream gathers the items of the next part of one stream's frames.
type stream struct {
	name     string
	items    []*feedv1.Item
	at       map[string]int // kind and name → index in items
	bytes    int
	revision uint64 // of the last frame of an earlier revision
	part     uint32 // of the next frame
	hash     []byte // of the frame before
}

// add is given to the kinds' Publish. Of several records with one name the last counts,
// and takes the last's place.
func (b *batch) add(r kind.Record) error {
	s, err := b.stream(r.Stream)
	if err != nil {
		return err
	}
	i := &feedv1.Item{
		Kind: r.Kind, Name: r.Name, Lane: uint32(r.Lane), Value: r.Value,
		Deleted: r.Value == nil && !r.Prefix, Prefix: r.Prefix, Expires: r.Expires,
	}
	size := proto.Size(i) + 8
	if s.bytes > 0 && s.bytes+size > partBytes {
		if err := b.seal(s, false); err != nil {
			return err
		}
	}
	id := r.Kind + "\x00" + r.Name
	if r.Prefix {
		id += "\x00*"
	}
	if old, ok := s.at[id]; ok {
		s.bytes -= proto.Size(s.items[old]) + 8
		s.items[old] = nil
	}
	s.at[id] = len(s.items)
	s.items = append(s.items, i)
	s.bytes += size
	return nil
}

// stream begins where the stream's last frame ended.
func (b *batch) stream(name string) (*stream, error) {
	if s := b.streams[name]; s != nil {
		return s, nil
	}
	s := &stream{name: name, at: map[string]int{}}
	head, err := b.p.Store.Head(name)
	if err != nil {
		return nil, err
	}
	if head != nil {
		s.revision, s.hash = head.Revision, head.Hash
	}
	if head != nil && head.Revision == b.target {
		// A publication of the same revision was cut short: its parts go on here.
		s.part = head.Part + 1
		if s.revision, err = b.p.Store.PreviousRevision(name, head); err != nil {
			return nil, err
		}
	}
	b.streams[name] = s
	b.order = append(b.order, name)
	return s, nil
}

// seal signs what a stream has gathered as its next frame.
func (b *batch) seal(s *stream, last bool) error {
	items := s.items[:0]
	for _, i := range s.items {
		if i != nil {
			items = append(items, i)
		}
	}
	data, hash, err := frame.Seal(b.p.Key, &feedv1.Frame{
		Cluster: b.p.Cluster, Stream: s.name, Epoch: b.p.Epoch,
		PreviousRevision: s.revision, Revision: b.target, PreviousHash: s.hash,
		Part: s.part, Last: last, Items: items,
		AuditHead: b.p.Store.AuditHead(), SignedAt: b.p.Clock.Now().UnixNano(),
	})
	if err != nil {
		return err
	}
	if len(b.frames) > 0 && b.bytes+len(data) > transactionBytes {
		if err := b.propose(b.through, &statev1.PublishCursor{Target: b.target}); err != nil {
			return err
		}
	}
	b.frames = append(b.frames, &statev1.StoredFrame{
		Stream: s.name, Revision: b.target, Part: s.part, Data: data, Hash: hash[:],
		Last: last, PreviousRevision: s.revision,
	})
	b.bytes += len(data)
	s.part++
	s.hash = hash[:]
	s.items, s.bytes = nil, 0
	clear(s.at)
	return nil
}

// finish seals the last part of each stream, and moves the published revision with the
// last of the notes.
func (b *batch) finish(notes []*statev1.Op) error {
	for _, name := range b.order {
		if err := b.seal(b.streams[name], true); err != nil {
			return err
		}
	}
	size := 0
	for _, op := range notes {
		n := proto.Size(op)
		if size += n; size > notesBytes {
			if err := b.propose(b.through, &statev1.PublishCursor{Target: b.target}); err != nil {
				return err
			}
			size = n
		}
		b.notes = append(b.notes, op)
	}
	return b.propose(b.target, nil)
}

// propose has the frames gathered so far accepted, under the lease.
func (b *batch) propose(through uint64, cursor *statev1.PublishCursor) error {
	pub := &statev1.Publish{Through: through, Frames: b.frames}
	if cursor != nil {
		c, err := proto.Marshal(cursor)
		if err != nil {
			return err
		}
		pub.Cursor = c
	}
	_, err := b.p.Propose.Propose(b.ctx, &statev1.Transaction{
		Origin: b.p.origin("publish"),
		Preconditions: []*statev1.Precondition{{Condition: &statev1.Precondition_LeaseHeld{
			LeaseHeld: &statev1.LeaseHeld{Lease: Lease, Generation: b.p.generation},
		}}},
		Ops: append([]*statev1.Op{{Op: &statev1.Op_Publish{Publish: pub}}}, b.notes...),
	})
	b.frames, b.bytes, b.notes = nil, 0, nil
	return err
}
