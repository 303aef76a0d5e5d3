package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// code is AWS's code of an SDK's error.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return "?" + err.Error()
	}
	return ""
}

func wantCode(t testing.TB, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Fatalf("error %q, want %q: %v", got, want, err)
	}
}

func ok[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1, byte(n), byte(n >> 8)})
	_, _ = r.Read(b)
	return b
}

func put(t testing.TB, c *awss3.Client, bucket, key string, body []byte) *awss3.PutObjectOutput {
	t.Helper()
	return ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: &bucket, Key: &key,
		Body: bytes.NewReader(body),
	}))(t)
}

func get(t testing.TB, c *awss3.Client, bucket, key string) []byte {
	t.Helper()
	out := ok(c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &bucket, Key: &key}))(t)
	defer out.Body.Close()
	return ok(io.ReadAll(out.Body))(t)
}

func TestAnObjectComesBackAsItWasPut(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	ok(c.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("box")}))(t)
	for _, size := range []int{0, 1, 4096, 16 << 10, 16<<10 + 1, 64 << 10, 64<<10 + 1, 3 << 20} {
		body := randomBytes(size)
		out := ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String("box"), Key: aws.String("k"), Body: bytes.NewReader(body),
			ContentType: aws.String("text/x"),
			Metadata:    map[string]string{"color": "blue"}, CacheControl: aws.String("no-store"),
		}))(t)
		sum := md5.Sum(body)
		if want := `"` + hex.EncodeToString(sum[:]) + `"`; aws.ToString(out.ETag) != want {
			t.Fatalf("size %d: ETag %s, want %s", size, aws.ToString(out.ETag), want)
		}
		if out.ServerSideEncryption != types.ServerSideEncryptionAes256 || out.ChecksumCRC32 == nil {
			t.Fatalf("size %d: %+v", size, out)
		}
		got := ok(c.GetObject(t.Context(), &awss3.GetObjectInput{
			Bucket: aws.String("box"), Key: aws.String("k"),
			ChecksumMode: types.ChecksumModeEnabled,
		}))(t)
		b := ok(io.ReadAll(got.Body))(t)
		got.Body.Close()
		if !bytes.Equal(b, body) || aws.ToString(got.ContentType) != "text/x" || got.Metadata["color"] != "blue" ||
			aws.ToString(got.CacheControl) != "no-store" {
			t.Fatalf("size %d: %d octets, %+v", size, len(b), got)
		}
		if aws.ToString(got.ChecksumCRC32) != aws.ToString(out.ChecksumCRC32) {
			t.Fatalf("size %d: checksum %v", size, got.ChecksumCRC32)
		}
		head := ok(c.HeadObject(t.Context(), &awss3.HeadObjectInput{
			Bucket: aws.String("box"),
			Key:    aws.String("k"),
		}))(t)
		if aws.ToInt64(head.ContentLength) != int64(size) || aws.ToString(head.ETag) != aws.ToString(out.ETag) {
			t.Fatalf("size %d: head %+v", size, head)
		}
	}
	_, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("box"), Key: aws.String("none")})
	wantCode(t, err, "NoSuchKey")
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: aws.String("nobox"), Key: aws.String("none")})
	wantCode(t, err, "NoSuchBucket")
}

func TestListingPagesAndGroups(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	keys := []string{"a", "a/1", "a/2", "a/b/c", "b", "b//x", "c+d", "z", "ü/1", "ü/2"}
	for _, k := range keys {
		put(t, c, "box", k, []byte(k))
	}
	for limit := int32(1); limit <= 12; limit++ {
		var all, groups []string
		p := awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{Bucket: aws.String("box"), MaxKeys: &limit})
		for p.HasMorePages() {
			for _, o := range ok(p.NextPage(t.Context()))(t).Contents {
				all = append(all, *o.Key)
			}
		}
		if strings.Join(all, " ") != strings.Join(keys, " ") {
			t.Fatalf("max-keys %d: %q", limit, all)
		}
		p = awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{
			Bucket: aws.String("box"), MaxKeys: &limit,
			Delimiter: aws.String("/"),
		})
		for p.HasMorePages() {
			page := ok(p.NextPage(t.Context()))(t)
			if int32(len(page.Contents)+len(page.CommonPrefixes)) > limit {
				t.Fatal("the page is too long")
			}
			for _, o := range page.Contents {
				groups = append(groups, *o.Key)
			}
			for _, o := range page.CommonPrefixes {
				groups = append(groups, *o.Prefix)
			}
		}
		if limit == 1 && strings.Join(groups, " ") != "a a/ b b/ c+d z ü/" {
			t.Fatalf("max-keys %d: %q", limit, groups)
		}
		if len(groups) != 7 {
			t.Fatalf("max-keys %d: %q", limit, groups)
		}
	}
	v1 := ok(c.ListObjects(t.Context(), &awss3.ListObjectsInput{
		Bucket: aws.String("box"), Delimiter: aws.String("/"),
		MaxKeys: aws.Int32(2),
	}))(t)
	if !*v1.IsTruncated || *v1.NextMarker != "a/" {
		t.Fatalf("%+v", v1)
	}
}

func TestPartsMakeAnObject(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	for _, algorithm := range []types.ChecksumAlgorithm{
		"", types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmSha256,
		types.ChecksumAlgorithmCrc64nvme,
	} {
		up := ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
			Bucket: aws.String("box"),
			Key:    aws.String("big"), ChecksumAlgorithm: algorithm,
		}))(t)
		parts := [][]byte{randomBytes(5 << 20), randomBytes(5<<20 + 1), randomBytes(7)}
		var done []types.CompletedPart
		for _, i := range []int{2, 0, 1} {
			out := ok(c.UploadPart(t.Context(), &awss3.UploadPartInput{
				Bucket: aws.String("box"), Key: aws.String("big"), UploadId: up.UploadId,
				PartNumber: aws.Int32(int32(i + 1)),
				Body:       bytes.NewReader(parts[i]), ChecksumAlgorithm: algorithm,
			}))(t)
			done = append(done, types.CompletedPart{
				PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32,
				ChecksumSHA256: out.ChecksumSHA256, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
			})
		}
		done = []types.CompletedPart{done[1], done[2], done[0]}
		list := ok(c.ListParts(t.Context(), &awss3.ListPartsInput{
			Bucket: aws.String("box"), Key: aws.String("big"),
			UploadId: up.UploadId,
		}))(t)
		if len(list.Parts) != 3 {
			t.Fatalf("%+v", list.Parts)
		}
		in := &awss3.CompleteMultipartUploadInput{
			Bucket: aws.String("box"), Key: aws.String("big"), UploadId: up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
		}
		out := ok(c.CompleteMultipartUpload(t.Context(), in))(t)
		again := ok(c.CompleteMultipartUpload(t.Context(), in))(t)
		if *again.ETag != *out.ETag || !strings.HasSuffix(*out.ETag, `-3"`) {
			t.Fatalf("%s, then %s", *out.ETag, *again.ETag)
		}
		if got := get(t, c, "box", "big"); !bytes.Equal(got, bytes.Join(parts, nil)) {
			t.Fatalf("%d octets", len(got))
		}
		second := ok(c.GetObject(t.Context(), &awss3.GetObjectInput{
			Bucket: aws.String("box"), Key: aws.String("big"),
			PartNumber: aws.Int32(2),
		}))(t)
		b := ok(io.ReadAll(second.Body))(t)
		second.Body.Close()
		if !bytes.Equal(b, parts[1]) || aws.ToInt32(second.PartsCount) != 3 {
			t.Fatalf("part 2: %d octets, %+v", len(b), second)
		}
	}
}
