package lab

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
	"github.com/dark-ecosystem/dark/proto/dark/storage/v1/storagegrpc"
)

// outage is how long the control plane stays dead: longer than the feed's heartbeats and
// leases with the timing of CI.
const outage = 15 * time.Second

// s3Edge gives an edge of a cluster an S3 endpoint, an access key and a bucket.
func s3Edge(t *testing.T, c *Cluster, e *Proc) *platform {
	t.Helper()
	e.Signal(15)
	e.wait(10 * time.Second)
	if err := e.Start("--s3", e.Addr+":9000"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	key, err := storagegrpc.NewAccessKeyServiceClient(patient(t, c, c.Controls[0])).CreateAccessKey(c.As(ctx, org),
		&storagev1.CreateAccessKeyRequest{AccessKey: &storagev1.AccessKey{Name: "accesskeys/lab"}})
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{bucket: "lab", client: s3Client("http://"+e.Addr+":9000", "us-east-1", key.Status.AccessKeyId,
		key.Status.SecretAccessKey)}
	p.until(t, "the edge knows the access key and makes a bucket", func() bool {
		_, err = p.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &p.bucket})
		return err == nil || s3Code(err) == "BucketAlreadyOwnedByYou"
	})
	return p
}

// TestObjectsAreServedWithTheControlPlaneDead: every control node is killed, then the
// edge too; it starts alone, reads, lists, writes and deletes, and refuses what is not its own.
func TestObjectsAreServedWithTheControlPlaneDead(t *testing.T) {
	c := start(t, Options{Controls: 1, Edges: 1})
	e := c.Edges[0]
	p := s3Edge(t, c, e)
	rnd := rand.New(rand.NewPCG(1, 2))
	sums := map[string]digest{}
	for i := range 1000 {
		key, b := fmt.Sprintf("object %d", i), fill(make([]byte, rnd.IntN(40000)), rnd)
		if err := p.tryPut(t.Context(), key, b); err != nil {
			t.Fatal(err)
		}
		sums[key] = digestOf(b)
	}
	link, err := s3.NewPresignClient(p.client).PresignGetObject(t.Context(), &s3.GetObjectInput{
		Bucket: &p.bucket,
		Key:    aws.String("object 7"),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Controls[0].Kill()
	e.Kill()
	if err := e.Start("--s3", e.Addr+":9000"); err != nil {
		t.Fatal(err)
	}
	p.until(t, "the edge answers alone", func() bool {
		_, err := p.client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &p.bucket})
		return err == nil
	})
	p.reads(t, sums)
	p.aloneFor(t, outage, rnd, sums)
	p.reads(t, sums)
	resp, err := http.Get(link.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a link made before the outage: %s", resp.Status)
	}
	_, err = p.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("made-in-the-dark")})
	if s3Status(err) != http.StatusServiceUnavailable {
		t.Errorf("a bucket made with the control plane dead: %v", err)
	}
}

// aloneFor writes, lists and deletes for a while.
func (p *platform) aloneFor(t *testing.T, d time.Duration, rnd *rand.Rand, sums map[string]digest) {
	t.Helper()
	begin := time.Now()
	for i := 0; time.Since(begin) < d; i++ {
		key, b := fmt.Sprintf("alone %d", i%500), fill(make([]byte, rnd.IntN(40000)), rnd)
		if err := p.tryPut(t.Context(), key, b); err != nil {
			t.Fatalf("after %v alone: %v", time.Since(begin), err)
		}
		sums[key] = digestOf(b)
		got, err := p.get(t.Context(), key)
		if err != nil || got.sum != digestOf(b) {
			t.Fatalf("after %v alone %s reads as %v, %v", time.Since(begin), key, got.sum, err)
		}
	}
	gone := "object 0"
	if _, err := p.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &p.bucket, Key: &gone}); err != nil {
		t.Fatal(err)
	}
	sums[gone] = digest{}
	if out, err := p.client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &p.bucket}); err != nil ||
		aws.ToInt32(out.KeyCount) != 1000 {
		t.Errorf("a listing: %v", err)
	}
	if _, err := p.client.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("not-there"), Key: &gone,
		Body: bytes.NewReader(nil),
	}); s3Code(err) != "NoSuchBucket" {
		t.Errorf("a write into no bucket: %v", err)
	}
}
