package storage

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag and Content-MD5 are MD5
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

const (
	// Parts are of this size where the object allows; smaller objects are sent whole.
	basePart = 16 << 20
	// AWS S3 user guide, "Multipart upload limits": at most 10,000 parts of 5 GiB.
	maxParts = 10000
)

// partSizeOf is the size of the parts of an object of n bytes: the same in each run, so
// that an unfinished upload goes on and ETags can be compared.
func partSizeOf(n int64) int64 {
	p := int64(basePart)
	for p*maxParts < n {
		p *= 2
	}
	return p
}

// sending is how an object is written.
type sending struct {
	describing
	encrypt *sealing // nil sends what is there
}

func (s sending) options(key string) minio.PutObjectOptions {
	var o minio.PutObjectOptions
	s.describe(&o)
	if s.encrypt != nil {
		o.ContentType = "application/octet-stream"
		maps.Copy(o.UserMetadata, s.encrypt.metadata())
	}
	if o.ContentType == "" {
		o.ContentType = firstOf(mime.TypeByExtension(path.Ext(key)), "application/octet-stream")
	}
	return o
}

// upload sends a file to an object and returns the object's ETag.
func (e *engine) upload(ctx context.Context, file string, to location, how sending) (etag string, n int64, err error) {
	if err := checkKey(to.key); err != nil { // a file's name made it: it is that file's failure
		e := exit.Of(err)
		return "", 0, exit.New(exit.Failed, e.Next, "%s", e.Text)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", 0, exit.New(exit.Failed, "", "%w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	if !st.Mode().IsRegular() || how.encrypt != nil { // a pipe, or bytes that differ in each run
		return e.uploadStream(ctx, f, to, how)
	}
	u := &uploading{engine: e, file: f, was: st, to: to, how: how}
	if st.Size() <= basePart {
		etag, err = u.whole(ctx)
	} else {
		etag, err = u.parts(ctx)
	}
	return etag, st.Size(), err
}

// uploading is one file on its way.
type uploading struct {
	*engine
	file *os.File
	was  os.FileInfo
	to   location
	how  sending
}

// counted tells the bar what is read, and takes it back when a request is repeated.
type counted struct {
	*io.SectionReader
	bar *bar
	at  int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.SectionReader.Read(p)
	c.at += int64(n)
	c.bar.move(int64(n))
	return n, err
}

func (c *counted) Seek(offset int64, whence int) (int64, error) {
	at, err := c.SectionReader.Seek(offset, whence)
	if err == nil {
		c.bar.move(at - c.at)
		c.at = at
	}
	return at, err
}

// ReadAt is not for the library: what it reads must be counted.
func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.SectionReader.ReadAt(p, off)
	c.bar.move(int64(n))
	return n, err
}

func (u *uploading) section(offset, n int64) *counted {
	return &counted{SectionReader: io.NewSectionReader(u.file, offset, n), bar: u.report.bar}
}

func (u *uploading) whole(ctx context.Context) (string, error) {
	if err := u.acquire(ctx); err != nil {
		return "", err
	}
	defer u.release()
	o := u.how.options(u.to.key)
	o.SendContentMd5 = false
	body := struct{ io.ReadSeeker }{u.section(0, u.was.Size())}
	r, err := u.PutObject(ctx, u.to.bucket, u.to.key, body, u.was.Size(), o)
	return r.ETag, u.blame(err)
}

// blame says that the file changed, where it did: what else went wrong follows from that.
func (u *uploading) blame(err error) error {
	if changed := u.unchanged(); changed != nil {
		return changed
	}
	return err
}

// unchanged refuses to call an upload done of which the file was written to meanwhile.
func (u *uploading) unchanged() error {
	now, err := u.file.Stat()
	if err != nil {
		return err
	}
	if now.Size() != u.was.Size() || !now.ModTime().Equal(u.was.ModTime()) {
		return exit.New(exit.Conflict, "the same command again, when it is written no more",
			"%s changed while it was read", show(u.file.Name()))
	}
	return nil
}

// parts sends a large file in parts. An upload that an earlier run began goes on.
func (u *uploading) parts(ctx context.Context) (etag string, err error) {
	rec, err := openRecord(u.url, u.file.Name(), u.to)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, rec.close()) }()
	there, err := u.resume(ctx, rec)
	if err != nil {
		return "", err
	}
	if rec.head.Upload == "" {
		if err := u.begin(ctx, rec); err != nil {
			return "", err
		}
	}
	done, err := u.sendParts(ctx, rec, there)
	if err = u.blame(err); err != nil {
		return "", err
	}
	r, err := u.core.CompleteMultipartUpload(ctx, u.to.bucket, u.to.key, rec.head.Upload, done,
		minio.PutObjectOptions{})
	if err != nil {
		return "", err
	}
	return r.ETag, rec.remove()
}

func (u *uploading) begin(ctx context.Context, rec *record) error {
	id, err := u.core.NewMultipartUpload(ctx, u.to.bucket, u.to.key, u.how.options(u.to.key))
	if err != nil {
		return err
	}
	return rec.begin(id, partSizeOf(u.was.Size()))
}

// resume asks for the parts that the endpoint has of a noted upload. One that is gone, or
// was of other parts, is forgotten.
func (u *uploading) resume(ctx context.Context, rec *record) (map[int]minio.ObjectPart, error) {
	if rec.head.Upload == "" {
		return nil, nil
	}
	if rec.head.PartSize != partSizeOf(u.was.Size()) {
		_ = u.core.AbortMultipartUpload(ctx, u.to.bucket, u.to.key, rec.head.Upload) // it may be gone
		rec.head.Upload = ""
		return nil, nil
	}
	there := map[int]minio.ObjectPart{}
	for marker := 0; ; {
		r, err := u.core.ListObjectParts(ctx, u.to.bucket, u.to.key, rec.head.Upload, marker, 1000)
		if isCode(err, "NoSuchUpload") {
			rec.head.Upload = ""
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, p := range r.ObjectParts {
			there[p.PartNumber] = p
		}
		if !r.IsTruncated || r.NextPartNumberMarker <= marker {
			return there, nil
		}
		marker = r.NextPartNumberMarker
	}
}

// sendParts sends the parts that are missing, as many at once as there are slots.
func (u *uploading) sendParts(ctx context.Context, rec *record,
	there map[int]minio.ObjectPart,
) ([]minio.CompletePart, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	size := rec.head.PartSize
	count := int((u.was.Size() + size - 1) / size)
	done := make([]minio.CompletePart, count)
	var workers sync.WaitGroup
	for i := range count {
		if u.acquire(ctx) != nil {
			break
		}
		workers.Go(func() {
			defer u.release()
			p, err := u.part(ctx, rec, i+1, there[i+1])
			if err != nil {
				cancel(err)
			}
			done[i] = p
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return done, nil
}

func (u *uploading) part(ctx context.Context, rec *record, number int,
	there minio.ObjectPart,
) (minio.CompletePart, error) {
	offset := int64(number-1) * rec.head.PartSize
	n := min(rec.head.PartSize, u.was.Size()-offset)
	sum, err := md5Of(io.NewSectionReader(u.file, offset, n), n)
	if err != nil {
		return minio.CompletePart{}, fmt.Errorf("read %s: %w", show(u.file.Name()), err)
	}
	text, etag := hex.EncodeToString(sum), strings.Trim(there.ETag, `"`)
	if there.Size == n && rec.has(number, etag, text) {
		u.report.bar.move(n)
		return minio.CompletePart{PartNumber: number, ETag: etag}, nil
	}
	body := struct{ io.ReadSeeker }{u.section(offset, n)}
	p, err := u.core.PutObjectPart(ctx, u.to.bucket, u.to.key, rec.head.Upload, number, body, n,
		minio.PutObjectPartOptions{Md5Base64: base64.StdEncoding.EncodeToString(sum)})
	if err != nil {
		return minio.CompletePart{}, err
	}
	etag = strings.Trim(p.ETag, `"`)
	return minio.CompletePart{PartNumber: number, ETag: etag}, rec.add(recordPart{number, etag, text})
}

func md5Of(r io.Reader, n int64) ([]byte, error) {
	h := md5.New() //nolint:gosec // see the import
	got, err := io.Copy(h, r)
	if err == nil && got != n {
		err = io.ErrUnexpectedEOF
	}
	return h.Sum(nil), err
}
