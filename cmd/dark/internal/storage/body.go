package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// object is one version of an object: what a listing or a HEAD told of it.
type object struct {
	at       location
	version  string // empty is the latest
	etag     string // without quotes
	size     int64
	modified time.Time
}

// body reads an object from an offset on. When the connection breaks it goes on with
// Range and If-Match (RFC 9110, 13.1.1 and 14.2): never with bytes of another version.
type body struct {
	ctx    context.Context //nolint:containedctx // io.Reader has no place for it
	client *client
	of     object
	at     int64 // offset of the next byte
	end    int64 // exclusive
	header http.Header
	in     io.ReadCloser
	broken int
}

// A body may break so often without any byte between before it is given up.
const maxBroken = 5

// brokenPause is what a body waits before it goes on, times how often it broke.
const brokenPause = 300 * time.Millisecond

// open asks for the bytes from offset on.
func (c *client) open(ctx context.Context, of object, offset, end int64) (*body, error) {
	b := &body{ctx: ctx, client: c, of: of, at: offset, end: end}
	return b, b.request()
}

func (b *body) request() error {
	o := minio.GetObjectOptions{VersionID: b.of.version}
	if b.of.etag != "" {
		o.Set("If-Match", `"`+b.of.etag+`"`)
	}
	if b.at > 0 || b.end < b.of.size {
		o.Set("Range", fmt.Sprintf("bytes=%d-%d", b.at, b.end-1))
	}
	in, info, header, err := b.client.core.GetObject(b.ctx, b.of.at.bucket, b.of.at.key, o)
	if err != nil {
		return err
	}
	// A server that ignores Range sends all: what was read must not come again.
	if (b.at > 0 || b.end < b.of.size) && header.Get("Content-Range") == "" || info.Size != b.end-b.at {
		in.Close()
		return exit.New(exit.Failed, "", "%s: asked for %d bytes from %d on, the server sends %d", b.of.at, b.end-b.at,
			b.at, info.Size)
	}
	b.in, b.header = in, header
	return nil
}

func (b *body) Read(p []byte) (int, error) {
	for {
		if b.at >= b.end {
			return 0, io.EOF
		}
		n, err := b.in.Read(p[:min(int64(len(p)), b.end-b.at)])
		b.at += int64(n)
		if n > 0 {
			b.broken = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if err := b.again(err); err != nil {
			return 0, err
		}
	}
}

// again opens the body anew where it broke.
func (b *body) again(cause error) error {
	if b.ctx.Err() != nil {
		return b.ctx.Err()
	}
	if b.broken++; b.broken > maxBroken {
		return exit.New(exit.Unavailable, "the same command again goes on where this one ended",
			"%s: the connection broke at byte %d: %w", b.of.at, b.at, cause)
	}
	b.in.Close()
	pause := time.NewTimer(time.Duration(b.broken) * brokenPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	return b.request()
}

// done gives the connection back; what is not read by then is not wanted.
func (b *body) done() {
	if b.in != nil {
		_ = b.in.Close()
	}
}

// stat asks what an object, or a version of it, is now.
func (c *client) stat(ctx context.Context, at location, version string) (object, error) {
	o, _, err := c.head(ctx, at, version)
	return o, err
}

func (c *client) head(ctx context.Context, at location, version string) (object, http.Header, error) {
	if err := checkKey(at.key); err != nil {
		return object{}, nil, err
	}
	i, err := c.StatObject(ctx, at.bucket, at.key, minio.StatObjectOptions{VersionID: version})
	if err != nil {
		return object{}, nil, missing(err, at, version, i.IsDeleteMarker)
	}
	return object{at: at, version: version, etag: i.ETag, size: i.Size, modified: i.LastModified}, i.Headers, nil
}

// missing says what a HEAD found missing: the answer has no body that would. marker says that there is a
// delete marker.
func missing(err error, at location, version string, marker bool) error {
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return err
	}
	versions := "dark storage ls --versions " + at.String()
	switch {
	case version != "" && marker:
		return exit.New(exit.NotFound, versions,
			"version %s of %s is a delete marker: it says that the object was removed", show(version),
			show(at.String()))
	case version != "" && (r.StatusCode == http.StatusNotFound || r.StatusCode == http.StatusBadRequest):
		return exit.New(exit.NotFound, versions, "%s has no version %s", show(at.String()), show(version))
	case r.StatusCode == http.StatusNotFound && marker:
		return exit.New(exit.NotFound, "dark storage undelete "+at.String(),
			"there is no %s: it was removed, and its versions are there", show(at.String()))
	case r.StatusCode == http.StatusNotFound:
		return exit.New(exit.NotFound, byCode["NoSuchKey"].next, "there is no %s", show(at.String()))
	}
	return err
}
