package s3

import (
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3/lifecycle"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// MaxPut is the largest body of one PUT or part, in octets.
const MaxPut = 5 << 30

// putObject takes a body and makes it an object: first all that can be refused is judged,
// then the body is read and held against its hashes, then one command makes it visible.
func (q *request) putObject() error {
	o := &storagev1.Object{Initiator: q.who.id()}
	if err := q.describeObject(o); err != nil {
		return err
	}
	condition, err := q.writeCondition()
	if err != nil {
		return err
	}
	how, err := q.sealNew(o)
	if err != nil {
		return err
	}
	b, err := q.take(o, how)
	if err != nil {
		return err
	}
	defer b.abort()
	result, err := q.commitObject(o, b, condition)
	if err != nil {
		return err
	}
	q.wrote(o, b.tag, b.size, &result)
	return q.empty(http.StatusOK)
}

// describeObject reads all that the headers of a new object say of it.
func (q *request) describeObject(o *storagev1.Object) error {
	if err := q.checkFutures(); err != nil {
		return err
	}
	if err := q.storageClass(); err != nil {
		return err
	}
	if err := q.describeNew(o); err != nil {
		return err
	}
	if err := q.tagsNew(o); err != nil {
		return err
	}
	return q.aclNew(o)
}

// taken is a body that was read and is durable, to be committed.
type taken struct {
	writer *store.Writer
	body   store.Body
	size   int64
	tag    []byte
}

func (t *taken) abort() {
	if t.writer != nil {
		t.writer.Abort()
	}
}

// take reads the request's body into the store, and notes its checksum in the object.
// Whoever got it without an error aborts it in the end.
func (q *request) take(o *storagev1.Object, how store.Sealing) (taken, error) {
	in, err := q.intake(o)
	if err != nil {
		return taken{}, err
	}
	defer in.release()
	return q.takeFrom(in, o, how)
}

func (q *request) takeFrom(in *intake, o *storagev1.Object, how store.Sealing) (taken, error) {
	space, err := q.space()
	if err != nil {
		return taken{}, err
	}
	w, err := space.Write(q.r.Context(), how, in.want)
	if err != nil {
		return taken{}, err
	}
	t := taken{writer: w}
	if t.size, err = w.ReadFrom(in); err == nil {
		err = in.verify()
	}
	if err == nil {
		t.body, err = w.Finish()
	}
	if err != nil {
		w.Abort()
		return taken{}, err
	}
	q.in += t.size
	t.tag = in.tag(o)
	in.note(o)
	return t, nil
}

// commitObject makes the body the key's current version.
func (q *request) commitObject(o *storagev1.Object, t taken, c store.Condition) (store.Result, error) {
	op, err := q.objectOp(o, t, c)
	if err != nil {
		return store.Result{}, err
	}
	results, err := q.store.Commit(q.r.Context(), op)
	if err != nil {
		return store.Result{}, err
	}
	return results[0], nil
}

// objectOp is the step that writes an object's row.
func (q *request) objectOp(o *storagev1.Object, t taken, c store.Condition) (store.Op, error) {
	value, err := proto.Marshal(o)
	if err != nil {
		return store.Op{}, err
	}
	return store.Op{
		Kind: q.putKind(), Key: objectRow(q.key), Condition: q.quota(c), Tag: t.tag, Size: t.size,
		Flags: flagsOf(o), Value: value, Body: t.body, Counts: true,
	}, nil
}

// putKind is how a write to the bucket treats what is there.
func (q *request) putKind() store.OpKind {
	if q.bucket.stacks() {
		return store.Stack
	}
	return store.Put
}

// writtenID is the version ID of what was just written; empty where there are none. While
// versioning is suspended, AWS tells it of delete markers only.
func (q *request) writtenID(r *store.Result) string {
	if q.bucket.stacks() {
		return versionID(r.Version)
	}
	return ""
}

// wrote sets the headers that answer a write.
func (q *request) wrote(o *storagev1.Object, tag []byte, size int64, r *store.Result) {
	q.set(hETag, quoted(tag))
	q.setIf(hVersionID, q.writtenID(r))
	q.encryptionHeaders(o)
	q.expirationHeader(o, size, r.Time)
	if c := checksumOf(o); len(c.Sum) > 0 {
		q.checksumHeader(c)
		q.set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}

// expirationHeader tells when the current version of an object will end by the bucket's
// rules, if it will.
func (q *request) expirationHeader(o *storagev1.Object, size int64, written time.Time) {
	rules := q.bucket.Spec.GetLifecycleRules()
	if len(rules) == 0 {
		return
	}
	v := lifecycle.Version{Key: q.key, Size: size, Tags: o.GetTags(), Written: written, Current: true}
	q.setIf("X-Amz-Expiration", lifecycle.ExpirationHeader(rules, &v))
}

// abortHeaders tell when an upload will end by the bucket's rules, if it will.
func (q *request) abortHeaders(began time.Time) {
	rules := q.bucket.Spec.GetLifecycleRules()
	if len(rules) == 0 {
		return
	}
	if due, rule, ok := lifecycle.AbortDate(rules, &lifecycle.Upload{Key: q.key, Started: began}); ok {
		q.set("X-Amz-Abort-Date", lifecycle.FormatDate(due))
		q.set("X-Amz-Abort-Rule-Id", rule)
	}
}

// id is the access key that asks; empty for nobody.
func (c *caller) id() string {
	if c.key == nil {
		return ""
	}
	return c.key.ID
}

// length is the length of the body in the clear, which must be known.
func (q *request) length() (int64, error) {
	n := q.r.ContentLength
	if n < 0 {
		return 0, s3xml.New(s3xml.MissingContentLength)
	}
	return n, nil
}
