package s3

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3/checksum"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// createUpload begins an upload in parts: a row that says what the object will be.
func (q *request) createUpload() error {
	o := &storagev1.Object{Initiator: q.who.id(), UploadKey: q.key}
	if err := q.describeObject(o); err != nil {
		return err
	}
	if _, err := q.sealNew(o); err != nil {
		return err
	}
	if err := q.uploadChecksum(o); err != nil {
		return err
	}
	value, err := proto.Marshal(o)
	if err != nil {
		return err
	}
	space, err := q.space()
	if err != nil {
		return err
	}
	id := randomID()
	results, err := space.Commit(q.r.Context(), store.Op{
		Kind: store.Put, Key: uploadRow(q.key, id), Flags: flagsOf(o), Value: value,
		Condition: store.Condition{Absent: true},
	})
	if err != nil {
		return err
	}
	q.encryptionHeaders(o)
	q.abortHeaders(results[0].Time)
	if o.ChecksumAlgorithm != "" {
		q.set("X-Amz-Checksum-Algorithm", o.ChecksumAlgorithm)
		q.set("X-Amz-Checksum-Type", typeOf(o).String())
	}
	return q.send(&s3xml.Initiated{Bucket: q.name, Key: q.key, UploadID: id})
}

func typeOf(o *storagev1.Object) checksum.Type {
	if o.GetChecksumComposite() {
		return checksum.Composite
	}
	return checksum.FullObject
}

// uploadChecksum reads which checksum the object shall have; none is CRC64NVME of the
// whole, which is not told, as at AWS.
func (q *request) uploadChecksum(o *storagev1.Object) error {
	name, kind := q.header("X-Amz-Checksum-Algorithm"), q.header("X-Amz-Checksum-Type")
	if name == "" {
		if kind != "" {
			return invalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm " +
				"header.")
		}
		return nil
	}
	a, ok := checksum.ParseAlgorithm(name)
	if !ok {
		return invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid " +
			"types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	t := a.Multipart()
	if kind != "" {
		if t, ok = checksum.ParseType(strings.ToUpper(kind)); !ok {
			return invalidRequest("Value for x-amz-checksum-type header is invalid.")
		}
		if !a.Allows(t) {
			return invalidRequest("The " + t.String() + " checksum type cannot be used with the " +
				strings.ToLower(a.String()) + " checksum algorithm.")
		}
	}
	o.ChecksumAlgorithm, o.ChecksumComposite = a.String(), t == checksum.Composite
	return nil
}

// upload finds the upload that the request names.
func (q *request) upload() (found, error) {
	id := q.query.get("uploadId")
	if !validUpload(id) {
		return found{}, q.noUpload(id)
	}
	space, err := q.space()
	if err != nil {
		return found{}, err
	}
	row, err := space.Get(q.r.Context(), uploadRow(q.key, id), store.Current)
	if errors.Is(err, store.ErrNotFound) {
		return found{}, q.noUpload(id)
	}
	if err != nil {
		return found{}, err
	}
	return open(row)
}

func (q *request) noUpload(id string) error { return s3xml.New(s3xml.NoSuchUpload, "UploadId", id) }

// partNumber reads which part is meant.
func (q *request) partNumber() (int, error) {
	text := q.query.get("partNumber")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > s3xml.MaxPart {
		return 0, s3xml.Argument("Part number must be an integer between 1 and 10000, inclusive", "partNumber", text)
	}
	return n, nil
}

// uploadPart takes the body of a part.
func (q *request) uploadPart() error {
	n, err := q.partNumber()
	if err != nil {
		return err
	}
	u, err := q.upload()
	if err != nil {
		return err
	}
	how, err := q.partSealing(u.object)
	if err != nil {
		return err
	}
	o := partOf(u.object)
	t, err := q.take(o, how)
	if err != nil {
		return err
	}
	defer t.abort()
	if _, err := q.commitPart(&u, o, t, n); err != nil {
		return err
	}
	q.set(hETag, quoted(t.tag))
	q.encryptionHeaders(u.object)
	q.checksumHeader(checksumOf(o))
	return q.empty(http.StatusOK)
}

// partOf is a part's own value: how it is encrypted and what is hashed of it.
func partOf(u *storagev1.Object) *storagev1.Object {
	return &storagev1.Object{
		Encryption: u.GetEncryption(), KmsKey: u.GetKmsKey(), CustomerKeyMd5: u.GetCustomerKeyMd5(),
		ChecksumAlgorithm: u.GetChecksumAlgorithm(),
	}
}

// partSealing is how all parts of an upload are sealed. Those of SSE-C come with the key
// that began the upload.
func (q *request) partSealing(u *storagev1.Object) (store.Sealing, error) {
	k, err := q.customerKey(forObject)
	if err != nil {
		return store.Sealing{}, err
	}
	if (k != nil) != (len(u.GetCustomerKeyMd5()) > 0) {
		return store.Sealing{}, invalidRequest("The multipart upload initiate requested encryption. Subsequent part " +
			"requests must include the appropriate encryption parameters.")
	}
	if k != nil && string(k.md5) != string(u.GetCustomerKeyMd5()) {
		return store.Sealing{}, invalidRequest("The provided encryption parameters did not match the ones used " +
			"originally.")
	}
	return openedWith(u, k)
}

// commitPart makes the part one of an upload that still goes on.
func (q *request) commitPart(u *found, o *storagev1.Object, t taken, number int) (store.Result, error) {
	value, err := proto.Marshal(o)
	if err != nil {
		return store.Result{}, err
	}
	id := q.query.get("uploadId")
	results, err := q.store.Commit(q.r.Context(),
		store.Op{Kind: store.Require, Key: u.Key, Condition: store.Condition{Exists: true}},
		store.Op{
			Kind: store.Put, Key: partRow(id, number), Condition: q.quota(store.Condition{}), Tag: t.tag, Size: t.size,
			Flags: flagsOf(o), Value: value, Body: t.body,
		})
	if err != nil {
		return store.Result{}, q.uploadGone(err)
	}
	return results[1], nil
}

// uploadGone is NoSuchUpload where an upload ended while a request was on its way.
func (q *request) uploadGone(err error) error {
	var refused *store.Refused
	if errors.As(err, &refused) && refused.Op == 0 {
		return q.noUpload(q.query.get("uploadId"))
	}
	return err
}

// abortUpload ends an upload and all its parts. Aborting what is not there is NoSuchUpload.
func (q *request) abortUpload() error {
	u, err := q.upload()
	if err != nil {
		return err
	}
	if text := q.header("X-Amz-If-Match-Initiated-Time"); text != "" {
		if t, err := http.ParseTime(text); err != nil || t.Unix() != u.Time.Unix() {
			return s3xml.PreconditionFailed
		}
	}
	if err := q.dropUpload(u.Key, q.query.get("uploadId")); err != nil {
		return err
	}
	return q.empty(http.StatusNoContent)
}

func (q *request) dropUpload(row []byte, id string) error {
	_, err := q.store.Commit(q.r.Context(),
		store.Op{Kind: store.Delete, Key: row, Condition: store.Condition{Exists: true}},
		store.Op{Kind: store.DropPrefix, Key: append([]byte{rowPart}, id...)})
	return q.uploadGone(err)
}
