package s3

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/checksum"
	"github.com/dark-ecosystem/dark/dataplane/s3/policy"
	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
	"github.com/dark-ecosystem/dark/dataplane/store"
	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// source is what a copy is made of.
type source struct {
	found
	bucket  *Bucket
	key     string
	version string // as it was named
	space   *store.Space
	how     store.Sealing
}

// parseCopySource reads x-amz-copy-source: "[/]BUCKET/KEY[?versionId=ID]", URL-encoded.
func parseCopySource(text string) (bucket, key, version string, err error) {
	bad := s3xml.Argument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
		"x-amz-copy-source", text)
	path, query, has := strings.Cut(text, "?versionId=")
	if has {
		version = query
	}
	if path, err = url.PathUnescape(path); err != nil {
		return "", "", "", bad
	}
	bucket, key, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok || bucket == "" || key == "" {
		return "", "", "", bad
	}
	if has && version == "" {
		return "", "", "", s3xml.Argument("Version id cannot be the empty string", "versionId", "")
	}
	return bucket, key, version, s3xml.CheckKey(key)
}

// source finds what x-amz-copy-source names, and judges whether it may be read as its
// conditions want.
func (q *request) source() (*source, error) {
	name, key, version, err := parseCopySource(q.header("X-Amz-Copy-Source"))
	if err != nil {
		return nil, err
	}
	s := &source{key: key, version: version}
	var ok bool
	if s.bucket, ok = q.v.Bucket(name); !ok {
		return nil, s3xml.New(s3xml.NoSuchBucket, "BucketName", name)
	}
	if err := q.expectOwner("X-Amz-Source-Expected-Bucket-Owner", s.bucket); err != nil {
		return nil, err
	}
	if err := s.read(q); err != nil {
		return nil, err
	}
	k, err := q.customerKey(forSource)
	if err != nil {
		return nil, err
	}
	if s.how, err = openedWith(s.object, k); err != nil {
		return nil, err
	}
	p := q.preconditions("X-Amz-Copy-Source-")
	if p.judge(s.Tag, s.Time) != holds {
		return nil, failedAs("x-amz-copy-source-If-")
	}
	return s, nil
}

// read reads the row and judges whether the caller may.
func (s *source) read(q *request) (err error) {
	v, action := store.Current, policy.GetObject
	if s.version != "" {
		if v, err = parseVersion(s.version); err != nil {
			return err
		}
		action = policy.GetObjectVersion
	}
	if s.space, err = q.h.config.Store.At(s.bucket.Placement); err != nil {
		return err
	}
	row, err := s.space.Get(q.r.Context(), objectRow(s.key), v)
	missing := errors.Is(err, store.ErrNotFound) || err == nil && row.Marker
	if err != nil && !missing {
		return err
	}
	var about *policy.Object
	if !missing {
		if s.found, err = open(row); err != nil {
			return err
		}
		if s.bucket.access.NeedsObject() {
			about = &policy.Object{Owner: s.object.GetOwner(), Grants: s.object.GetGrants()}
		}
	}
	old := q.peeked
	q.peeked = nil
	if about != nil {
		q.peeked = &s.found
	}
	reason := q.decide(s.bucket, action, s.key, about)
	q.peeked = old
	unseen := reason == policy.NotGranted && missing && s.bucket.access.ACLs() // see denied
	return s.verdict(q, reason.Allowed() || unseen, missing, row.Marker)
}

func (s *source) verdict(q *request, allowed, missing, marker bool) error {
	switch {
	case !allowed:
		return s3xml.AccessDenied
	case !missing:
		return nil
	case !q.mayList(s.bucket, s.key):
		return s3xml.AccessDenied
	case marker && s.version != "":
		return invalidRequest("The source of a copy request may not specifically refer to a delete marker by version " +
			"id.")
	case s.version != "":
		return s3xml.New(s3xml.NoSuchVersion, "Key", s.key, "VersionId", s.version)
	}
	return s3xml.New(s3xml.NoSuchKey, "Key", s.key)
}

// copyObject makes an object of another's body. No octet moves: the body's keys are
// wrapped again for its new place.
func (q *request) copyObject() error {
	s, err := q.source()
	if err != nil {
		return err
	}
	if s.Size > MaxPut {
		return invalidRequest("The specified copy source is larger than the maximum allowable size for a copy " +
			"source: 5368709120")
	}
	o, how, err := q.copied(s)
	if err != nil {
		return err
	}
	condition, err := q.writeCondition()
	if err != nil {
		return err
	}
	if err := q.resum(s, o); err != nil {
		return err
	}
	space, err := q.space()
	if err != nil {
		return err
	}
	t := taken{size: s.Size, tag: s.Tag}
	if t.body, err = space.Adopt(q.r.Context(), s.space, s.Body, s.how, how); err != nil {
		return err
	}
	if plainTag(o) != plainTag(s.object) || !plainTag(o) {
		t.tag = randomTag()
	}
	r, err := q.commitObject(o, t, condition)
	if err != nil {
		return err
	}
	q.setIf(hVersionID, q.writtenID(&r))
	if s.bucket.versioned() {
		q.set("X-Amz-Copy-Source-Version-Id", idOf(&s.Row))
	}
	q.encryptionHeaders(o)
	q.expirationHeader(o, s.Size, r.Time)
	return q.send(&s3xml.Copied{LastModified: r.Time, ETag: string(t.tag), Checksum: checksumOf(o)})
}

// copied is what the copy says of itself: the source's metadata and tags, or new ones, as
// the directives want.
func (q *request) copied(s *source) (*storagev1.Object, store.Sealing, error) {
	replace, err := q.directive("X-Amz-Metadata-Directive")
	if err != nil {
		return nil, store.Sealing{}, err
	}
	retag, err := q.directive("X-Amz-Tagging-Directive")
	if err != nil {
		return nil, store.Sealing{}, err
	}
	o := &storagev1.Object{Initiator: q.who.id()}
	if err := q.describeObject(o); err != nil {
		return nil, store.Sealing{}, err
	}
	if !replace {
		keepDescription(o, s.object)
	}
	if !retag {
		o.Tags = s.object.GetTags()
	}
	o.ChecksumAlgorithm, o.Checksum, o.ChecksumComposite = s.object.GetChecksumAlgorithm(), s.object.GetChecksum(),
		s.object.GetChecksumComposite()
	how, err := q.sealNew(o)
	if err != nil {
		return nil, store.Sealing{}, err
	}
	if q.itself(s) && !replace && !q.changes(s, o) {
		return nil, store.Sealing{}, invalidRequest("This copy request is illegal because it is trying to copy an " +
			"object to itself without changing the object's metadata, storage class, website redirect location or " +
			"encryption attributes.")
	}
	return o, how, nil
}

func (q *request) itself(s *source) bool { return s.bucket == q.bucket && s.key == q.key && s.Current }

// changes: an old version may be copied over the current one, and so may one whose
// encryption or redirect is to be another.
func (q *request) changes(s *source, o *storagev1.Object) bool {
	return o.GetEncryption() != s.object.GetEncryption() || o.GetKmsKey() != s.object.GetKmsKey() ||
		string(o.GetCustomerKeyMd5()) != string(s.object.GetCustomerKeyMd5()) ||
		q.header(hSSE) != "" || q.header("X-Amz-Website-Redirect-Location") != "" ||
		q.header("X-Amz-Storage-Class") != ""
}

// directive is COPY, which is the default, or REPLACE.
func (q *request) directive(name string) (replace bool, err error) {
	switch v := q.header(name); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, s3xml.Argument("Unknown directive.", strings.ToLower(name), v)
	}
}

// keepDescription gives a copy what its source says of itself. The redirect is not copied.
func keepDescription(o, from *storagev1.Object) {
	o.ContentType, o.ContentEncoding = from.GetContentType(), from.GetContentEncoding()
	o.ContentDisposition, o.ContentLanguage = from.GetContentDisposition(), from.GetContentLanguage()
	o.CacheControl, o.Expires, o.Metadata = from.GetCacheControl(), from.GetExpires(), from.GetMetadata()
}

// resum makes the copy's checksum: it is of the whole, which of a source in parts follows
// from theirs with CRCs, and is read for in place with the others, or where the client
// wants another algorithm.
func (q *request) resum(s *source, o *storagev1.Object) error {
	a, _ := checksum.ParseAlgorithm(o.GetChecksumAlgorithm())
	composite := o.GetChecksumComposite()
	o.ChecksumComposite = false
	if name := q.header("X-Amz-Checksum-Algorithm"); name != "" {
		want, ok := checksum.ParseAlgorithm(name)
		if !ok {
			return invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the " +
				"valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
		}
		if want != a {
			return q.reread(s, o, want)
		}
	}
	if !composite {
		return nil
	}
	if a.Allows(checksum.FullObject) {
		sums, err := partSums(s.object)
		if err != nil {
			return err
		}
		if sum, err := a.FullObjectOf(sums); err == nil {
			o.Checksum = sum
			return nil
		}
	}
	return q.reread(s, o, a)
}

func partSums(o *storagev1.Object) ([]checksum.Part, error) {
	parts, err := partsOf(o)
	sums := make([]checksum.Part, 0, len(parts))
	for _, p := range parts {
		sums = append(sums, checksum.Part{Sum: p.GetChecksum(), Size: p.GetSize()})
	}
	return sums, err
}

// reread computes the checksum of the source's body.
func (q *request) reread(s *source, o *storagev1.Object, a checksum.Algorithm) error {
	h := checksum.NewHasher(checksum.Want{Algorithm: a})
	defer finish(h)
	if s.Size > 0 {
		r, err := s.space.Read(q.r.Context(), s.Body, s.how, 0, s.Size)
		if err != nil {
			return err
		}
		defer finish(r)
		if _, err := r.WriteTo(h); err != nil {
			return err
		}
	}
	o.ChecksumAlgorithm, o.Checksum = a.String(), h.Sums().Checksum
	return nil
}

// uploadPartCopy makes a part of another object's body, or of a range of it. Of a whole
// object no octet moves, where its hashes are known; else they are read and written again,
// since a part is sealed and hashed by itself.
func (q *request) uploadPartCopy() error {
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
	s, err := q.source()
	if err != nil {
		return err
	}
	part, err := q.copyRange(s)
	if err != nil {
		return err
	}
	o := partOf(u.object)
	t, err := q.copyPart(s, part, o, how)
	if err != nil {
		return err
	}
	defer t.abort()
	r, err := q.commitPart(&u, o, t, n)
	if err != nil {
		return err
	}
	if s.bucket.versioned() {
		q.set("X-Amz-Copy-Source-Version-Id", idOf(&s.Row))
	}
	q.encryptionHeaders(u.object)
	return q.send(&s3xml.Copied{Part: true, LastModified: r.Time, ETag: string(t.tag), Checksum: checksumOf(o)})
}

// copyRange reads x-amz-copy-source-range: "bytes=A-B", both given and within the source.
func (q *request) copyRange(s *source) (span, error) {
	all := span{to: s.Size, size: s.Size}
	text := q.header("X-Amz-Copy-Source-Range")
	if text == "" {
		if s.Size > MaxPut {
			return span{}, invalidRequest("The specified copy source is larger than the maximum allowable size for a " +
				"copy source: 5368709120")
		}
		return all, nil
	}
	first, last, ok := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	from, ok1 := digits(first)
	to, ok2 := digits(last)
	switch {
	case !ok || !ok1 || !ok2 || from > to || !strings.HasPrefix(text, "bytes="):
		return span{}, s3xml.Argument("The x-amz-copy-source-range value must be of the form bytes=first-last where "+
			"first and last are the zero-based offsets of the first and last bytes to copy", "x-amz-copy-source-range",
			text)
	case to >= s.Size:
		return span{}, s3xml.Argument("Range specified is not valid for source object of size: "+itoa(s.Size),
			"x-amz-copy-source-range", text)
	case to-from+1 > MaxPut:
		return span{}, s3xml.New(s3xml.EntityTooLarge, "ProposedSize", itoa(to-from+1), "MaxSizeAllowed", itoa(MaxPut))
	}
	return span{from: from, to: to + 1, size: s.Size}, nil
}

// copyPart makes the body of a part, by adopting the source's if it can.
func (q *request) copyPart(s *source, part span, o *storagev1.Object, how store.Sealing) (taken, error) {
	a, err := (&intake{q: q}).algorithm(o)
	if err != nil {
		return taken{}, err
	}
	whole := part.from == 0 && part.to == s.Size && s.Size > 0
	hashed := s.object.GetChecksumAlgorithm() == a.String() && len(s.object.GetChecksum()) > 0 &&
		!s.object.GetChecksumComposite()
	// A part's ETag is an MD5 where it is told in the clear; that of an upload is none.
	tagged := !plainTag(o) || plainTag(s.object) && len(s.Tag) == hex.EncodedLen(md5.Size)
	if !whole || !hashed || !tagged {
		return q.takeCopy(s, part, o, how)
	}
	space, err := q.space()
	if err != nil {
		return taken{}, err
	}
	t := taken{size: s.Size, tag: s.Tag}
	if !plainTag(o) {
		t.tag = randomTag()
	}
	o.ChecksumAlgorithm, o.Checksum = a.String(), s.object.GetChecksum()
	t.body, err = space.Adopt(q.r.Context(), s.space, s.Body, s.how, how)
	return t, err
}

// takeCopy reads a part of the source into the store.
func (q *request) takeCopy(s *source, part span, o *storagev1.Object, how store.Sealing) (taken, error) {
	in := &intake{q: q, want: part.length(), body: http.NoBody}
	algorithm, err := in.algorithm(o)
	if err != nil {
		return taken{}, err
	}
	if part.length() > 0 {
		r, err := s.space.Read(q.r.Context(), s.Body, s.how, part.from, part.to)
		if err != nil {
			return taken{}, err
		}
		defer finish(r)
		in.body = inward{r}
	}
	in.hasher = checksum.NewHasher(checksum.Want{MD5: plainTag(o), Algorithm: algorithm})
	defer in.release()
	return q.takeFrom(in, o, how)
}

// inward marks errors of reading a copy's source: they are ours, not the client's.
type inward struct{ r io.Reader }

func (i inward) Read(b []byte) (int, error) {
	n, err := i.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = toldAs(err)
	}
	return n, err
}
