package s3

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
)

// deletion is one key, or one version of it, that shall go.
type deletion struct {
	key       string
	versionID string
	condition store.Condition
	judged    judged
}

// judged is the row by which a deletion was allowed, where an object's tags or ACL have a say:
// the deletion is done only while the key has that row, as it was read. row is its last
// change, 0 where there was none.
type judged struct {
	done bool
	row  store.Version
}

// hold makes it a condition of a step.
func (j judged) hold(c *store.Condition) {
	if j.done && j.row != 0 {
		c.Amended = j.row
	} else if j.done {
		c.Absent = true
	}
}

// changed says whether a step was refused since another row is there by now.
func (j judged) changed(err error) bool {
	refused, ok := errors.AsType[*store.Refused](err)
	return ok && j.done && (refused.Reason == store.Changed || j.row == 0 && refused.Reason == store.Precondition)
}

// deleteObject deletes a version for good, or, where none is named, lays a delete marker
// over the key in a bucket with versions.
func (q *request) deleteObject() error {
	d := deletion{key: q.key, versionID: q.query.get("versionId"), judged: q.judged}
	if q.query.has("versionId") && d.versionID == "" {
		return s3xml.Argument("Version id cannot be the empty string", "versionId", "")
	}
	if v := q.r.Header["If-Match"]; v != nil {
		d.condition.Exists, d.condition.Match = matchTags(v)
	}
	if err := q.deleteConditions(&d.condition); err != nil {
		return err
	}
	done, err := q.delete(d)
	if err != nil {
		return err
	}
	if done.Marker {
		q.set(hDeleteMarker, "true")
	}
	q.setIf(hVersionID, cmpOr(done.VersionID, done.MarkerVersionID))
	return q.empty(http.StatusNoContent)
}

// deleteConditions reads the two conditions that besides If-Match a delete may have.
func (q *request) deleteConditions(c *store.Condition) error {
	if text := q.header("X-Amz-If-Match-Last-Modified-Time"); text != "" {
		t, err := http.ParseTime(text)
		if err != nil {
			return s3xml.Argument("The header must be a date.", "x-amz-if-match-last-modified-time", text)
		}
		c.Time = t
	}
	if text := q.header("X-Amz-If-Match-Size"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return s3xml.Argument("The header must be a size.", "x-amz-if-match-size", text)
		}
		c.Size = &n
	}
	return nil
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// delete does one deletion and tells what became of it. Where the row that was judged has
// changed, it is judged again.
func (q *request) delete(d deletion) (s3xml.Deleted, error) {
	for tries := 0; ; tries++ {
		done, err := q.deleteJudged(d)
		if tries == 8 || !d.judged.changed(err) {
			return done, err
		}
		if err := q.mayDelete(&d); err != nil {
			return done, err
		}
	}
}

// deleteJudged does one deletion of the row that was judged.
func (q *request) deleteJudged(d deletion) (s3xml.Deleted, error) {
	done := s3xml.Deleted{Key: d.key, VersionID: d.versionID}
	if d.nothing() {
		return done, nil
	}
	op, err := q.deleteOp(d)
	if err != nil {
		return done, err
	}
	space, err := q.space()
	if err != nil {
		return done, err
	}
	results, err := space.Commit(q.r.Context(), op)
	var refused *store.Refused
	switch {
	case errors.As(err, &refused) && refused.Reason == store.Missing:
		return done, nil // what is not there is deleted, whatever If-Match says (API reference, DeleteObject)
	case err != nil:
		return done, err
	}
	return q.outcome(d, &results[0]), nil
}

// nothing: the version that is named was not there when it was judged.
func (d *deletion) nothing() bool { return d.versionID != "" && d.judged.done && d.judged.row == 0 }

// outcome tells what a deletion did: a marker that was laid, or one that went.
func (q *request) outcome(d deletion, r *store.Result) s3xml.Deleted {
	done := s3xml.Deleted{Key: d.key, VersionID: d.versionID}
	switch {
	case d.versionID != "":
		if done.Marker = r.Marker; done.Marker {
			done.MarkerVersionID = d.versionID
		}
	case q.bucket.versioned():
		done.Marker, done.MarkerVersionID = true, cmpOr(q.writtenID(r), nullVersion)
	}
	return done
}

// deleteOp is the step that a deletion is.
func (q *request) deleteOp(d deletion) (store.Op, error) {
	op := store.Op{Key: objectRow(d.key), Condition: d.condition, Idempotent: true}
	switch {
	case d.versionID != "":
		v, err := parseVersion(d.versionID)
		if err != nil {
			return op, err
		}
		op.Kind, op.Version = store.Delete, v
	case !q.bucket.versioned():
		op.Kind, op.Version = store.Delete, store.Null
	default: // a marker counts as an object, as at AWS
		op.Kind, op.Marker, op.Counts = q.putKind(), true, true
	}
	d.judged.hold(&op.Condition)
	return op, nil
}

// deleteObjects deletes up to 1,000 keys; each is judged and told of by itself.
func (q *request) deleteObjects() error {
	doc, err := q.document(q.limit(s3xml.MaxDeleteDocument), true)
	if err != nil {
		return err
	}
	if err := q.work(doc); err != nil {
		return err
	}
	list, err := s3xml.ParseDelete(doc)
	q.rest()
	if err != nil {
		return err
	}
	answer := s3xml.DeleteResult{Quiet: list.Quiet, Results: make([]s3xml.Deleted, 0, len(list.Objects))}
	answer.Results = q.deleteAll(list.Objects, answer.Results)
	return q.send(&answer)
}

// deleteAll deletes what needs no condition and has a name of its own in one command, and
// the rest one by one.
func (q *request) deleteAll(keys []s3xml.DeleteKey, results []s3xml.Deleted) []s3xml.Deleted {
	var batch []deletion
	seen := map[string]bool{}
	flush := func() {
		results = append(results, q.deleteBatch(batch)...)
		batch, seen = batch[:0], map[string]bool{}
	}
	for i := range keys {
		k := &keys[i]
		d := deletion{key: k.Key, versionID: k.VersionID}
		if err := q.mayDelete(&d); err != nil {
			results = append(results, s3xml.Deleted{Key: d.key, VersionID: d.versionID, Err: toldAs(err)})
			continue
		}
		if k.ETag != "" || k.LastModified != nil || k.Size != nil || d.nothing() {
			d.condition = deleteCondition(k)
			results = append(results, q.deleteOne(d))
			continue
		}
		if seen[d.key] {
			flush()
		}
		seen[d.key] = true
		batch = append(batch, d)
	}
	flush()
	return results
}

func deleteCondition(k *s3xml.DeleteKey) (c store.Condition) {
	if k.ETag != "" {
		c.Exists, c.Match = matchTags([]string{k.ETag})
	}
	if k.LastModified != nil {
		c.Time = *k.LastModified
	}
	c.Size = k.Size
	return c
}

func (q *request) deleteOne(d deletion) s3xml.Deleted {
	done, err := q.delete(d)
	if err != nil {
		done.Err = toldAs(err)
	}
	return done
}

// deleteBatch deletes distinct keys in one command; where that is refused, one by one.
func (q *request) deleteBatch(batch []deletion) []s3xml.Deleted {
	if len(batch) == 0 {
		return nil
	}
	out := make([]s3xml.Deleted, 0, len(batch))
	ops := make([]store.Op, 0, len(batch))
	for _, d := range batch {
		op, err := q.deleteOp(d)
		if err != nil {
			return q.deleteEach(batch)
		}
		ops = append(ops, op)
	}
	space, err := q.space()
	if err != nil {
		return q.deleteEach(batch)
	}
	results, err := space.Commit(q.r.Context(), ops...)
	if err != nil {
		return q.deleteEach(batch)
	}
	for i, d := range batch {
		out = append(out, q.outcome(d, &results[i]))
	}
	return out
}

func (q *request) deleteEach(batch []deletion) []s3xml.Deleted {
	out := make([]s3xml.Deleted, 0, len(batch))
	for _, d := range batch {
		out = append(out, q.deleteOne(d))
	}
	return out
}
