package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestCopiesKeepOrReplaceWhatTheyAreTold(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "from", nil)
	s.bucket(t, "to", nil)
	for _, size := range []int{10, 200 << 10} {
		body := randomBytes(size)
		src := ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: aws.String("from"), Key: aws.String("a b+c/ü"), Body: bytes.NewReader(body),
			ContentType: aws.String("text/x"),
			Metadata:    map[string]string{"m": "1"}, Tagging: aws.String("t=1"),
		}))(t)
		in := &awss3.CopyObjectInput{
			Bucket: aws.String("to"), Key: aws.String("k"),
			CopySource: aws.String("/from/a%20b%2Bc/%C3%BC"),
		}
		out := ok(c.CopyObject(t.Context(), in))(t)
		if *out.CopyObjectResult.ETag != *src.ETag ||
			aws.ToString(out.CopyObjectResult.ChecksumCRC32) != aws.ToString(src.ChecksumCRC32) {
			t.Fatalf("%+v", out.CopyObjectResult)
		}
		head := ok(c.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String("to"), Key: aws.String("k")}))(t)
		if head.Metadata["m"] != "1" || *head.ContentType != "text/x" || aws.ToInt32(head.TagCount) != 1 {
			t.Fatalf("%+v", head)
		}
		if got := get(t, c, "to", "k"); !bytes.Equal(got, body) {
			t.Fatal("another body")
		}
		in.MetadataDirective, in.Metadata, in.TaggingDirective = types.MetadataDirectiveReplace,
			map[string]string{"n": "2"}, types.TaggingDirectiveReplace
		in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
		out = ok(c.CopyObject(t.Context(), in))(t)
		if out.CopyObjectResult.ChecksumSHA256 == nil {
			t.Fatalf("%+v", out.CopyObjectResult)
		}
		head = ok(c.HeadObject(t.Context(), &awss3.HeadObjectInput{Bucket: aws.String("to"), Key: aws.String("k")}))(t)
		if head.Metadata["m"] != "" || head.Metadata["n"] != "2" || head.TagCount != nil {
			t.Fatalf("%+v", head)
		}
	}
	// The source may go; the copies stay.
	ok(c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: aws.String("from"), Key: aws.String("a b+c/ü")}))(t)
	if got := get(t, c, "to", "k"); len(got) != 200<<10 {
		t.Fatal("the copy went with its source")
	}
	_, err := c.CopyObject(t.Context(), &awss3.CopyObjectInput{
		Bucket: aws.String("to"), Key: aws.String("k"),
		CopySource: aws.String("to/k"),
	})
	wantCode(t, err, "InvalidRequest")
	_, err = c.CopyObject(t.Context(), &awss3.CopyObjectInput{
		Bucket: aws.String("to"), Key: aws.String("k"),
		CopySource: aws.String("to/none"),
	})
	wantCode(t, err, "NoSuchKey")
	_, err = c.CopyObject(t.Context(), &awss3.CopyObjectInput{
		Bucket: aws.String("to"), Key: aws.String("k2"),
		CopySource: aws.String("to/k"), CopySourceIfMatch: aws.String("abc"),
	})
	wantCode(t, err, "PreconditionFailed")
}

func TestPartsAreCopiedByRange(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	body := randomBytes(6 << 20)
	put(t, c, "box", "src", body)
	up := ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: aws.String("box"),
		Key:    aws.String("dst"),
	}))(t)
	var parts []types.CompletedPart
	for i, r := range []string{"bytes=1-5242880", "bytes=0-9"} {
		out := ok(c.UploadPartCopy(t.Context(), &awss3.UploadPartCopyInput{
			Bucket: aws.String("box"), Key: aws.String("dst"), UploadId: up.UploadId,
			PartNumber: aws.Int32(int32(i + 1)),
			CopySource: aws.String("box/src"), CopySourceRange: aws.String(r),
		}))(t)
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.CopyPartResult.ETag})
	}
	_, err := c.UploadPartCopy(t.Context(), &awss3.UploadPartCopyInput{
		Bucket: aws.String("box"), Key: aws.String("dst"), UploadId: up.UploadId, PartNumber: aws.Int32(3),
		CopySource: aws.String("box/src"), CopySourceRange: aws.String("bytes=0-99999999"),
	})
	wantCode(t, err, "InvalidArgument")
	ok(c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
		Bucket: aws.String("box"), Key: aws.String("dst"), UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}))(t)
	if got := get(t, c, "box", "dst"); !bytes.Equal(got, append(append([]byte{}, body[1:5242881]...), body[:10]...)) {
		t.Fatal("another body")
	}
}

func TestEncryptionIsToldAndKept(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	box := aws.String("box")
	body := randomBytes(100 << 10)
	kms := ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: box, Key: aws.String("kms"), Body: bytes.NewReader(body),
		ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: aws.String("main"),
	}))(t)
	sum := md5.Sum(body)
	if *kms.SSEKMSKeyId != testARN || *kms.ETag == quoted([]byte(hexOf(sum[:]))) {
		t.Fatalf("%+v", kms)
	}
	if got := get(t, c, "box", "kms"); !bytes.Equal(got, body) {
		t.Fatal("another body")
	}
	_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: box, Key: aws.String("kms"),
		ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: aws.String("none"),
	})
	wantCode(t, err, "KMS.NotFoundException")
	_, err = c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: box, Key: aws.String("kms"),
		ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: aws.String("old"),
	})
	wantCode(t, err, "KMS.DisabledException")

	key := randomBytes(32)
	keySum := md5.Sum(key)
	alg, k64, m64 := aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString(key)),
		aws.String(base64.StdEncoding.EncodeToString(keySum[:]))
	ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: box, Key: aws.String("c"), Body: bytes.NewReader(body),
		SSECustomerAlgorithm: alg, SSECustomerKey: k64, SSECustomerKeyMD5: m64,
	}))(t)
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: box, Key: aws.String("c")})
	wantCode(t, err, "InvalidRequest")
	out := ok(c.GetObject(t.Context(), &awss3.GetObjectInput{
		Bucket: box, Key: aws.String("c"),
		SSECustomerAlgorithm: alg, SSECustomerKey: k64, SSECustomerKeyMD5: m64,
	}))(t)
	if got := ok(io.ReadAll(out.Body))(t); !bytes.Equal(got, body) || *out.SSECustomerKeyMD5 != *m64 {
		t.Fatal("another body")
	}
	other := randomBytes(33)[1:]
	otherSum := md5.Sum(other)
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{
		Bucket: box, Key: aws.String("c"), SSECustomerAlgorithm: alg,
		SSECustomerKey:    aws.String(base64.StdEncoding.EncodeToString(other)),
		SSECustomerKeyMD5: aws.String(base64.StdEncoding.EncodeToString(otherSum[:])),
	})
	wantCode(t, err, "AccessDenied")
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{
		Bucket: box, Key: aws.String("kms"),
		SSECustomerAlgorithm: alg, SSECustomerKey: k64, SSECustomerKeyMD5: m64,
	})
	wantCode(t, err, "InvalidRequest")

	// A copy changes how it is encrypted, and no octet moves.
	ok(c.CopyObject(t.Context(), &awss3.CopyObjectInput{
		Bucket: box, Key: aws.String("plain"), CopySource: aws.String("box/c"),
		CopySourceSSECustomerAlgorithm: alg, CopySourceSSECustomerKey: k64, CopySourceSSECustomerKeyMD5: m64,
	}))(t)
	if got := get(t, c, "box", "plain"); !bytes.Equal(got, body) {
		t.Fatal("another body")
	}
	ok(c.CopyObject(t.Context(), &awss3.CopyObjectInput{
		Bucket: box, Key: aws.String("plain"), CopySource: aws.String("box/plain"),
		ServerSideEncryption: types.ServerSideEncryptionAwsKms, SSEKMSKeyId: aws.String(testARN),
	}))(t)
	if got := get(t, c, "box", "plain"); !bytes.Equal(got, body) {
		t.Fatal("another body")
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(b))
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return string(out)
}
