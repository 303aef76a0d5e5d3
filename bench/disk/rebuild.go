package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/bench/s3client"
)

// rebuild fills a store, stops its edge, and makes the index of its bodies anew.
func rebuild(ctx context.Context, o *settings, dir string) error {
	d, err := rig.StartDev(ctx, dir, host)
	if err != nil {
		return err
	}
	who := s3client.Credentials{Access: d.Access, Secret: d.Secret, Region: d.Region}
	objects := max(4, int(o.gib*64))
	data := make([]byte, 16<<20)
	c := s3client.New(d.Host, who)
	defer c.Close()
	for i := range objects {
		rand.Read(data) // never fails
		if _, err := c.Do(ctx, "PUT", fmt.Sprintf("/%s/%d", bucket, i), "", s3client.Signed(data)); err != nil {
			d.Stop()
			return err
		}
	}
	d.Stop()
	bin, err := rig.Darkd()
	if err != nil {
		return err
	}
	begin := time.Now()
	cmd := exec.CommandContext(ctx, bin, "rebuild", "--data", dir)
	peak, err := runWatched(cmd)
	if err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	wall := time.Since(begin)
	if d, err = rig.StartDev(ctx, dir, host); err != nil {
		return err
	}
	defer d.Stop()
	if err := last(ctx, client(d), objects-1, data); err != nil {
		return err
	}
	size := float64(objects) / 64
	fmt.Printf("rebuild of %.1f GiB: %.1f s, %.2f GiB/s, %.1f s of CPU, peak memory %d MiB\n", size, wall.Seconds(),
		size/wall.Seconds(), cmd.ProcessState.UserTime().Seconds()+cmd.ProcessState.SystemTime().Seconds(),
		peak>>20)
	return nil
}

// runWatched runs a command and gives the most memory that it was seen to have. What the system says at its
// end counts this process's own as well.
func runWatched(cmd *exec.Cmd) (peak uint64, err error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-tick.C:
			if now, err := rig.PeakMemory(cmd.Process.Pid); err == nil {
				peak = max(peak, now)
			}
		}
	}
}

// last reads the object that was written last, octet for octet.
func last(ctx context.Context, c *s3.Client, i int, want []byte) error {
	got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(fmt.Sprint(i))})
	if err != nil {
		return err
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err == nil && string(b) != string(want) {
		err = errors.New("what was rebuilt reads otherwise")
	}
	return err
}
