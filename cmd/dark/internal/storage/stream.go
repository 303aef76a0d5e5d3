package storage

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

const (
	// Of a stream the length is not known beforehand: 32 MiB a part reach 312 GiB.
	streamPart = 32 << 20
	// Parts of one stream that are sent at once; each is held in memory.
	streamBuffers = 3
	// abortTimeout is for taking an upload back when the run has ended already.
	abortTimeout = 10 * time.Second
)

// uploadStream sends what has no known length or is encrypted on the way. When it fails
// nothing is kept of it.
func (e *engine) uploadStream(ctx context.Context, in io.Reader, to location,
	how sending,
) (etag string, n int64, err error) {
	read := &tally{r: in, bar: e.report.bar}
	var body io.Reader = read
	if how.encrypt != nil {
		if body, err = how.encrypt.reader(read); err != nil {
			return "", 0, err
		}
	}
	var first bytes.Buffer
	_, err = io.CopyN(&first, body, basePart)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", read.n, unread(err)
	}
	if err == nil {
		etag, err = e.streamParts(ctx, io.MultiReader(&first, body), to, how.options(to.key))
		return etag, read.n, err
	}
	if err := e.acquire(ctx); err != nil {
		return "", read.n, err
	}
	defer e.release()
	r, err := e.PutObject(ctx, to.bucket, to.key, bytes.NewReader(first.Bytes()), int64(first.Len()),
		how.options(to.key))
	return r.ETag, read.n, err
}

func unread(err error) error { return exit.New(exit.Failed, "", "read what to send: %w", err) }

// streaming is a stream on its way in parts.
type streaming struct {
	*engine
	to      location
	id      string
	buffers chan []byte
	fail    context.CancelCauseFunc
	workers sync.WaitGroup

	mu struct {
		sync.Mutex
		parts []minio.CompletePart
	}
}

func (e *engine) streamParts(ctx context.Context, in io.Reader, to location, o minio.PutObjectOptions) (string, error) {
	id, err := e.core.NewMultipartUpload(ctx, to.bucket, to.key, o)
	if err != nil {
		return "", err
	}
	part, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s := &streaming{engine: e, to: to, id: id, buffers: make(chan []byte, streamBuffers), fail: fail}
	for range streamBuffers {
		s.buffers <- nil // made when it is needed
	}
	err = s.send(part, in)
	s.workers.Wait()
	if cause := context.Cause(part); cause != nil {
		err = cause
	}
	if err == nil {
		var r minio.UploadInfo
		if r, err = e.core.CompleteMultipartUpload(ctx, to.bucket, to.key, id, s.mu.parts,
			minio.PutObjectOptions{}); err == nil {
			return r.ETag, nil
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	_ = e.core.AbortMultipartUpload(end, to.bucket, to.key, id) // lifecycle rules end what stays
	return "", err
}

// send reads part after part and sends them, as many at once as there are buffers.
func (s *streaming) send(ctx context.Context, in io.Reader) error {
	for number := 1; ; number++ {
		var b []byte
		select {
		case b = <-s.buffers:
		case <-ctx.Done():
			return nil // the cause is known
		}
		if b == nil {
			b = make([]byte, streamPart)
		}
		n, err := io.ReadFull(in, b)
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		switch {
		case err != nil && !end:
			return unread(err)
		case n == 0:
			return nil
		case number > maxParts:
			return exit.New(exit.Failed, "dark storage cp of a file, whose length is known",
				"the stream is longer than %s", size(maxParts*streamPart))
		}
		s.mu.Lock()
		s.mu.parts = append(s.mu.parts, minio.CompletePart{PartNumber: number})
		s.mu.Unlock()
		s.workers.Go(func() { s.part(ctx, number, b, n) })
		if end {
			return nil
		}
	}
}

func (s *streaming) part(ctx context.Context, number int, b []byte, n int) {
	defer func() { s.buffers <- b }()
	if err := s.acquire(ctx); err != nil {
		s.fail(err)
		return
	}
	defer s.release()
	sum, err := md5Of(bytes.NewReader(b[:n]), int64(n))
	if err != nil {
		s.fail(err)
		return
	}
	p, err := s.core.PutObjectPart(ctx, s.to.bucket, s.to.key, s.id, number, bytes.NewReader(b[:n]), int64(n),
		minio.PutObjectPartOptions{Md5Base64: base64.StdEncoding.EncodeToString(sum)})
	if err != nil {
		s.fail(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.parts[number-1].ETag = strings.Trim(p.ETag, `"`)
}

// tally counts what is read.
type tally struct {
	r   io.Reader
	n   int64
	bar *bar
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	t.bar.move(int64(n))
	return n, err
}
