package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/dataplane/s3/checksum"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// MinPart is the least size of all parts but the last, in octets.
const MinPart = 5 << 20

// MaxObject is the largest object, in octets.
const MaxObject = 5 << 40

// completeUpload makes an object of the parts that the client names: one command writes
// its row, which names the parts' bodies, and ends the upload. No octet moves.
func (q *request) completeUpload() error {
	asked, err := checksum.ReadCompletion(q.r.Header)
	if err != nil {
		return err
	}
	// The checksum in the headers is the object's, and not of this document.
	doc, err := q.heldDocument(q.limit(s3xml.MaxCompleteDocument), checksum.Asked{MD5: asked.MD5})
	if err != nil {
		return err
	}
	if err := q.work(doc); err != nil {
		return err
	}
	named, err := s3xml.ParseComplete(doc)
	if err != nil {
		return err
	}
	u, err := q.upload()
	if errors.Is(err, s3xml.NoSuchUpload) {
		return q.completedBefore(err, named)
	}
	if err != nil {
		return err
	}
	if _, err := q.partSealingIfGiven(u.object); err != nil {
		return err
	}
	c := completion{q: q, upload: &u, named: named, asked: asked}
	return c.run()
}

// partSealingIfGiven: a completion need not bring the key of SSE-C; one that does brings
// the right one.
func (q *request) partSealingIfGiven(u *storagev1.Object) (store.Sealing, error) {
	if q.r.Header[forObject+"Algorithm"] == nil {
		return store.Sealing{}, nil
	}
	return q.partSealing(u)
}

// completion is an upload on its way to be an object.
type completion struct {
	q      *request
	upload *found
	named  []s3xml.CompletePart
	asked  checksum.Asked

	object *storagev1.Object
	bodies []store.Body
	sums   []checksum.Part
	taken  taken
	// algorithms of the parts' checksums
	algorithms []string
}

func (c *completion) run() error {
	if err := c.gather(); err != nil {
		return err
	}
	if err := c.sum(); err != nil {
		return err
	}
	condition, err := c.q.writeCondition()
	if err != nil {
		return err
	}
	r, err := c.commit(condition)
	if err != nil {
		return err
	}
	q := c.q
	q.setIf(hVersionID, q.writtenID(&r))
	q.encryptionHeaders(c.object)
	q.expirationHeader(c.object, c.taken.size, r.Time)
	return q.send(&s3xml.Completed{
		Location: q.location(), Bucket: q.name, Key: q.key, ETag: string(c.taken.tag), Checksum: checksumOf(c.object),
	})
}

// location is the URL of an object, as answers to uploads have it.
func (q *request) location() string {
	scheme := "http://"
	if q.secure() {
		scheme = "https://"
	}
	b := append([]byte(scheme), q.r.Host...)
	if !q.virtual {
		b = append(append(b, '/'), q.name...)
	}
	key := string(s3xml.AppendURL(nil, q.key)) // a "+" of the key's own is %2B
	return string(append(b, '/')) + strings.ReplaceAll(key, "+", "%20")
}

// gather reads the parts' rows, in order, and finds those that were named.
func (c *completion) gather() error {
	id := c.q.query.get("uploadId")
	cursor, err := c.q.store.Scan(store.ScanOptions{Prefix: append([]byte{rowPart}, id...)})
	if err != nil {
		return err
	}
	defer finish(cursor)
	c.object = proto.Clone(c.upload.object).(*storagev1.Object)
	c.object.UploadKey = ""
	hash := md5.New()
	parts := make([]*storagev1.Part, 0, len(c.named))
	for i := range c.named {
		p, err := c.find(cursor, i)
		if err != nil {
			return err
		}
		hash.Write(p.GetEtag())
		parts = append(parts, p)
		c.sums = append(c.sums, checksum.Part{Sum: p.GetChecksum(), Size: p.GetSize()})
		c.taken.size += p.GetSize()
	}
	if err := setParts(c.object, parts); err != nil {
		return err
	}
	c.taken.body = store.Join(c.bodies...)
	if plainTag(c.object) {
		c.taken.tag = hex.AppendEncode(nil, hash.Sum(nil))
	} else {
		c.taken.tag = randomTag()
	}
	c.taken.tag = strconv.AppendInt(append(c.taken.tag, '-'), int64(len(c.named)), 10)
	return c.checkSize()
}

// find reads a part that was named and holds it against what is said of it.
func (c *completion) find(cursor *store.Cursor, i int) (*storagev1.Part, error) {
	want := &c.named[i]
	key := partRow(c.q.query.get("uploadId"), want.Number)
	bad := func() error {
		return s3xml.New(s3xml.InvalidPart, "UploadId", c.q.query.get("uploadId"), "PartNumber",
			itoa(int64(want.Number)), "ETag", want.ETag)
	}
	if !cursor.Seek(key) || !bytes.Equal(cursor.Row().Key, key) {
		if err := cursor.Err(); err != nil {
			return nil, err
		}
		return nil, bad()
	}
	row := cursor.Row()
	if want.ETag != string(row.Tag) {
		return nil, bad()
	}
	if row.Size < MinPart && i < len(c.named)-1 {
		return nil, s3xml.New(s3xml.EntityTooSmall, "ETag", want.ETag, "MinSizeAllowed", itoa(MinPart), "ProposedSize",
			itoa(row.Size), "PartNumber", itoa(int64(want.Number)))
	}
	var err error
	if row.Value, err = cursor.Value(); err != nil {
		return nil, err
	}
	f, err := open(row)
	if err != nil {
		return nil, err
	}
	if err := c.checkSum(want, f.object, bad); err != nil {
		return nil, err
	}
	c.bodies = append(c.bodies, row.Clone().Body)
	c.algorithms = append(c.algorithms, f.object.GetChecksumAlgorithm())
	tag, _ := hex.DecodeString(string(row.Tag)) // it is ours
	return &storagev1.Part{Number: int32(want.Number), Size: row.Size, Checksum: f.object.GetChecksum(), Etag: tag}, nil
}

// checkSum holds the checksums that the client names against the part's. One of another
// algorithm than the part has cannot be held against anything, and is no part of this upload.
// Of a COMPOSITE checksum AWS wants each part's.
func (c *completion) checkSum(want *s3xml.CompletePart, part *storagev1.Object, bad func() error) error {
	for algorithm, sum := range want.Checksums {
		if algorithm != part.GetChecksumAlgorithm() || !bytes.Equal(sum, part.GetChecksum()) {
			return bad()
		}
	}
	u := c.upload.object
	if u.GetChecksumComposite() && want.Checksums[u.GetChecksumAlgorithm()] == nil {
		return invalidRequest("The upload was created using a " + u.GetChecksumAlgorithm() +
			" checksum. The complete request must include the checksum for each part. It was missing for part " +
			strconv.Itoa(want.Number) + " in the request.")
	}
	return nil
}

// checkSize holds the size against x-amz-mp-object-size and the largest object.
func (c *completion) checkSize() error {
	if c.taken.size > MaxObject {
		return s3xml.New(s3xml.EntityTooLarge, "ProposedSize", itoa(c.taken.size), "MaxSizeAllowed", itoa(MaxObject))
	}
	text := c.q.header("X-Amz-Mp-Object-Size")
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return s3xml.Argument("The header must be a size.", "x-amz-mp-object-size", text)
	}
	if n != c.taken.size {
		return invalidRequest("The provided 'x-amz-mp-object-size' header does not match what was computed.")
	}
	return nil
}

// sum makes the object's checksum of its parts'. Parts of several algorithms have none in
// common, which only an upload that named no algorithm can have.
func (c *completion) sum() error {
	o := c.object
	a, ok := checksum.ParseAlgorithm(o.GetChecksumAlgorithm())
	if !ok {
		if a = c.common(); a == checksum.None {
			if c.asked.Algorithm != checksum.None {
				return s3xml.New(s3xml.BadDigest)
			}
			return nil
		}
	}
	t := typeOf(o)
	if c.asked.TypeGiven && c.asked.Type != t {
		return invalidRequest("The upload was created using the " + t.String() +
			" checksum mode. The complete request must use the same checksum mode.")
	}
	sum, err := a.OfParts(t, c.sums, c.asked)
	if err != nil {
		return err
	}
	o.ChecksumAlgorithm, o.Checksum = a.String(), sum
	return nil
}

// common is the algorithm of an upload that named none: that of all its parts, if a
// checksum of the whole follows from theirs.
func (c *completion) common() checksum.Algorithm {
	for _, a := range checksum.Algorithms() {
		if !a.Allows(checksum.FullObject) {
			continue
		}
		same := true
		for _, name := range c.algorithms {
			same = same && name == a.String()
		}
		if same {
			return a
		}
	}
	return checksum.None
}

func (c *completion) commit(condition store.Condition) (store.Result, error) {
	q, id := c.q, c.q.query.get("uploadId")
	op, err := q.objectOp(c.object, c.taken, condition)
	if err != nil {
		return store.Result{}, err
	}
	op.Condition.QuotaBytes = openBytes // the parts' octets were counted when they came
	c.object.UploadKey = q.key
	value, err := proto.Marshal(c.object)
	if err != nil {
		return store.Result{}, err
	}
	done := store.Op{Kind: store.Put, Key: completedRow(id), Tag: c.taken.tag, Value: value}
	if q.bucket.stacks() {
		done.Flags |= flagVersioned
	}
	results, err := q.store.Commit(q.r.Context(),
		store.Op{Kind: store.Delete, Key: c.upload.Key, Condition: store.Condition{Exists: true}},
		op, done,
		store.Op{Kind: store.DropPrefix, Key: append([]byte{rowPart}, id...)})
	if err != nil {
		return store.Result{}, q.uploadGone(err)
	}
	return results[1], nil
}

func completedRow(id string) []byte { return append([]byte{rowCompleted}, id...) }

// completedBefore answers a client that asks again, since it never had the answer: the
// same parts give the same answer for a day.
func (q *request) completedBefore(missing error, named []s3xml.CompletePart) error {
	id := q.query.get("uploadId")
	if !validUpload(id) {
		return missing
	}
	row, err := q.store.Get(q.r.Context(), completedRow(id), store.Current)
	if err != nil {
		return missing
	}
	f, err := open(row)
	if err != nil || f.object.GetUploadKey() != q.key {
		return missing
	}
	if parts, err := partsOf(f.object); err != nil || !sameParts(parts, named) {
		return missing
	}
	if row.Flags&flagVersioned != 0 {
		q.set(hVersionID, versionID(row.Version))
	}
	q.encryptionHeaders(f.object)
	return q.send(&s3xml.Completed{
		Location: q.location(), Bucket: q.name, Key: q.key, ETag: string(row.Tag), Checksum: f.checksum(),
	})
}

func sameParts(have []*storagev1.Part, named []s3xml.CompletePart) bool {
	if len(have) != len(named) {
		return false
	}
	for i, p := range have {
		if int(p.GetNumber()) != named[i].Number || hex.EncodeToString(p.GetEtag()) != named[i].ETag {
			return false
		}
	}
	return true
}
