package s3

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/errs"
)

// A bucket is deleted by the control plane, which knows nothing of objects; that it is
// empty is the store's to say, and must stay so until the bucket is gone. So a deletion
// first closes the bucket's space with one command: it writes a row that counts as an
// object of 4 EiB, on the condition that no other object is there afterwards. All that
// writes objects has a quota of bytes below that (openBytes), which the store judges as it
// applies a command: while the row is there no object comes, from whatever edge, and at no
// cost for other times.
//
// The row goes with the space, or is taken back when the control plane refuses. Where it
// is not known what became of the deletion, as after a crash, the row stays until nobody
// can carry out that deletion any more: the customer's signature, by which an edge asks
// for it, counts for 15 minutes. A customer who asks again takes it over.
const (
	closingBytes = 1 << 62
	openBytes    = closingBytes - 1
	closingLife  = 20 * time.Minute // 15 of the signature, and 5 that clocks may differ by
)

// deleteBucket ends an empty bucket. Uploads that go on do not keep it, as at AWS.
func (q *request) deleteBucket() error {
	proof, err := q.proof()
	if err != nil {
		return err
	}
	if q.h.config.Control == nil {
		return s3xml.ServiceUnavailable
	}
	if _, busy := q.h.closing.LoadOrStore(q.bucket.ID, true); busy {
		return s3xml.OperationAborted
	}
	defer q.h.closing.Delete(q.bucket.ID)
	mark, err := q.close()
	if err != nil {
		return err
	}
	if err := q.h.config.Control.DeleteBucket(q.r.Context(), proof, q.who.organization, q.name); err != nil {
		if refusedForGood(err) {
			q.reopen(mark)
		}
		return controlError(err)
	}
	return q.empty(http.StatusNoContent)
}

// close closes the bucket to objects, and returns the mark by which it is opened again.
func (q *request) close() (mark []byte, err error) {
	space, err := q.space()
	if err != nil {
		return nil, err
	}
	mark = randomTag()
	op := store.Op{Kind: store.Put, Key: []byte{rowClosing}, Tag: mark, Size: closingBytes, Counts: true}
	op.Condition = store.Condition{Absent: true, QuotaRows: 1}
	if row, err := space.Get(q.r.Context(), op.Key, store.Current); err == nil {
		op.Condition = store.Condition{Match: [][]byte{row.Tag}, QuotaRows: 1} // left by one of which nothing is known
	}
	_, err = space.Commit(q.r.Context(), op)
	var refused *store.Refused
	switch {
	case errors.As(err, &refused) && refused.Reason == store.QuotaRows:
		return nil, s3xml.New(s3xml.BucketNotEmpty, "BucketName", q.name)
	case errors.As(err, &refused): // another edge was first
		return nil, s3xml.New(s3xml.OperationAborted).Because(err)
	}
	return mark, err
}

// refusedForGood: the control plane has refused, and nothing of the request is left that
// could still delete the bucket.
func refusedForGood(err error) bool {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Conflict, errs.Denied, errs.Unauthenticated, errs.Exhausted, errs.NotFound:
		return true
	}
	return false
}

// reopen takes back what close did, though the client may be gone. Where it fails, the
// mark ends with its time.
func (q *request) reopen(mark []byte) {
	ctx := context.WithoutCancel(q.r.Context())
	if err := openAgain(ctx, q.store, mark); err != nil {
		q.h.config.Logger.Warn("open a bucket again that was not deleted", "bucket", q.name, "error", err.Error())
	}
}

func openAgain(ctx context.Context, space *store.Space, mark []byte) error {
	_, err := space.Commit(ctx, store.Op{
		Kind: store.Delete, Key: []byte{rowClosing}, Idempotent: true,
		Condition: store.Condition{Match: [][]byte{mark}},
	})
	var refused *store.Refused
	if errors.As(err, &refused) {
		return nil // it is another's by now, or gone
	}
	return err
}

// closed tells a client whose write the closed bucket refused to come again: then the
// bucket is gone, or open. A mark whose time is over is taken away.
func (q *request) closed(err error) error {
	if q.bucketGone(err) {
		return s3xml.New(s3xml.NoSuchBucket, "BucketName", q.name).Because(err)
	}
	var refused *store.Refused
	if !errors.As(err, &refused) || refused.Reason != store.QuotaBytes || q.store == nil {
		return err
	}
	row, missing := q.store.Get(q.r.Context(), []byte{rowClosing}, store.Current)
	if missing != nil {
		return err
	}
	told := s3xml.Say(s3xml.ServiceUnavailable, "The bucket is being deleted. Please try again.")
	if q.now.Sub(row.Time) > closingLife {
		if err := openAgain(q.r.Context(), q.store, row.Tag); err != nil {
			return told.Because(err)
		}
	}
	return told
}

// reopen takes away the mark of a deletion of which nothing came.
func (s *sweep) reopen() error {
	row, err := s.space.Get(s.ctx, []byte{rowClosing}, store.Current)
	if errors.Is(err, store.ErrNotFound) || err == nil && s.now.Sub(row.Time) <= closingLife {
		return nil
	}
	if err != nil {
		return err
	}
	return openAgain(s.ctx, s.space, row.Tag)
}

// bucketGone: a request failed since its bucket was deleted meanwhile.
func (q *request) bucketGone(err error) bool {
	if q.bucket == nil || err == nil {
		return false
	}
	if b, ok := q.h.View().Bucket(q.name); ok && b.ID == q.bucket.ID {
		return false
	}
	var refused *store.Refused
	return errors.As(err, &refused) && refused.Reason == store.QuotaBytes ||
		toldAs(err).HTTPStatus() >= http.StatusInternalServerError
}
