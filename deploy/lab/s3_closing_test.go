package lab

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestDeletedBucketsHeldNothing: buckets are deleted by a real control plane while others
// write to them. Where the deletion was acknowledged no write was; where it was refused,
// all that was acknowledged is there. After a kill -9 in the midst of a deletion the bucket
// is gone, or can be deleted.
func TestDeletedBucketsHeldNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	p := startPlatform(t, filepath.Join(t.TempDir(), "data"))
	var deleted, refused, turned int
	for round := range 40 {
		acked, away, err := p.race(t, fmt.Sprintf("closing-%d", round), rnd)
		turned += away
		switch code := s3Code(err); {
		case err == nil && len(acked) == 0:
			deleted++
		case err == nil:
			t.Fatalf("round %d: the bucket was deleted with %v, which were acknowledged", round, acked)
		case code == "BucketNotEmpty":
			refused++
		default:
			t.Fatalf("round %d: %v", round, err)
		}
	}
	t.Logf("%d deleted, %d refused since there was something; %d writes were turned away", deleted, refused, turned)
	if deleted == 0 || refused == 0 || turned == 0 {
		t.Error("the writes did not race with the deletions")
	}
	gone := 0
	for round := range 6 {
		gone += p.killDeleting(t, fmt.Sprintf("killed-%d", round), time.Duration(rnd.IntN(15_000))*time.Microsecond)
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		p.deletable(t, fmt.Sprintf("killed-%d", round))
	}
	t.Logf("%d of 6 deletions were answered before the kill", gone)
}

// race makes a bucket and deletes it while eight write to it; it returns the keys that were
// acknowledged, all of them read back unless the bucket is gone, and how many were not.
func (p *platform) race(t *testing.T, bucket string, rnd *rand.Rand) (acked []string, away int, err error) {
	t.Helper()
	if _, err := p.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	var first time.Duration // half of the races begin with the writes
	if rnd.IntN(2) == 0 {
		first = time.Duration(rnd.IntN(25_000)) * time.Microsecond
	}
	for w := range 8 {
		wait := first + time.Duration(rnd.IntN(4_000))*time.Microsecond
		all.Go(func() {
			<-time.After(wait)
			key := fmt.Sprint("key ", w)
			_, err := p.client.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: &bucket, Key: &key,
				Body: bytes.NewReader([]byte(key)),
			})
			mu.Lock()
			defer mu.Unlock()
			switch code := s3Code(err); {
			case err == nil:
				acked = append(acked, key)
			case code == "NoSuchBucket", code == "ServiceUnavailable":
				away++
			default:
				t.Errorf("a write to a bucket that is being deleted: %v", err)
			}
		})
	}
	<-time.After(5 * time.Millisecond)
	_, err = p.client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket})
	all.Wait()
	if err == nil {
		return acked, away, nil
	}
	for _, key := range acked {
		if _, err := p.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key}); err != nil {
			t.Errorf("%s of %s was acknowledged: %v", key, bucket, err)
		}
	}
	return acked, away, err
}

// killDeleting kills the platform so long after a deletion began, and tells whether that
// was answered.
func (p *platform) killDeleting(t *testing.T, bucket string, after time.Duration) int {
	t.Helper()
	if _, err := p.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	var answered atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := p.client.DeleteBucket(context.WithoutCancel(t.Context()),
			&s3.DeleteBucketInput{Bucket: &bucket}); err == nil {
			answered.Add(1)
		}
	}()
	<-time.After(after)
	p.stop(syscall.SIGKILL)
	<-done
	return int(answered.Load())
}

// deletable: the bucket is gone, or is deleted when it is asked for again.
func (p *platform) deletable(t *testing.T, bucket string) {
	t.Helper()
	p.until(t, bucket+" is gone", func() bool {
		_, err := p.client.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &bucket})
		switch code := s3Code(err); {
		case code == "NoSuchBucket":
			return true
		case err == nil, code == "ServiceUnavailable": // its control plane is starting, too
			return false
		default:
			t.Fatalf("delete %s again: %v", bucket, err)
			return false
		}
	})
}
