package peers

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// code is the S3 error code of an error, or what it says.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// refused fails unless an error has one of the codes.
func refused(t *testing.T, what string, err error, codes ...string) {
	t.Helper()
	got := code(err)
	for _, c := range codes {
		if got == c {
			return
		}
	}
	t.Errorf("%s: %q, not %q", what, got, codes)
}

func TestGoSDKCarriesTheCorpus(t *testing.T) {
	c := connect(watch(t, serve(t)))
	bucket := makeBucket(t, c)
	files := corpus()
	each(t, files, func(ctx context.Context, f file) error {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &f.name, Body: bytes.NewReader(content(f))})
		return err
	})
	holds(t, c, bucket, "", files)
	var all []types.ObjectIdentifier
	for _, f := range files {
		all = append(all, types.ObjectIdentifier{Key: &f.name})
	}
	out, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: &bucket,
		Delete: &types.Delete{Objects: all},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Deleted) != len(files) || len(out.Errors) != 0 {
		t.Errorf("%d of %d deleted, %d errors", len(out.Deleted), len(files), len(out.Errors))
	}
	if left := list(t, c, bucket, ""); len(left) != 0 {
		t.Errorf("%d left after all were deleted", len(left))
	}
}

// TestGoSDKChecksums: the SDK's default is a trailer with CRC32; asked, it sends others.
func TestGoSDKChecksums(t *testing.T) {
	e := watch(t, serve(t))
	required := connect(e, func(o *s3.Options) {
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	c := connect(e)
	bucket := makeBucket(t, c)
	put := func(c *s3.Client, key string, body io.Reader, a types.ChecksumAlgorithm) *s3.PutObjectOutput {
		t.Helper()
		out, err := c.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &bucket, Key: &key, Body: body,
			ChecksumAlgorithm: a,
		})
		if err != nil {
			t.Fatalf("put %s: %v", key, err)
		}
		return out
	}
	f := file{"checksums", 70000}
	sum := md5.Sum(content(f))
	if out := put(required, "required", bytes.NewReader(content(f)), ""); aws.ToString(out.ETag) != `"`+
		hex.EncodeToString(sum[:])+`"` {
		t.Errorf("ETag %s", aws.ToString(out.ETag))
	}
	for _, a := range algorithms {
		key := "with-" + string(a)
		put(c, key, bytes.NewReader(content(f)), a)
		head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{
			Bucket: &bucket, Key: &key,
			ChecksumMode: types.ChecksumModeEnabled,
		})
		if err != nil {
			t.Fatal(err)
		}
		if sums(head) == 0 {
			t.Errorf("%s: no checksum came back", key)
		}
		if got, err := fetch(t.Context(), c, bucket, key); err != nil || !bytes.Equal(got, content(f)) {
			t.Errorf("%s: %d octets came back, %v", key, len(got), err)
		}
	}
	bad := base64.StdEncoding.EncodeToString([]byte("nope"))
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: aws.String("wrong"),
		Body: bytes.NewReader(content(f)), ChecksumCRC32: &bad,
	})
	refused(t, "a wrong checksum", err, "BadDigest", "InvalidRequest")
	if _, err := fetch(t.Context(), c, bucket, "wrong"); code(err) != "NoSuchKey" {
		t.Errorf("what came with a wrong checksum was kept: %v", err)
	}
}

// algorithms are those of the SDK that S3 gives for whole objects.
var algorithms = []types.ChecksumAlgorithm{
	types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme,
	types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
}

func sums(h *s3.HeadObjectOutput) (n int) {
	for _, s := range []*string{
		h.ChecksumCRC32, h.ChecksumCRC32C, h.ChecksumCRC64NVME, h.ChecksumSHA1,
		h.ChecksumSHA256,
	} {
		if aws.ToString(s) != "" {
			n++
		}
	}
	return n
}

func TestGoSDKMultipartByHand(t *testing.T) {
	c := connect(watch(t, serve(t)))
	bucket := makeBucket(t, c)
	for _, a := range algorithms {
		t.Run(string(a), func(t *testing.T) { multipart(t, c, bucket, "many-"+string(a), a) })
	}
	key := "given-up"
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	ups, err := c.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil || len(ups.Uploads) != 1 || aws.ToString(ups.Uploads[0].UploadId) != aws.ToString(up.UploadId) {
		t.Errorf("uploads listed: %v, %v", ups, err)
	}
	if _, err := c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{
		Bucket: &bucket, Key: &key,
		UploadId: up.UploadId,
	}); err != nil {
		t.Error(err)
	}
	_, err = c.UploadPart(t.Context(), &s3.UploadPartInput{
		Bucket: &bucket, Key: &key, UploadId: up.UploadId,
		PartNumber: aws.Int32(1), Body: bytes.NewReader([]byte("late")),
	})
	refused(t, "a part of an upload that was given up", err, "NoSuchUpload")
}

// multipart uploads three parts out of order, the second by copying, and reads all back.
func multipart(t *testing.T, c *s3.Client, bucket, key string, a types.ChecksumAlgorithm) {
	t.Helper()
	one, two, three := content(file{key + "1", 5 << 20}), content(file{key + "2", 6 << 20}), content(file{key + "3", 1})
	source := key + "-source"
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &bucket, Key: &source,
		Body: bytes.NewReader(two),
	}); err != nil {
		t.Fatal(err)
	}
	up, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: &key,
		ChecksumAlgorithm: a,
	})
	if err != nil {
		t.Fatal(err)
	}
	parts := make([]types.CompletedPart, 3)
	for _, p := range []struct {
		n    int
		body []byte
	}{{3, three}, {1, one}} {
		out, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: &bucket, Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(int32(p.n)),
			Body: bytes.NewReader(p.body), ChecksumAlgorithm: a,
		})
		if err != nil {
			t.Fatalf("part %d: %v", p.n, err)
		}
		parts[p.n-1] = types.CompletedPart{
			ETag: out.ETag, PartNumber: aws.Int32(int32(p.n)),
			ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
			ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1,
			ChecksumSHA256: out.ChecksumSHA256,
		}
	}
	copied, err := c.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{
		Bucket: &bucket, Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(2),
		CopySource:      aws.String(bucket + "/" + source),
		CopySourceRange: aws.String(fmt.Sprintf("bytes=0-%d", len(two)-1)),
	})
	if err != nil {
		t.Fatalf("copied part: %v", err)
	}
	r := copied.CopyPartResult
	parts[1] = types.CompletedPart{
		ETag: r.ETag, PartNumber: aws.Int32(2),
		ChecksumCRC32: r.ChecksumCRC32, ChecksumCRC32C: r.ChecksumCRC32C, ChecksumCRC64NVME: r.ChecksumCRC64NVME,
		ChecksumSHA1: r.ChecksumSHA1, ChecksumSHA256: r.ChecksumSHA256,
	}
	listed, err := c.ListParts(t.Context(), &s3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId})
	if err != nil || len(listed.Parts) != 3 {
		t.Errorf("%d parts listed, %v", len(listed.Parts), err)
	}
	if _, err := c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}); err != nil {
		t.Fatalf("complete: %v", err)
	}
	want := bytes.Join([][]byte{one, two, three}, nil)
	if got, err := fetch(t.Context(), c, bucket, key); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d octets came back, %d sent, %v", len(got), len(want), err)
	}
	part, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key, PartNumber: aws.Int32(2)})
	if err != nil || aws.ToInt64(part.ContentLength) != int64(len(two)) || aws.ToInt32(part.PartsCount) != 3 {
		t.Errorf("the second part by HEAD: %v, %v", part, err)
	}
}

func TestGoSDKRanges(t *testing.T) {
	c := connect(watch(t, serve(t)))
	bucket := makeBucket(t, c)
	for _, size := range []int{1, 16384, 16385, 65536, 200001} {
		f := file{fmt.Sprint("ranged-", size), size}
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &bucket, Key: &f.name,
			Body: bytes.NewReader(content(f)),
		}); err != nil {
			t.Fatal(err)
		}
		for _, r := range ranges(size) {
			out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &f.name, Range: &r.header})
			if err != nil {
				t.Errorf("%d octets, %s: %v", size, r.header, err)
				continue
			}
			got, err := io.ReadAll(out.Body)
			out.Body.Close()
			if err != nil || !bytes.Equal(got, content(f)[r.from:r.to]) {
				t.Errorf("%d octets, %s: %d octets came back, %v", size, r.header, len(got), err)
			}
			if want := fmt.Sprintf("bytes %d-%d/%d", r.from, r.to-1, size); aws.ToString(out.ContentRange) != want {
				t.Errorf("%d octets, %s: Content-Range %s", size, r.header, aws.ToString(out.ContentRange))
			}
		}
		_, err := c.GetObject(t.Context(), &s3.GetObjectInput{
			Bucket: &bucket, Key: &f.name,
			Range: aws.String(fmt.Sprintf("bytes=%d-", size)),
		})
		refused(t, "a range past the end", err, "InvalidRange")
	}
}

type span struct {
	header   string
	from, to int
}

// ranges are those of an object that lie at the edges of chunks, and a few odd ones.
func ranges(size int) (out []span) {
	for _, from := range []int{0, 1, 16383, 16384, 65535, 65536, 131072, size - 1} {
		if from >= size {
			continue
		}
		out = append(out, span{fmt.Sprintf("bytes=%d-", from), from, size}, span{
			fmt.Sprintf("bytes=%d-%d", from, from),
			from, from + 1,
		})
		out = append(out, span{fmt.Sprintf("bytes=%d-%d", from, from+70000), from, min(size, from+70001)})
	}
	return append(out, span{"bytes=-1", size - 1, size}, span{"bytes=-70000", max(0, size-70000), size},
		span{"bytes=0-999999999", 0, size})
}

func TestGoSDKConditions(t *testing.T) {
	c := connect(watch(t, serve(t)))
	bucket, key := makeBucket(t, c), "conditional"
	put := func(in s3.PutObjectInput) (*s3.PutObjectOutput, error) {
		in.Bucket, in.Key, in.Body = &bucket, &key, bytes.NewReader([]byte("text"))
		return c.PutObject(t.Context(), &in)
	}
	_, err := put(s3.PutObjectInput{IfMatch: aws.String(`"d41d8cd98f00b204e9800998ecf8427e"`)})
	refused(t, "If-Match of what is not there", err, "NoSuchKey", "PreconditionFailed")
	first, err := put(s3.PutObjectInput{IfNoneMatch: aws.String("*")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = put(s3.PutObjectInput{IfNoneMatch: aws.String("*")})
	refused(t, "If-None-Match: * of what is there", err, "PreconditionFailed")
	_, err = put(s3.PutObjectInput{IfMatch: aws.String(`"00000000000000000000000000000000"`)})
	refused(t, "If-Match of another ETag", err, "PreconditionFailed")
	if _, err := put(s3.PutObjectInput{IfMatch: first.ETag}); err != nil {
		t.Errorf("If-Match of the right ETag: %v", err)
	}
	head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key, IfMatch: first.ETag})
	if err != nil {
		t.Fatal(err)
	}
	get := func(in s3.GetObjectInput) error {
		in.Bucket, in.Key = &bucket, &key
		out, err := c.GetObject(t.Context(), &in)
		if err == nil {
			out.Body.Close()
		}
		return err
	}
	refused(t, "If-None-Match of the right ETag", get(s3.GetObjectInput{IfNoneMatch: first.ETag}), "NotModified")
	refused(t, "If-Match of another ETag", get(s3.GetObjectInput{IfMatch: aws.String(`"0"`)}), "PreconditionFailed")
	refused(t, "If-Modified-Since its own time", get(s3.GetObjectInput{IfModifiedSince: head.LastModified}),
		"NotModified")
	if err := get(s3.GetObjectInput{IfUnmodifiedSince: head.LastModified}); err != nil {
		t.Errorf("If-Unmodified-Since its own time: %v", err)
	}
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{
		Bucket: &bucket, Key: aws.String("copy"),
		CopySource: aws.String(bucket + "/" + key), CopySourceIfMatch: aws.String(`"0"`),
	})
	refused(t, "a copy If-Match of another ETag", err, "PreconditionFailed")
	_, err = c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key, IfMatch: aws.String(`"0"`)})
	refused(t, "a delete If-Match of another ETag", err, "PreconditionFailed")
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: &bucket, Key: &key,
		IfMatch: first.ETag,
	}); err != nil {
		t.Errorf("a delete If-Match of the right ETag: %v", err)
	}
}

func TestGoSDKPresigned(t *testing.T) {
	c := connect(watch(t, serve(t)))
	bucket := makeBucket(t, c)
	p := s3.NewPresignClient(c)
	for _, f := range []file{{"presigned", 100}, {"dir with space/a+b%20ü", 70000}} {
		put, err := p.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &f.name})
		if err != nil {
			t.Fatal(err)
		}
		if status, body := ask(t, put.Method, put.URL, content(f)); status != http.StatusOK {
			t.Errorf("presigned PUT of %s: %d %s", f.name, status, body)
		}
		get, err := p.PresignGetObject(t.Context(), &s3.GetObjectInput{
			Bucket: &bucket, Key: &f.name,
			ResponseContentType: aws.String("text/x-odd"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if status, body := ask(t, get.Method, get.URL, nil); status != http.StatusOK || !bytes.Equal(body, content(f)) {
			t.Errorf("presigned GET of %s: %d, %d octets", f.name, status, len(body))
		}
		if status, body := ask(t, get.Method, get.URL+"0", nil); status != http.StatusForbidden {
			t.Errorf("presigned GET with an altered signature: %d %s", status, body)
		}
	}
}

// ask makes a plain HTTP request.
func ask(t *testing.T, method, url string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}
