package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// connect is the SDK for Go, which here is both a client under test and the eyes that
// check what other clients stored.
func connect(e endpoint, options ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		Region: e.Region, BaseEndpoint: aws.String(e.URL), UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: e.AccessKey, SecretAccessKey: e.SecretKey}, nil
		}),
	}, options...)
}

var lastBucket atomic.Uint32

// bucketName is a new name for each call.
func bucketName(t *testing.T) string {
	name := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(t.Name()))
	return fmt.Sprintf("%s-%d", strings.Trim(name, "-"), lastBucket.Add(1))
}

// makeBucket makes a bucket for the test.
func makeBucket(t *testing.T, c *s3.Client) string {
	t.Helper()
	name := bucketName(t)
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return name
}

// list returns the names and sizes of all objects below a prefix.
func list(t *testing.T, c *s3.Client, bucket, prefix string) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			out[*o.Key] = *o.Size
		}
	}
	return out
}

// fetch reads an object.
func fetch(ctx context.Context, c *s3.Client, bucket, key string) ([]byte, error) {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

// holds fails unless the bucket has the files below prefix, octet by octet, and no other.
func holds(t *testing.T, c *s3.Client, bucket, prefix string, files []file) {
	t.Helper()
	there := list(t, c, bucket, prefix)
	each(t, files, func(ctx context.Context, f file) error {
		got, err := fetch(ctx, c, bucket, prefix+f.name)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, content(f)) {
			return fmt.Errorf("has %d octets that differ from the %d sent", len(got), f.size)
		}
		return nil
	})
	for _, f := range files {
		if size, ok := there[prefix+f.name]; !ok {
			t.Errorf("%q is not in the listing", f.name)
		} else if size != int64(f.size) {
			t.Errorf("%q is listed with %d octets, not %d", f.name, size, f.size)
		}
		delete(there, prefix+f.name)
	}
	for name := range there {
		t.Errorf("%q is in the bucket and was never sent", name)
	}
}

// each does something for every file, eight at a time.
func each(t *testing.T, files []file, do func(context.Context, file) error) {
	t.Helper()
	work := make(chan file)
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	for range 8 {
		all.Go(func() {
			for f := range work {
				if err := do(t.Context(), f); err != nil {
					mu.Lock()
					failed = append(failed, fmt.Errorf("%q: %w", f.name, err))
					mu.Unlock()
				}
			}
		})
	}
	for _, f := range files {
		work <- f
	}
	close(work)
	all.Wait()
	if len(failed) > 0 {
		t.Errorf("%d of %d files failed, the first ones: %v", len(failed), len(files),
			errors.Join(failed[:min(10, len(failed))]...))
	}
}
