package s3

import (
	"errors"
	"net/http"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func (q *request) getObject() error { return q.read(true) }

func (q *request) headObject() error { return q.read(false) }

// read answers GetObject and HeadObject.
func (q *request) read(body bool) error {
	for range 3 {
		f, err := q.find()
		if err != nil {
			return err
		}
		how, err := q.sealingOf(f.object)
		if err != nil {
			return err
		}
		status, part, err := q.prepare(&f)
		if err != nil {
			return err
		}
		if !body || part.length() == 0 {
			q.head(status)
			return nil
		}
		f.forget()
		q.unseat()
		// It may have been replaced since its row was read: then there is a newer one.
		err = q.copyOut(&f, how, status, part)
		if q.status != 0 {
			return err
		}
		// An error has no header of the object: a cache would keep it as long as the object, and a client decode it.
		clear(q.w.Header())
		if !errors.Is(err, store.ErrGone) {
			return err
		}
	}
	return s3xml.ServiceUnavailable
}

// copyOut sends a part of the object's body. An object that is replaced or deleted meanwhile is sent to its
// end where it has at most 512 extents (8 GiB when it was not copied from small parts), which are held from
// the first octet on. Of a larger one what is not held yet may be gone: then the connection is closed before
// Content-Length octets were sent, which clients take for a failure and try again.
func (q *request) copyOut(f *found, how store.Sealing, status int, part span) error {
	space, err := q.space()
	if err != nil {
		return err
	}
	r, err := space.Read(q.r.Context(), f.Body, how, part.from, part.to)
	if err != nil {
		return err
	}
	defer finish(r)
	_, err = r.WriteTo(stream{q, status})
	return err
}

// find reads the row that a request is about: the current one of its key, or the version
// that it names. What reads as deleted is answered as AWS does.
func (q *request) find() (found, error) {
	if f := q.peeked; f != nil {
		q.peeked = nil // what was judged is what is answered
		return *f, nil
	}
	if err := q.seat(); err != nil {
		return found{}, err
	}
	v, err := q.version()
	if err != nil {
		return found{}, err
	}
	space, err := q.space()
	if err != nil {
		return found{}, err
	}
	row, err := space.Get(q.r.Context(), q.row(rowObject, q.key), v)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return found{}, q.missing(v)
	case err != nil:
		return found{}, err
	case row.Marker:
		return found{}, q.deleted(&row, v)
	}
	f, err := open(row)
	if err != nil {
		return found{}, err
	}
	return f, q.judge(&f)
}

// missing is the error for what is not there. Who may not list the bucket is not told
// whether a key exists (API reference, GetObject).
func (q *request) missing(v store.Version) error {
	if !q.mayList(q.bucket, q.key) {
		return s3xml.AccessDenied
	}
	if v != store.Current {
		return s3xml.New(s3xml.NoSuchVersion, "Key", q.key, "VersionId", q.query.get("versionId"))
	}
	return s3xml.New(s3xml.NoSuchKey, "Key", q.key)
}

// deleted answers for a delete marker: 404 where it is the current version, 405 where it
// was asked for by its version ID.
func (q *request) deleted(row *store.Row, v store.Version) error {
	q.set(hDeleteMarker, "true")
	q.set(hVersionID, idOf(row))
	if v == store.Current {
		return q.missing(v)
	}
	q.set("Last-Modified", httpTime(row.Time))
	q.set("Allow", http.MethodDelete)
	return s3xml.New(s3xml.MethodNotAllowed, "Method", q.r.Method, "ResourceType", "DeleteMarker")
}

// prepare judges the conditions, finds the range and sets the headers.
func (q *request) prepare(f *found) (status int, part span, err error) {
	q.set(hETag, f.etag())
	q.set("Last-Modified", httpTime(f.Time))
	if q.bucket.versioned() {
		q.set(hVersionID, idOf(&f.Row))
	}
	p := q.preconditions("")
	switch p.judge(f.Tag, f.Time) {
	case notModified:
		q.setIf("Cache-Control", f.object.GetCacheControl())
		q.setIf("Expires", f.object.GetExpires())
		return 0, span{}, s3xml.NotModified
	case failed:
		return 0, span{}, failedAs(p.failedHeader())
	}
	part, err = q.part(f)
	if err != nil {
		return 0, span{}, err
	}
	if err := q.overrides(f); err != nil {
		return 0, span{}, err
	}
	q.describe(f, part)
	q.set("Accept-Ranges", "bytes")
	q.set(hLength, itoa(part.length()))
	if !part.partial {
		return http.StatusOK, part, nil
	}
	q.set("Content-Range", part.contentRange(f.Size))
	return http.StatusPartialContent, part, nil
}

// failedHeader is the condition that comes first of those that can fail.
func (p *preconditions) failedHeader() string {
	if p.hasMatch {
		return "If-Match"
	}
	return "If-Unmodified-Since"
}

// describe sets the headers that tell of an object.
func (q *request) describe(f *found, part span) {
	o := f.object
	for name, value := range o.GetMetadata() {
		q.set("X-Amz-Meta-"+name, encodeMetadata(value))
	}
	q.encryptionHeaders(o)
	if f.Current {
		q.expirationHeader(o, f.Size, f.Time)
	}
	if n := len(o.GetTags()); n > 0 {
		q.set("X-Amz-Tagging-Count", itoa(int64(n)))
	}
	q.setIf("X-Amz-Website-Redirect-Location", o.GetRedirectLocation())
	if n := partCount(o); part.number > 0 && n > 0 {
		q.set("X-Amz-Mp-Parts-Count", itoa(int64(n)))
	}
	if q.header("X-Amz-Checksum-Mode") == "ENABLED" {
		q.checksumHeaders(o, part)
	}
}

// checksumHeaders tells the checksum of what is sent: of the whole or of one part; a range
// has none.
func (q *request) checksumHeaders(o *storagev1.Object, part span) {
	c := checksumOf(o)
	switch {
	case len(c.Sum) == 0:
		return
	case part.of != nil:
		sum := part.of.GetChecksum()
		if len(sum) == 0 {
			return
		}
		c.Sum, c.Parts = sum, 0
	case part.partial && part.length() != part.size:
		return
	}
	q.checksumHeader(c)
	kind := "FULL_OBJECT"
	if o.GetChecksumComposite() {
		kind = "COMPOSITE"
	}
	q.set("X-Amz-Checksum-Type", kind)
}

// checksumHeader sets x-amz-checksum-ALGORITHM.
func (q *request) checksumHeader(c s3xml.Checksum) {
	if len(c.Sum) > 0 {
		q.set(checksumNames[c.Algorithm], c.Value())
	}
}

// checksumNames are the headers of checksums by algorithm.
var checksumNames = map[string]string{
	"CRC32": "X-Amz-Checksum-Crc32", "CRC32C": "X-Amz-Checksum-Crc32c", "CRC64NVME": "X-Amz-Checksum-Crc64nvme",
	"SHA1": "X-Amz-Checksum-Sha1", "SHA256": "X-Amz-Checksum-Sha256",
}

// overrides sets the headers that the writer gave, or that the reader asks for instead
// (response-*), which only who signed may (API reference, GetObject).
func (q *request) overrides(f *found) error {
	o := f.object
	contentType := o.GetContentType()
	if contentType == "" {
		contentType = defaultType
	}
	for _, h := range [...]struct{ parameter, header, value string }{
		{"response-content-type", hContentType, contentType},
		{"response-content-encoding", "Content-Encoding", o.GetContentEncoding()},
		{"response-content-disposition", "Content-Disposition", o.GetContentDisposition()},
		{"response-content-language", "Content-Language", o.GetContentLanguage()},
		{"response-cache-control", "Cache-Control", o.GetCacheControl()},
		{"response-expires", "Expires", o.GetExpires()},
	} {
		if len(q.query) > 0 && q.query.has(h.parameter) {
			if q.who.anonymous() {
				clear(q.w.Header()) // they are the object's
				return invalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
			}
			if v := q.query.get(h.parameter); v != "" || h.header != hContentType {
				h.value = v // without a type net/http would guess one of the content, such as text/html
			}
		}
		q.setIf(h.header, h.value)
	}
	return nil
}

const defaultType = "binary/octet-stream"
