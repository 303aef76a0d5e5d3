package s3

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

func TestLifecycleEndsWhatIsDue(t *testing.T) {
	s := newServer(t)
	start := time.Now().UTC().Truncate(24 * time.Hour)
	c := s.client("AKACME")
	rules := []*storagev1.LifecycleRule{
		{Id: "logs", Enabled: true, Prefix: "logs/", ExpireDays: 2},
		{Id: "tagged", Enabled: true, Tags: map[string]string{"tmp": "1"}, ExpireDays: 1},
		{Id: "old", Enabled: true, NoncurrentDays: 1, NewerNoncurrentVersions: 1, ExpireDeleteMarkers: true},
		{Id: "parts", Enabled: true, AbortUploadDays: 1},
		{Id: "off", ExpireDays: 1},
	}
	s.bucket(t, "plain", &storagev1.BucketSpec{LifecycleRules: rules})
	s.bucket(t, "versioned", &storagev1.BucketSpec{
		LifecycleRules: rules,
		Versioning:     storagev1.BucketSpec_VERSIONING_ENABLED,
	})
	run := func(days int) Expired {
		t.Helper()
		s.clock.set(start.Add(time.Duration(days)*24*time.Hour + time.Minute))
		defer s.clock.set(time.Time{}) // clients sign by the real one
		return ok(s.h.Lifecycle(t.Context()))(t)
	}
	for _, b := range []string{"plain", "versioned"} {
		put(t, c, b, "logs/1", []byte("x"))
		put(t, c, b, "keep", []byte("x"))
		ok(c.PutObject(t.Context(), &awss3.PutObjectInput{
			Bucket: &b, Key: aws.String("t"),
			Tagging: aws.String("tmp=1"),
		}))(t)
		ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
			Bucket: &b,
			Key:    aws.String("up"),
		}))(t)
	}
	for range 4 {
		put(t, c, "versioned", "many", []byte("x"))
	}
	keys := func(b string) string {
		var all []string
		for _, o := range ok(c.ListObjectsV2(t.Context(), &awss3.ListObjectsV2Input{Bucket: &b}))(t).Contents {
			all = append(all, *o.Key)
		}
		return strings.Join(all, " ")
	}
	if done := run(1); done.Objects != 0 || done.Rows != 0 || done.Uploads != 0 {
		t.Fatalf("half a day early: %+v", done) // ages round up to the next midnight
	}
	if done := run(2); done.Objects != 2 || done.Uploads != 2 || done.Rows != 2 || done.Failed != 0 {
		t.Fatalf("%+v", done)
	}
	if keys("plain") != "keep logs/1" || keys("versioned") != "keep logs/1 many" {
		t.Fatalf("%q, %q", keys("plain"), keys("versioned"))
	}
	if done := run(3); done.Objects != 2 {
		t.Fatalf("%+v", done)
	}
	if keys("plain") != "keep" || keys("versioned") != "keep many" {
		t.Fatalf("%q, %q", keys("plain"), keys("versioned"))
	}
	// One noncurrent version is kept whatever its age.
	out := ok(c.ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{
		Bucket: aws.String("versioned"),
		Prefix: aws.String("many"),
	}))(t)
	if len(out.Versions) != 2 {
		t.Fatalf("%d versions are left", len(out.Versions))
	}
	// A marker with nothing under it goes.
	out = ok(c.ListObjectVersions(t.Context(), &awss3.ListObjectVersionsInput{
		Bucket: aws.String("versioned"),
		Prefix: aws.String("logs/1"),
	}))(t)
	ok(c.DeleteObject(t.Context(), &awss3.DeleteObjectInput{
		Bucket: aws.String("versioned"), Key: aws.String("logs/1"),
		VersionId: out.Versions[0].VersionId,
	}))(t)
	if done := run(4); done.Rows != 1 {
		t.Fatalf("%+v", done)
	}
	if done := run(5); done != (Expired{Buckets: 2}) {
		t.Fatalf("a pass with nothing to do: %+v", done)
	}
}

func TestQuotasHold(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", &storagev1.BucketSpec{Quota: &storagev1.Quota{Bytes: 100, Objects: 3}})
	put(t, c, "box", "a", make([]byte, 60))
	_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String("box"), Key: aws.String("b"),
		Body: strings.NewReader(strings.Repeat("x", 41)),
	})
	wantCode(t, err, "QuotaExceeded")
	put(t, c, "box", "a", make([]byte, 100)) // it replaces
	put(t, c, "box", "b", nil)
	put(t, c, "box", "c", nil)
	_, err = c.PutObject(t.Context(), &awss3.PutObjectInput{Bucket: aws.String("box"), Key: aws.String("d")})
	wantCode(t, err, "QuotaExceeded")
	up := ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: aws.String("box"),
		Key:    aws.String("a"),
	}))(t)
	_, err = c.UploadPart(t.Context(), &awss3.UploadPartInput{
		Bucket: aws.String("box"), Key: aws.String("a"),
		UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
	})
	wantCode(t, err, "QuotaExceeded")
	b, _ := s.h.View().Bucket("box")
	st := s.h.Stats(b)
	if st.Objects != 3 || st.Bytes != 100 || st.Writes < 7 || st.Refused+st.Failed != 3 || st.BytesIn < 160 {
		t.Fatalf("%+v", st)
	}
}

func TestUploadsAreListedAndAborted(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	box := aws.String("box")
	ids := map[string]bool{}
	for _, k := range []string{"a", "a", "d/1", "d/2", "z"} {
		ids[*ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
			Bucket: box,
			Key:    &k,
		}))(t).UploadId] = true
	}
	for limit := int32(1); limit < 7; limit++ {
		n := 0
		in := &awss3.ListMultipartUploadsInput{Bucket: box, MaxUploads: &limit}
		for {
			out := ok(c.ListMultipartUploads(t.Context(), in))(t)
			for _, u := range out.Uploads {
				if !ids[*u.UploadId] {
					t.Fatalf("%q was never begun", *u.UploadId)
				}
				n++
			}
			if !*out.IsTruncated {
				break
			}
			in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
		}
		if n != 5 {
			t.Fatalf("max-uploads %d: %d uploads", limit, n)
		}
	}
	grouped := ok(c.ListMultipartUploads(t.Context(), &awss3.ListMultipartUploadsInput{
		Bucket:    box,
		Delimiter: aws.String("/"),
	}))(t)
	if len(grouped.Uploads) != 3 || len(grouped.CommonPrefixes) != 1 {
		t.Fatalf("%+v", grouped)
	}
	id := grouped.Uploads[2].UploadId
	ok(c.UploadPart(t.Context(), &awss3.UploadPartInput{
		Bucket: box, Key: aws.String("z"), UploadId: id,
		PartNumber: aws.Int32(1), Body: strings.NewReader("part"),
	}))(t)
	_, err := c.CompleteMultipartUpload(t.Context(), &awss3.CompleteMultipartUploadInput{
		Bucket: box,
		Key:    aws.String("z"), UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{
			Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: aws.String("wrong")}},
		},
	})
	wantCode(t, err, "InvalidPart")
	ok(c.AbortMultipartUpload(t.Context(), &awss3.AbortMultipartUploadInput{
		Bucket: box, Key: aws.String("z"),
		UploadId: id,
	}))(t)
	_, err = c.ListParts(t.Context(), &awss3.ListPartsInput{Bucket: box, Key: aws.String("z"), UploadId: id})
	wantCode(t, err, "NoSuchUpload")
	v, _ := s.h.View().Bucket("box")
	if u := ok(ok(s.store.At(v.Placement))(t).Usage())(t); u.Bytes != 0 || u.Others != 4 {
		t.Fatalf("parts stayed: %+v", u)
	}
}
