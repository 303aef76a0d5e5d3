package state

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	feedv1 "github.com/dark-ecosystem/dark/proto/dark/feed/v1"
	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// ErrCompacted: the frame that follows a position is no longer kept.
var ErrCompacted = errors.New("the frame after that position is no longer kept")

// Through is the desired revision up to which everything is published, and when its
// frames were committed.
func (s *Store) Through() (revision uint64, at time.Time) {
	p := s.at.Load()
	return p.Published, time.Unix(0, p.PublishedTime)
}

// PublishCursor is the publisher's place within the revision after Through.
func (s *Store) PublishCursor() []byte { return s.at.Load().PublishCursor }

// AuditHead is the hash of the last commit.
func (s *Store) AuditHead() []byte { return s.at.Load().AuditHead }

// WaitPublished waits until Through is above after.
func (s *Store) WaitPublished(ctx context.Context, after uint64) error {
	return s.wait(ctx.Done(), ctx.Err, func(p *statev1.Progress) bool { return p.Published > after })
}

// Head is where a stream ends; nil when it has no frame yet.
func (s *Store) Head(stream string) (*statev1.StreamHead, error) {
	h := &statev1.StreamHead{}
	err := s.db.With(func(db *pebble.DB) error { return getProto(db, key(rowHead, stream), h) })
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	return h, err
}

// PreviousRevision is the revision that a stream was at before the revision of head,
// whose parts are not all there yet.
func (s *Store) PreviousRevision(stream string, head *statev1.StreamHead) (uint64, error) {
	f := &statev1.StoredFrame{}
	err := s.db.With(func(db *pebble.DB) error {
		return getProto(db, frameKey(stream, head.Revision, head.Part), f)
	})
	if errors.Is(err, pebble.ErrNotFound) {
		err = nil // long forgotten: edges that need what was before get a snapshot
	}
	return f.PreviousRevision, err
}

// Frames returns the frames of a stream that follow a position, at most limit;
// ErrCompacted when the first of them is no longer kept.
func (s *Store) Frames(stream string, afterRevision uint64, afterPart uint32,
	limit int,
) ([]*statev1.StoredFrame, error) {
	var out []*statev1.StoredFrame
	err := s.db.With(func(db *pebble.DB) error {
		rows := db.NewSnapshot()
		defer rows.Close()
		head := &statev1.StreamHead{}
		if err := getProto(rows, key(rowHead, stream), head); err != nil {
			if errors.Is(err, pebble.ErrNotFound) {
				return nil
			}
			return err
		}
		from := key(rowFrame, stream)
		err := scan(rows, append(frameKey(stream, afterRevision, afterPart), 0), after(from), func(_, v []byte) error {
			if len(out) == limit {
				return errEnough
			}
			f := &statev1.StoredFrame{}
			out = append(out, f)
			return proto.Unmarshal(v, f)
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		return followed(out, head, afterRevision, afterPart)
	})
	return out, err
}

// followed says whether the first frame is the very next one after a position.
func followed(frames []*statev1.StoredFrame, head *statev1.StreamHead, revision uint64, part uint32) error {
	if len(frames) == 0 {
		if head.Revision == revision && head.Part == part {
			return nil
		}
		return ErrCompacted
	}
	f := frames[0]
	if f.Revision == revision && f.Part == part+1 || f.Part == 0 && f.PreviousRevision == revision {
		return nil
	}
	return ErrCompacted
}

// Records calls emit for each published record of a stream, all as of one moment, and
// returns the head of the stream at that moment.
func (s *Store) Records(stream string, emit func(*feedv1.Item) error) (*statev1.StreamHead, error) {
	head := &statev1.StreamHead{}
	db, release, err := s.db.Acquire()
	if err != nil {
		return nil, err
	}
	defer release()
	rows := db.NewSnapshot()
	defer rows.Close()
	if err := getProto(rows, key(rowHead, stream), head); err != nil && !errors.Is(err, pebble.ErrNotFound) {
		return nil, err
	}
	from := key(rowPublished, stream)
	return head, scan(rows, from, after(from), func(k, v []byte) error {
		r := &statev1.PublishedRecord{}
		if err := proto.Unmarshal(v, r); err != nil {
			return err
		}
		t := texts(k)
		return emit(&feedv1.Item{Kind: t[1], Name: t[2], Lane: r.Lane, Value: r.Value, Expires: r.Expires})
	})
}

// Published returns a published record's value, nil when there is none.
func (s *Store) Published(stream, kind, name string) ([]byte, error) {
	r := &statev1.PublishedRecord{}
	err := s.db.With(func(db *pebble.DB) error { return getProto(db, key(rowPublished, stream, kind, name), r) })
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	return r.Value, err
}
