package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestStatsCountUploadsThatGoOn: begun, ended, completed; parts and answers that are kept
// for clients that ask again are none.
func TestStatsCountUploadsThatGoOn(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	want := func(n, objects uint64) {
		t.Helper()
		b, _ := s.h.View().Bucket("box")
		for range 2 {
			if st := s.h.Stats(b); st.Uploads != n || st.Objects != objects {
				t.Errorf("%d uploads and %d objects, want %d and %d", st.Uploads, st.Objects, n, objects)
			}
		}
	}
	begin := func(key string) *string {
		u := ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
			Bucket: aws.String("box"),
			Key:    &key,
		}))(t)
		ok(c.UploadPart(t.Context(), &awss3.UploadPartInput{
			Bucket: aws.String("box"), Key: &key, UploadId: u.UploadId,
			PartNumber: aws.Int32(1), Body: strings.NewReader(""),
		}))(t)
		return u.UploadId
	}
	want(0, 0)
	a, b := begin("a"), begin("b")
	begin("c")
	want(3, 0)
	ok(c.AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{
		Bucket: aws.String("box"),
		Key:    aws.String("a"), UploadId: a,
	}))(t)
	want(2, 0)
	finish := func(key string, id *string) {
		parts := ok(c.ListParts(t.Context(), &awss3.ListPartsInput{
			Bucket: aws.String("box"), Key: &key,
			UploadId: id,
		}))(t).Parts
		ok(c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
			Bucket: aws.String("box"),
			Key:    &key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{
				Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: parts[0].ETag}},
			},
		}))(t)
	}
	finish("b", b)
	want(1, 1)
	// One more, and a completion that leaves the usage as it was.
	put(t, c, "box", "d", nil)
	begin("d")
	want(2, 2)
}

// TestWholeObjectBecomesAPartWithoutMoving: the segments do not grow, and what is read is
// the same; a range of it is copied.
func TestWholeObjectBecomesAPartWithoutMoving(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	box := aws.String("box")
	s.bucket(t, "box", nil)
	s.bucket(t, "other", nil)
	body := bytes.Repeat([]byte("0123456789abcdef"), 5<<16)
	for _, name := range []string{"box", "other"} {
		ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: &name, Key: aws.String("src"),
			Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
		}))(t)
	}
	u := ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: box,
		Key:    aws.String("m"),
	}))(t)
	before := s.store.Stats()
	var parts []types.CompletedPart
	add := func(source string, span *string) {
		t.Helper()
		n := aws.Int32(int32(len(parts) + 1))
		p := ok(c.UploadPartCopy(t.Context(), &awss3.UploadPartCopyInput{
			Bucket: box, Key: aws.String("m"),
			UploadId: u.UploadId, PartNumber: n, CopySource: &source, CopySourceRange: span,
		}))(t)
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: p.CopyPartResult.ETag})
	}
	add("box/src", nil)
	add("other/src", nil)
	add("box/src", aws.String(fmt.Sprintf("bytes=0-%d", len(body)-1)))
	sum := md5.Sum(body)
	if want := `"` + hex.EncodeToString(sum[:]) + `"`; *parts[0].ETag != want || *parts[1].ETag != want {
		t.Errorf("ETags %s and %s, want %s", *parts[0].ETag, *parts[1].ETag, want)
	}
	if after := s.store.Stats(); after.Extents != before.Extents || after.LiveBytes != before.LiveBytes {
		t.Errorf("octets moved: %+v, then %+v", before, after)
	}
	add("box/src", aws.String("bytes=0-99"))
	if after := s.store.Stats(); after.Extents > before.Extents+1 {
		t.Errorf("a range of 100 octets: %+v, then %+v", before, after)
	}
	done := ok(c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
		Bucket: box,
		Key:    aws.String("m"), UploadId: u.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	}))(t)
	if !strings.HasSuffix(*done.ETag, `-4"`) {
		t.Errorf("ETag %s", *done.ETag)
	}
	for _, name := range []string{"box", "other"} {
		ok(c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: &name, Key: aws.String("src")}))(t)
	}
	if got := get(t, c, "box", "m"); !bytes.Equal(got, append(bytes.Repeat(body, 3), body[:100]...)) {
		t.Errorf("%d octets, and other ones", len(got))
	}
}

// TestAPartsChecksumOfAnotherAlgorithmIsNotDropped: nothing could be held against it, and the
// client would take it for checked.
func TestAPartsChecksumOfAnotherAlgorithmIsNotDropped(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	box, key := aws.String("box"), aws.String("k")
	u := ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: box, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
	}))(t)
	p := ok(c.UploadPart(t.Context(), &awss3.UploadPartInput{
		Bucket: box, Key: key, UploadId: u.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("part"),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme,
	}))(t)
	complete := func(part types.CompletedPart) error {
		part.PartNumber, part.ETag = aws.Int32(1), p.ETag
		_, err := c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
			Bucket: box, Key: key, UploadId: u.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{part}},
		})
		return err
	}
	wantCode(t, complete(types.CompletedPart{ChecksumCRC32: aws.String("AAAAAA==")}), "InvalidPart")
	wantCode(t, complete(types.CompletedPart{
		ChecksumCRC64NVME: p.ChecksumCRC64NVME, ChecksumSHA1: aws.String("2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
	}), "InvalidPart")
	if err := complete(types.CompletedPart{ChecksumCRC64NVME: p.ChecksumCRC64NVME}); err != nil {
		t.Fatal(err)
	}
}
