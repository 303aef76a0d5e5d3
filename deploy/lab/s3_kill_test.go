package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	s3KillRounds = 50
	s3Writers    = 12
	keysOfWriter = 5
	largestBody  = 20 << 20
)

// storm is the writers of a kill test.
type storm struct {
	p        *platform
	ledger   *objects
	inFlight atomic.Int64
	counts   struct {
		acked, unanswered, refused, resumed atomic.Int64
	}
	// open are each writer's upload that a kill cut short.
	open  [s3Writers]*upload
	wrong struct {
		sync.Mutex
		errs []error
	}
}

// upload is a multipart upload: what is in done was acknowledged.
type upload struct {
	key, id string
	parts   [][]byte
	done    []types.CompletedPart
}

// TestKilledStoreLosesNoAcknowledgedObject: kill -9 at random moments with many writes in
// flight; after each start every key holds what was acknowledged last, or whole what was
// sent and never answered.
func TestKilledStoreLosesNoAcknowledgedObject(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	p := startPlatform(t, filepath.Join(t.TempDir(), "data"))
	s := &storm{p: p, ledger: newObjects()}
	busy, begin := 0, time.Now()
	for round := range s3KillRounds {
		if s.blow(t, rnd, seed+uint64(round)*1000) {
			busy++
		}
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
		s.check(t)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	t.Logf("%d kills of control node and edge in one process, %d with at least 8 writes in flight, in %v; writes: %d "+
		"acknowledged, %d not answered, %d refused; %d uploads went on after a kill; %d keys",
		s3KillRounds, busy, time.Since(begin).Round(time.Second), s.counts.acked.Load(), s.counts.unanswered.Load(),
		s.counts.refused.Load(), s.counts.resumed.Load(), len(s.ledger.all()))
	if busy < s3KillRounds*9/10 {
		t.Errorf("only %d of %d kills hit with writes in flight", busy, s3KillRounds)
	}
	if s.counts.refused.Load() > s.counts.acked.Load()/100 {
		t.Errorf("%d writes were refused", s.counts.refused.Load())
	}
}

// blow writes until the kill, and tells whether it hit with eight writes in flight.
func (s *storm) blow(t *testing.T, rnd *rand.Rand, seed uint64) bool {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for w := range s3Writers {
		all.Go(func() { s.write(ctx, w, rand.New(rand.NewPCG(seed, uint64(w)))) })
	}
	timer := time.NewTimer(time.Duration(50+rnd.IntN(500)) * time.Millisecond)
	<-timer.C
	for deadline := time.Now().Add(5 * time.Second); s.inFlight.Load() < 8 && time.Now().Before(deadline); {
		<-time.After(time.Millisecond)
	}
	hit := s.inFlight.Load() >= 8
	s.p.stop(syscall.SIGKILL)
	stop()
	all.Wait()
	return hit
}

// write does one thing after another to the keys of one writer, until the server dies.
func (s *storm) write(ctx context.Context, writer int, rnd *rand.Rand) {
	if s.open[writer] != nil {
		s.counts.resumed.Add(1)
		if err := s.finish(ctx, writer); err != nil && s3Status(err) == 0 {
			return // the server is dead again
		}
	}
	for ctx.Err() == nil {
		key := fmt.Sprintf("w%d/key %d", writer, rnd.IntN(keysOfWriter))
		var err error
		switch n := rnd.IntN(100); {
		case n < 55:
			err = s.put(ctx, key, body(rnd))
		case n < 65:
			err = s.multipart(ctx, writer, key, rnd)
		case n < 78:
			err = s.remove(ctx, key)
		case n < 88:
			err = s.copy(ctx, fmt.Sprintf("w%d/key %d", writer, rnd.IntN(keysOfWriter)), key)
		default:
			err = s.read(ctx, key)
		}
		if err != nil && s3Status(err) == 0 {
			return // the server is dead
		}
	}
}

// body has any size up to 20 MiB, most of them small.
func body(rnd *rand.Rand) []byte {
	b := make([]byte, int(math.Exp(rnd.Float64()*math.Log(largestBody))))
	return fill(b, rnd)
}

func fill(b []byte, rnd *rand.Rand) []byte {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rnd.Uint32())
	}
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return b
}

// change makes one write and keeps the ledger.
func (s *storm) change(key string, to outcome, do func() error) error {
	s.ledger.begun(key, to)
	s.inFlight.Add(1)
	err := do()
	s.inFlight.Add(-1)
	s.ledger.settled(key, to, err == nil)
	switch {
	case err == nil:
		s.counts.acked.Add(1)
	case s3Status(err) == 0:
		s.counts.unanswered.Add(1)
	default:
		s.counts.refused.Add(1)
		if s3Status(err) != 503 {
			s.report(fmt.Errorf("write of %s: %w", key, err))
		}
	}
	return err
}

func (s *storm) report(err error) {
	s.wrong.Lock()
	defer s.wrong.Unlock()
	s.wrong.errs = append(s.wrong.errs, err)
}

func (s *storm) put(ctx context.Context, key string, b []byte) error {
	return s.change(key, outcome{digestOf(b), int64(len(b))}, func() error {
		_, err := s.p.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &s.p.bucket, Key: &key,
			Body: bytes.NewReader(b),
		})
		return err
	})
}

func (s *storm) remove(ctx context.Context, key string) error {
	return s.change(key, outcome{}, func() error {
		_, err := s.p.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.p.bucket, Key: &key})
		return err
	})
}

func (s *storm) copy(ctx context.Context, from, to string) error {
	what, certain := s.ledger.known(from)
	if !certain || what.sum == (digest{}) || from == to {
		return nil
	}
	return s.change(to, what, func() error {
		_, err := s.p.client.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: &s.p.bucket, Key: &to,
			CopySource: aws.String(s.p.bucket + "/" + from),
		})
		return err
	})
}

// multipart uploads two parts, the last one first, and now and then gives up.
func (s *storm) multipart(ctx context.Context, writer int, key string, rnd *rand.Rand) error {
	out, err := s.p.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.p.bucket, Key: &key})
	if err != nil {
		return err
	}
	u := &upload{
		key: key, id: *out.UploadId, done: make([]types.CompletedPart, 2),
		parts: [][]byte{fill(make([]byte, 5<<20), rnd), fill(make([]byte, 1+rnd.IntN(3<<20)), rnd)},
	}
	s.open[writer] = u
	if rnd.IntN(4) == 0 {
		s.open[writer] = nil
		_, err := s.p.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &s.p.bucket, Key: &key,
			UploadId: &u.id,
		})
		return err
	}
	return s.finish(ctx, writer)
}

// finish sends the parts of a writer's upload that are missing, and completes it. What
// was acknowledged of an upload before a kill must be there after it.
func (s *storm) finish(ctx context.Context, writer int) error {
	u := s.open[writer]
	for _, i := range []int{1, 0} {
		if u.done[i].ETag != nil {
			continue
		}
		n := aws.Int32(int32(i + 1))
		out, err := s.p.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &s.p.bucket, Key: &u.key, UploadId: &u.id,
			PartNumber: n, Body: bytes.NewReader(u.parts[i]),
		})
		if err != nil {
			return s.upload("a part", u, err)
		}
		u.done[i] = types.CompletedPart{ETag: out.ETag, PartNumber: n, ChecksumCRC32: out.ChecksumCRC32}
	}
	s.open[writer] = nil // whether it completes is the ledger's to know
	whole := bytes.Join(u.parts, nil)
	return s.change(u.key, outcome{digestOf(whole), int64(len(whole))}, func() error {
		_, err := s.p.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &s.p.bucket, Key: &u.key, UploadId: &u.id,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: u.done},
		})
		return err
	})
}

// upload reports an answer that refuses a step of an upload.
func (s *storm) upload(what string, u *upload, err error) error {
	if s3Status(err) != 0 {
		s.report(fmt.Errorf("%s of the upload to %s: %w", what, u.key, err))
	}
	return err
}

// read holds a key against the ledger while the storm goes on: nobody else writes it.
func (s *storm) read(ctx context.Context, key string) error {
	want, certain := s.ledger.known(key)
	if !certain {
		return nil
	}
	got, err := s.p.get(ctx, key)
	if err != nil {
		return err
	}
	if got.sum != want.sum {
		s.report(fmt.Errorf("%s reads as %v, acknowledged %v", key, got.sum, want.sum))
	}
	return nil
}

// get reads a key whole; the zero outcome stands for no such key.
func (p *platform) get(ctx context.Context, key string) (outcome, error) {
	out, err := p.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.bucket, Key: &key})
	if s3Code(err) == "NoSuchKey" {
		return outcome{}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		return outcome{}, fmt.Errorf("the body of %s: %w", key, err)
	}
	return outcome{digestOf(b), int64(len(b))}, nil
}

// check holds every key and the listing against the ledger.
func (s *storm) check(t *testing.T) {
	t.Helper()
	keys := make(chan string)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for key := range keys {
				got, err := s.p.get(t.Context(), key)
				if err == nil {
					err = s.ledger.found(key, got)
				}
				if err != nil {
					s.report(err)
				}
			}
		})
	}
	for _, key := range s.ledger.all() {
		keys <- key
	}
	close(keys)
	all.Wait()
	s.checkListing(t)
	if err := errors.Join(s.wrong.errs...); err != nil {
		t.Error(err)
	}
}

func (s *storm) checkListing(t *testing.T) {
	t.Helper()
	listed := map[string]int64{}
	pages := s3.NewListObjectsV2Paginator(s.p.client, &s3.ListObjectsV2Input{
		Bucket: &s.p.bucket,
		Prefix: aws.String("w"), MaxKeys: aws.Int32(25),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		for _, o := range page.Contents {
			listed[*o.Key] = *o.Size
		}
	}
	for _, key := range s.ledger.all() {
		want, _ := s.ledger.known(key)
		size, ok := listed[key]
		if delete(listed, key); ok != (want.sum != digest{}) || size != want.size {
			t.Errorf("%s is listed: %v, with %d octets; it holds %v of %d octets", key, ok, size, want.sum, want.size)
		}
	}
	for key := range listed {
		t.Errorf("%s is listed and was never written", key)
	}
}
