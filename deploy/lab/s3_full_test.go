package lab

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// fullDisk is how large the file system of the full disk is: a store keeps 256 MiB free,
// and its segments have as much each.
const fullDisk = 1 << 30

// smallDisk mounts a tmpfs at dir and returns how to give it another size.
func smallDisk(t *testing.T, dir string) (resize func(size int)) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", fullDisk)); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("mounting needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return func(size int) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d,mode=700",
			size)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDiskRefusesWritesAndGoesOnReading: 507 or 503 and nothing else once the edge's
// disk is full; what was acknowledged is read all the while, and after a kill on the full
// disk; with space writes come back without a restart.
func TestFullDiskRefusesWritesAndGoesOnReading(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	resize := smallDisk(t, filepath.Join(dir, "edge"))
	p := startPlatform(t, dir)
	acked := p.fill(t)
	if len(acked) < 20 {
		t.Fatalf("only %d objects fitted", len(acked))
	}
	p.reads(t, acked)
	p.put(t, "small while full", []byte("x"), acked) // may or may not fit
	p.stop(syscall.SIGKILL)
	if err := p.start(); err != nil {
		t.Fatalf("start on a full disk: %v", err)
	}
	p.reads(t, acked)
	resize(2 * fullDisk)
	p.until(t, "writes come back with space", func() bool { return p.put(t, "with space", make([]byte, 1<<20), acked) })
	p.reads(t, acked)
}

// fill writes until the disk has been full a few times over.
func (p *platform) fill(t *testing.T) map[string]digest {
	t.Helper()
	acked, refused, cut := map[string]digest{}, 0, 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(w), 2))
			for i := 0; ; i++ {
				key, b := fmt.Sprintf("fill/%d-%d", w, i), fill(make([]byte, 1+rnd.IntN(4<<20)), rnd)
				err := p.tryPut(t.Context(), key, b)
				mu.Lock()
				switch status := s3Status(err); {
				case err == nil:
					acked[key] = digestOf(b)
				case status == 0: // the connection ended before the answer was heard
					refused, cut = refused+1, cut+1
				case status == 507 || status == 503:
					refused++
				default:
					refused++
					t.Errorf("on a full disk: %v", err)
				}
				enough := refused >= 20 || len(acked) > 2000 || t.Failed()
				mu.Unlock()
				if enough {
					return
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d objects fitted before %d refusals, %d of them by hanging up", len(acked), refused, cut)
	if cut > refused/10 {
		t.Errorf("%d of %d clients were never told that the disk is full", cut, refused)
	}
	if refused < 20 {
		t.Fatalf("the disk was never full")
	}
	listed := 0
	for pages := s3.NewListObjectsV2Paginator(p.client, &s3.ListObjectsV2Input{
		Bucket: &p.bucket,
		Prefix: aws.String("fill/"),
	}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		listed += len(page.Contents)
	}
	if listed != len(acked) {
		t.Errorf("%d objects are listed, and %d were acknowledged: a refused write left something", listed, len(acked))
	}
	return acked
}

func (p *platform) tryPut(ctx context.Context, key string, b []byte) error {
	_, err := p.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &p.bucket, Key: &key, Body: bytes.NewReader(b)})
	return err
}

// put writes if it can, and notes it.
func (p *platform) put(t *testing.T, key string, b []byte, acked map[string]digest) bool {
	t.Helper()
	err := p.tryPut(t.Context(), key, b)
	if err == nil {
		acked[key] = digestOf(b)
	} else if s := s3Status(err); s != 507 && s != 503 {
		t.Errorf("write of %s: %v", key, err)
	}
	return err == nil
}

// reads fails unless all that was acknowledged is there.
func (p *platform) reads(t *testing.T, acked map[string]digest) {
	t.Helper()
	for key, want := range acked {
		if got, err := p.get(t.Context(), key); err != nil || got.sum != want {
			t.Errorf("%s reads as %v, acknowledged %v: %v", key, got.sum, want, err)
		}
	}
}

// until polls what another process does.
func (p *platform) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for begin := time.Now(); !cond(); {
		if time.Since(begin) > time.Minute {
			t.Fatalf("waited in vain until %s", what)
		}
		<-time.After(100 * time.Millisecond)
	}
}
