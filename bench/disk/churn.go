package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dark-ecosystem/dark/bench/rig"
)

// live is about how many octets a churn keeps.
const live = 1 << 30

// churn writes, overwrites, deletes and reads objects of 4 KiB to 32 MiB, with about a GiB that is live.
func churn(ctx context.Context, o *settings, dir string) error {
	d, err := rig.StartDev(ctx, dir, host)
	if err != nil {
		return err
	}
	defer d.Stop()
	lasting := time.Duration(o.minutes * float64(time.Minute))
	ctx, stop := context.WithTimeout(ctx, lasting)
	defer stop()
	const writers = 4
	all := make([]*churner, writers)
	errs := make([]error, writers)
	var work sync.WaitGroup
	for i := range all {
		all[i] = &churner{c: client(d), r: rand.New(rand.NewPCG(uint64(i), 7)), name: i, most: live / writers}
		all[i].rate = o.rate * (1 << 20) / writers
		work.Go(func() { errs[i] = all[i].run(ctx); stop() })
	}
	report(ctx, d, all, lasting/15)
	work.Wait()
	return errors.Join(errs...)
}

// report prints a line now and then until ctx ends.
func report(ctx context.Context, d *rig.Dev, all []*churner, every time.Duration) {
	fmt.Println("| minutes | octets in | written for each | live | on disk | memory |\n|--:|--:|--:|--:|--:|--:|")
	begin, before := time.Now(), written(d.Pid())
	tick := time.NewTicker(every)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		var in, alive, sent int64
		for _, c := range all {
			i, l := c.sums()
			in, alive, sent = in+i, alive+l, sent+c.sent.Load()
		}
		fmt.Printf("| %.1f | %.2f GiB | %.2f | %d MiB | %d MiB | %d MiB |\n", time.Since(begin).Minutes(),
			float64(in)/(1<<30), float64(written(d.Pid())-before-sent)/float64(max(1, in)), alive>>20,
			onDisk(filepath.Join(d.Dir, "edge", "store"))>>20, status(d.Pid(), "VmRSS:"))
	}
}

// churner has keys of its own. mu guards the sums.
type churner struct {
	c    *s3.Client
	r    *rand.Rand
	name int
	most int64   // octets that it keeps
	rate float64 // octets a second that it writes
	keys []string
	has  map[string][2]uint64 // seed and length

	sent atomic.Int64 // octets that it read

	mu       sync.Mutex
	in, live int64
}

func (c *churner) sums() (in, live int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in, c.live
}

func (c *churner) add(in, live int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in, c.live = c.in+in, c.live+live
}

// run goes on until ctx ends.
func (c *churner) run(ctx context.Context) (err error) {
	c.has = map[string][2]uint64{}
	begin := time.Now()
	for n := 0; err == nil; n++ {
		in, alive := c.sums()
		time.Sleep(time.Until(begin.Add(time.Duration(float64(in) / c.rate * float64(time.Second)))))
		switch k := c.r.IntN(10); {
		case alive > c.most || k == 0 && len(c.keys) > 0:
			err = c.delete(ctx)
		case k < 4 && len(c.keys) > 0:
			err = c.read(ctx, c.keys[c.r.IntN(len(c.keys))])
		case k < 6 && len(c.keys) > 0:
			err = c.write(ctx, c.keys[c.r.IntN(len(c.keys))])
		default:
			err = c.write(ctx, fmt.Sprintf("%d/%d", c.name, n))
		}
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // its time is over
	}
	return err
}

// content is what an object has: octets of a seed.
func content(of [2]uint64) []byte {
	b := make([]byte, of[1])
	s := rand.NewChaCha8([32]byte{byte(of[0]), byte(of[0] >> 8), byte(of[0] >> 16), byte(of[0] >> 24)})
	_, _ = s.Read(b) // never fails
	return b
}

func (c *churner) write(ctx context.Context, key string) error {
	of := [2]uint64{uint64(c.r.Uint32()), 4 << 10 << c.r.IntN(14)}
	_, err := c.c.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(content(of)),
	})
	if err != nil {
		return err
	}
	was, ok := c.has[key]
	if !ok {
		c.keys = append(c.keys, key)
	}
	c.has[key] = of
	c.add(int64(of[1]), int64(of[1])-int64(was[1])) //nolint:gosec // at most 32 MiB
	return nil
}

func (c *churner) delete(ctx context.Context) error {
	i := c.r.IntN(len(c.keys))
	key := c.keys[i]
	if _, err := c.c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key}); err != nil {
		return err
	}
	c.keys[i] = c.keys[len(c.keys)-1]
	c.keys = c.keys[:len(c.keys)-1]
	c.add(0, -int64(c.has[key][1])) //nolint:gosec // at most 32 MiB
	delete(c.has, key)
	return nil
}

func (c *churner) read(ctx context.Context, key string) error {
	got, err := c.c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		return err
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	c.sent.Add(int64(len(b)))
	if err == nil && !bytes.Equal(b, content(c.has[key])) {
		err = fmt.Errorf("%s reads otherwise than it was written", key)
	}
	return err
}
