package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/dark-ecosystem/dark/dataplane/store"
	"github.com/dark-ecosystem/dark/internal/errs"
)

// slowControl stands between the endpoint and its control plane: it says no for some time,
// and takes its time to delete.
type slowControl struct {
	Control
	before func() error
}

func (c slowControl) DeleteBucket(ctx context.Context, proof, organization, name string) error {
	if err := c.before(); err != nil {
		return err
	}
	return c.Control.DeleteBucket(ctx, proof, organization, name)
}

// deletedUnder makes a server whose deletions do something before they reach the control
// plane.
func deletedUnder(t *testing.T, before func(s *testServer) error) *testServer {
	var s *testServer
	s = newServer(t, func(c *Config) {
		c.Control = slowControl{c.Control, func() error { return before(s) }}
	})
	return s
}

func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// TestDeletedBucketTakesNoAcknowledgedObjectAlong: many write while the bucket is deleted,
// whose control plane takes its time; what was acknowledged keeps the bucket.
func TestDeletedBucketTakesNoAcknowledgedObjectAlong(t *testing.T) {
	const rounds, writers = 40, 8
	atControl := make(chan struct{})
	s := deletedUnder(t, func(*testServer) error {
		for range 2 * writers { // as many writes as there are get their chance
			select {
			case atControl <- struct{}{}:
			case <-time.After(5 * time.Millisecond):
			}
		}
		return nil
	})
	c := s.client("AKACME")
	deleted, refused, kept := 0, 0, 0
	var late atomic.Int64
	for round := range rounds {
		name := fmt.Sprintf("box-%d", round)
		s.bucket(t, name, nil)
		at := s.mu.buckets[name]
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		var acked atomic.Int64
		for w := range writers {
			all.Go(func() {
				if round%4 > 0 { // the others race with the deletion's beginning
					select {
					case <-atControl:
						late.Add(1)
					case <-ctx.Done():
						return
					}
				}
				_, err := c.PutObject(t.Context(), &awss3.PutObjectInput{
					Bucket: &name,
					Key:    aws.String(fmt.Sprint("k", w)), Body: strings.NewReader("x"),
				})
				switch code := codeOf(err); {
				case err == nil:
					acked.Add(1)
				case code != "NoSuchBucket" && code != "ServiceUnavailable":
					t.Errorf("a write met with %v", err)
				}
			})
		}
		_, err := c.DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: &name})
		stop()
		all.Wait()
		switch {
		case err == nil:
			deleted++
			if acked.Load() > 0 {
				t.Fatalf("%s was deleted with %d acknowledged objects", name, acked.Load())
			}
		case codeOf(err) == "BucketNotEmpty":
			refused++
			p := placement(at)
			if u := ok(ok(s.store.At(p))(t).Usage())(t); u.Rows != uint64(acked.Load()) || u.Bytes >= closingBytes {
				t.Fatalf("%s holds %+v, and %d were acknowledged", name, u, acked.Load())
			}
			kept += int(acked.Load())
		default:
			t.Fatal(err)
		}
	}
	t.Logf("%d deleted, %d refused with %d objects; %d writes came while the control plane was asked", deleted, refused,
		kept, late.Load())
	if deleted < rounds/4 || late.Load() < rounds {
		t.Error("hardly any write raced with a deletion")
	}
}

// TestBucketThatIsNotDeletedOpensAgain: at once when the control plane says no; when
// nothing is known of the deletion, as soon as it cannot come any more; and it can be
// deleted meanwhile.
func TestBucketThatIsNotDeletedOpensAgain(t *testing.T) {
	answer := errs.New(errs.Denied, "not yours")
	s := deletedUnder(t, func(*testServer) error {
		if answer == nil {
			return nil
		}
		return answer
	})
	s.bucket(t, "box", nil)
	want := func(code, method, target string) {
		t.Helper()
		if a := s.raw(t, method, target, nil); a.code() != code {
			t.Fatalf("%s %s: %+v, want %q", method, target, a, code)
		}
	}
	want("AccessDenied", "DELETE", "/box")
	want("", "PUT", "/box/k")
	want("", "DELETE", "/box/k")

	answer = errs.New(errs.Unavailable, "the control node went away")
	want("ServiceUnavailable", "DELETE", "/box")
	want("ServiceUnavailable", "PUT", "/box/k")
	if b, _ := s.h.View().Bucket("box"); s.h.Stats(b).Objects != 0 || s.h.Stats(b).Bytes != 0 {
		t.Errorf("the mark is counted: %v", s.h.Stats(b))
	}
	if a := s.raw(t, "GET", "/box?versions", nil); a.status != 200 || strings.Contains(a.body, "<Version>") {
		t.Errorf("the mark is listed: %+v", a)
	}
	s.clock.set(s.clock.Now().Add(closingLife + time.Minute))
	want("ServiceUnavailable", "PUT", "/box/k") // it finds the mark and takes it away
	want("", "PUT", "/box/k")
	want("", "DELETE", "/box/k")

	want("ServiceUnavailable", "DELETE", "/box")
	s.clock.set(s.clock.Now().Add(closingLife + time.Minute))
	ok(s.h.Lifecycle(t.Context()))(t)
	want("", "PUT", "/box/k") // the pass took it away
	want("", "DELETE", "/box/k")

	want("ServiceUnavailable", "DELETE", "/box")
	answer = nil
	want("", "DELETE", "/box")
	want("NoSuchBucket", "PUT", "/box/k")
}

// TestClosedBucketRefusesAllThatMakesObjects: puts, copies, forms, completions.
func TestClosedBucketRefusesAllThatMakesObjects(t *testing.T) {
	s := newServer(t)
	c := s.client("AKACME")
	s.bucket(t, "box", nil)
	s.bucket(t, "other", nil)
	put(t, c, "other", "k", []byte("x"))
	box := aws.String("box")
	u := ok(c.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{
		Bucket: box,
		Key:    aws.String("m"),
	}))(t)
	part := ok(c.UploadPart(t.Context(), &awss3.UploadPartInput{
		Bucket: box, Key: aws.String("m"), UploadId: u.UploadId,
		PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
	}))(t)
	b, _ := s.h.View().Bucket("box")
	space := ok(s.store.At(b.Placement))(t)
	ok(space.Commit(t.Context(), store.Op{
		Kind: store.Put, Key: []byte{rowClosing}, Tag: []byte("t"),
		Size: closingBytes, Counts: true,
	}))(t)
	complete := fmt.Sprintf(
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>",
		*part.ETag)
	for _, a := range []answer{
		s.raw(t, "PUT", "/box/k", []byte("x")),
		s.raw(t, "PUT", "/box/k", make([]byte, 100_000)),
		s.raw(t, "PUT", "/box/k", nil, "X-Amz-Copy-Source: other/k"),
		s.raw(t, "POST", "/box/m?uploadId="+*u.UploadId, []byte(complete)),
	} {
		if a.status != 503 || a.code() != "ServiceUnavailable" {
			t.Errorf("%+v", a)
		}
	}
	ok(space.Commit(t.Context(), store.Op{Kind: store.Delete, Key: []byte{rowClosing}}))(t)
	if a := s.raw(t, "POST", "/box/m?uploadId="+*u.UploadId, []byte(complete)); a.status != 200 {
		t.Errorf("%+v", a)
	}
}
