package peers

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// TestMinioGoCarriesTheCorpus: files by name, and streams of unknown length with
// checksums as trailers.
func TestMinioGoCarriesTheCorpus(t *testing.T) {
	e := watch(t, serve(t))
	c, err := minio.New(e.host(), &minio.Options{
		Creds:  credentials.NewStaticV4(e.AccessKey, e.SecretKey, ""),
		Region: e.Region, TrailingHeaders: true, MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	bucket, files := bucketName(t), corpus()
	src, back := write(t, files), t.TempDir()
	if err := c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	each(t, files, func(ctx context.Context, f file) error {
		_, err := c.FPutObject(ctx, bucket, f.name, filepath.Join(src, f.name),
			minio.PutObjectOptions{PartSize: 5 << 20})
		return err
	})
	holds(t, connect(e), bucket, "", files)
	each(t, files, func(ctx context.Context, f file) error {
		got, err := c.GetObject(ctx, bucket, f.name, minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer got.Close()
		at := filepath.Join(back, f.name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		b, err := io.ReadAll(got)
		if err != nil {
			return err
		}
		return os.WriteFile(at, b, 0o644)
	})
	compare(t, back, files)
	streams := files[:60]
	each(t, streams, func(ctx context.Context, f file) error {
		_, err := c.PutObject(ctx, bucket, "stream/"+f.name, bytes.NewReader(content(f)), -1,
			minio.PutObjectOptions{PartSize: 5 << 20, Checksum: minio.ChecksumCRC32C})
		return err
	})
	holds(t, connect(e), bucket, "stream/", streams)
	for o := range c.ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
	}
	gone := make(chan minio.ObjectInfo)
	go func() {
		defer close(gone)
		for _, f := range files {
			gone <- minio.ObjectInfo{Key: f.name}
		}
		for _, f := range streams {
			gone <- minio.ObjectInfo{Key: "stream/" + f.name}
		}
	}()
	for r := range c.RemoveObjects(t.Context(), bucket, gone, minio.RemoveObjectsOptions{}) {
		t.Errorf("delete %q: %v", r.ObjectName, r.Err)
	}
	if err := c.RemoveBucket(t.Context(), bucket); err != nil {
		t.Error(err)
	}
}
