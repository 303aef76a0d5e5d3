package s3

import (
	"errors"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func (q *request) getTagging() error {
	f, err := q.find()
	if err != nil {
		return err
	}
	q.versionHeader(&f)
	return q.xml(s3xml.AppendTagging(q.buf[:0], f.object.GetTags()))
}

func (q *request) putTagging() error {
	doc, err := q.document(q.limit(s3xml.MaxDocument), false)
	if err != nil {
		return err
	}
	tags, err := s3xml.ParseTagging(doc, s3xml.MaxObjectTags)
	if err != nil {
		return err
	}
	if err := q.demandTags(tags); err != nil {
		return err
	}
	return q.setTags(http.StatusOK, tags)
}

// demandTags judges again where a policy may look at the tags, which stand in the body.
func (q *request) demandTags(tags map[string]string) error {
	if q.bucket.access.Policy == nil {
		return nil
	}
	q.tags = tags
	if q.query.has("versionId") {
		return q.demand(policy.PutObjectVersionTagging)
	}
	return q.demand(policy.PutObjectTagging)
}

func (q *request) deleteTagging() error { return q.setTags(http.StatusNoContent, nil) }

func (q *request) setTags(status int, tags map[string]string) error {
	f, err := q.find()
	if err != nil {
		return err
	}
	if err := q.amend(&f, func(o *storagev1.Object) { o.Tags = tags }); err != nil {
		return err
	}
	q.versionHeader(&f)
	return q.empty(status)
}

// amend changes an object's value where it lies, nothing else of it. Where somebody was
// first, it is read again and judged again: another object may lie there by now.
func (q *request) amend(f *found, change func(*storagev1.Object)) error {
	for range 8 {
		change(f.object)
		value, err := proto.Marshal(f.object)
		if err != nil {
			return err
		}
		space, err := q.space()
		if err != nil {
			return err
		}
		_, err = space.Commit(q.r.Context(), store.Op{
			Kind: store.Amend, Key: objectRow(q.key), Version: rowVersion(&f.Row), Flags: flagsOf(f.object),
			Value:     value,
			Condition: store.Condition{Amended: f.Amended},
		})
		var refused *store.Refused
		if !errors.As(err, &refused) {
			return err
		}
		row, err := space.Get(q.r.Context(), objectRow(q.key), rowVersion(&f.Row))
		if err != nil {
			return err
		}
		if *f, err = open(row); err != nil {
			return err
		}
		if err := q.judge(f); err != nil {
			return err
		}
	}
	return s3xml.OperationAborted
}

// rowVersion is how a command names a row.
func rowVersion(r *store.Row) store.Version {
	if r.Null {
		return store.Null
	}
	return r.Version
}
