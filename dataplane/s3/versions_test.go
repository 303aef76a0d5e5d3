package s3

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func setVersioning(t testing.TB, c *awss3.Client, bucket string, status types.BucketVersioningStatus) {
	t.Helper()
	ok(c.PutBucketVersioning(t.Context(), &awss3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status},
	}))(t)
}

func TestVersionsStackAndTheNullVersionIsReplaced(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	box, k := aws.String("box"), aws.String("k")
	if v := put(t, c, "box", "k", []byte("null one")).VersionId; v != nil {
		t.Fatalf("version %q in a bucket without versions", *v)
	}
	setVersioning(t, c, "box", types.BucketVersioningStatusEnabled)
	v1 := put(t, c, "box", "k", []byte("one")).VersionId
	v2 := put(t, c, "box", "k", []byte("two")).VersionId
	if v1 == nil || v2 == nil || *v1 == *v2 {
		t.Fatal(v1, v2)
	}
	for id, want := range map[string]string{"null": "null one", *v1: "one", *v2: "two"} {
		out := ok(c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: box, Key: k, VersionId: &id}))(t)
		if b := ok(io.ReadAll(out.Body))(t); string(b) != want || aws.ToString(out.VersionId) != id {
			t.Fatalf("%s: %q, %v", id, b, aws.ToString(out.VersionId))
		}
	}
	del := ok(c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: box, Key: k}))(t)
	if !aws.ToBool(del.DeleteMarker) || del.VersionId == nil {
		t.Fatalf("%+v", del)
	}
	_, err := c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: box, Key: k})
	wantCode(t, err, "NoSuchKey")
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: box, Key: k, VersionId: del.VersionId})
	wantCode(t, err, "MethodNotAllowed")
	if n := len(ok(c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: box}))(t).Contents); n != 0 {
		t.Fatalf("%d objects are listed", n)
	}
	if got := versionsOf(t, c, "box", 1); got != fmt.Sprintf("marker k %s latest, k %s, k %s, k null", *del.VersionId,
		*v2, *v1) {
		t.Fatal(got)
	}
	setVersioning(t, c, "box", types.BucketVersioningStatusSuspended)
	if v := put(t, c, "box", "k", []byte("null two")).VersionId; v != nil {
		t.Fatalf("version %q while suspended", *v)
	}
	if got := versionsOf(t, c, "box", 2); got != fmt.Sprintf("k null latest, marker k %s, k %s, k %s", *del.VersionId,
		*v2, *v1) {
		t.Fatal(got)
	}
	sus := ok(c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: box, Key: k}))(t)
	if aws.ToString(sus.VersionId) != "null" || !aws.ToBool(sus.DeleteMarker) {
		t.Fatalf("%+v", sus)
	}
	for _, id := range []string{"null", *del.VersionId, *v2} {
		out := ok(c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: box, Key: k, VersionId: &id}))(t)
		if aws.ToString(out.VersionId) != id || aws.ToBool(out.DeleteMarker) == (id == *v2) {
			t.Fatalf("%s: %+v", id, out)
		}
	}
	if got := get(t, c, "box", "k"); string(got) != "one" {
		t.Fatalf("%q", got)
	}
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: box, Key: k, VersionId: v2})
	wantCode(t, err, "NoSuchVersion")
	_, err = c.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: box, Key: k, VersionId: aws.String("what")})
	wantCode(t, err, "InvalidArgument")
	_, err = c.DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: box})
	wantCode(t, err, "BucketNotEmpty")
}

// versionsOf lists all versions by pages.
func versionsOf(t testing.TB, c *awss3.Client, bucket string, limit int32) string {
	t.Helper()
	var all []string
	in := &awss3.ListObjectVersionsInput{Bucket: &bucket, MaxKeys: &limit}
	for {
		out := ok(c.ListObjectVersions(t.Context(), in))(t)
		// The SDK parts versions and markers; with pages of a few the order can be told.
		var page []string
		for _, m := range out.DeleteMarkers {
			page = append(page, "marker "+line(*m.Key, *m.VersionId, *m.IsLatest))
		}
		for _, v := range out.Versions {
			text := line(*v.Key, *v.VersionId, *v.IsLatest)
			if *v.IsLatest {
				page = append([]string{text}, page...)
			} else {
				page = append(page, text)
			}
		}
		all = append(all, page...)
		if !*out.IsTruncated {
			return strings.Join(all, ", ")
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
}

func line(key, version string, latest bool) string {
	if latest {
		return key + " " + version + " latest"
	}
	return key + " " + version
}

func TestConditionalWrites(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	box, k := aws.String("box"), aws.String("k")
	try := func(change func(*awss3.PutObjectInput)) (string, error) {
		in := &awss3.PutObjectInput{Bucket: box, Key: k, Body: bytes.NewReader([]byte("x"))}
		change(in)
		out, err := c.PutObject(t.Context(), in)
		if err != nil {
			return "", err
		}
		return *out.ETag, nil
	}
	_, err := try(func(in *awss3.PutObjectInput) { in.IfMatch = aws.String(`"abc"`) })
	wantCode(t, err, "NoSuchKey")
	tag, err := try(func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	wantCode(t, err, "")
	_, err = try(func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
	wantCode(t, err, "PreconditionFailed")
	_, err = try(func(in *awss3.PutObjectInput) { in.IfMatch = aws.String(`"abc"`) })
	wantCode(t, err, "PreconditionFailed")
	_, err = try(func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String(`"abc"`) })
	wantCode(t, err, "NotImplemented")
	tag, err = try(func(in *awss3.PutObjectInput) { in.IfMatch = &tag })
	wantCode(t, err, "")
	_, err = c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: box, Key: k, IfMatch: aws.String(`"abc"`)})
	wantCode(t, err, "PreconditionFailed")
	_, err = c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: box, Key: k, IfMatch: &tag})
	wantCode(t, err, "")
	_, err = c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{Bucket: box, Key: k, IfMatch: &tag})
	wantCode(t, err, "")
}

func TestBulkDelete(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", &storagev1.BucketSpec{Versioning: storagev1.BucketSpec_VERSIONING_ENABLED})
	box := aws.String("box")
	var keys []types.ObjectIdentifier
	for i := range 20 {
		key := fmt.Sprint("key ", i)
		v := put(t, c, "box", key, []byte("x")).VersionId
		if i%2 == 0 {
			keys = append(keys, types.ObjectIdentifier{Key: &key, VersionId: v})
		} else {
			keys = append(keys, types.ObjectIdentifier{Key: &key})
		}
	}
	keys = append(keys, types.ObjectIdentifier{Key: aws.String("not there")},
		types.ObjectIdentifier{Key: aws.String("key 1"), VersionId: aws.String("bad")})
	out := ok(c.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{
		Bucket: box,
		Delete: &types.Delete{Objects: keys},
	}))(t)
	if len(out.Deleted) != 21 || len(out.Errors) != 1 || *out.Errors[0].Code != "NoSuchVersion" {
		t.Fatalf("%d deleted, %+v", len(out.Deleted), out.Errors)
	}
	markers := 0
	for _, d := range out.Deleted {
		if aws.ToBool(d.DeleteMarker) {
			markers++
		}
	}
	if markers != 11 {
		t.Fatalf("%d markers", markers)
	}
	out = ok(c.DeleteObjects(t.Context(), &awss3.DeleteObjectsInput{
		Bucket: box,
		Delete: &types.Delete{Objects: keys[:3], Quiet: aws.Bool(true)},
	}))(t)
	if len(out.Deleted) != 0 || len(out.Errors) != 0 {
		t.Fatalf("%+v", out)
	}
}
