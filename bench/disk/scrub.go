package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os/exec"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/bench/s3client"
)

// scrub measures GETs of 64 KiB by four clients at a moderate rate, by turns without and beside a scrub at
// its rate.
func scrub(ctx context.Context, o *settings, dir string) error {
	d, err := rig.StartDev(ctx, dir, host)
	if err != nil {
		return err
	}
	defer d.Stop()
	who := s3client.Credentials{Access: d.Access, Secret: d.Secret, Region: d.Region}
	// A round of scrubbing has to last: 64 MiB a second.
	objects := max(64, int(o.seconds.Seconds()*64*1.2))
	data := make([]byte, 1<<20)
	c := s3client.New(d.Host, who)
	defer c.Close()
	for i := range objects {
		rand.Read(data) // never fails
		if _, err := c.Do(ctx, "PUT", fmt.Sprintf("/%s/large-%d", bucket, i), "", s3client.Signed(data)); err != nil {
			return err
		}
		small := s3client.Signed(data[:64<<10])
		if _, err := c.Do(ctx, "PUT", fmt.Sprintf("/%s/%d", bucket, i), "", small); err != nil {
			return err
		}
	}
	var alone, beside rig.Series
	for range 3 {
		alone = append(alone, gets(ctx, d, who, objects, o.seconds))
		stop, err := startScrub(ctx, d)
		if err != nil {
			return err
		}
		beside = append(beside, gets(ctx, d, who, objects, o.seconds))
		stop()
	}
	if err := firstOf(alone.Err(), beside.Err()); err != nil {
		return err
	}
	a, b := alone.Median(), beside.Median()
	fmt.Printf("| GET 64 KiB, 400/s | p50 | p99 |\n|---|--:|--:|\n| alone | %s | %s |\n| beside a scrub | %s | %s |\n",
		ms(a.P50), ms(a.P99), ms(b.P50), ms(b.P99))
	fmt.Printf("\np99 beside a scrub: %.2f of that alone\n", float64(b.P99)/float64(a.P99))
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// gets are what four clients see who each ask 100 times a second.
func gets(ctx context.Context, d *rig.Dev, who s3client.Credentials, objects int, lasting time.Duration) rig.Load {
	const each = 10 * time.Millisecond
	clients := make([]*s3client.Client, 4)
	took := make([][]time.Duration, len(clients))
	for i := range clients {
		clients[i] = s3client.New(d.Host, who)
		defer clients[i].Close()
	}
	begin := time.Now()
	l := rig.Run(ctx, len(clients), lasting, []int{d.Pid()}, func(ctx context.Context, client, n int) error {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * each)))
		at := time.Now()
		key := fmt.Sprintf("/%s/%d", bucket, (client+n*7)%objects)
		_, err := clients[client].Do(ctx, "GET", key, "", s3client.Body{})
		took[client] = append(took[client], time.Since(at))
		return err
	})
	var all []time.Duration
	for _, t := range took {
		all = append(all, t...)
	}
	l.P50, l.P99 = rig.Percentile(all, 50), rig.Percentile(all, 99) // without the sleeps
	return l
}

// startScrub has the edge look at all that it keeps, until stop.
func startScrub(ctx context.Context, d *rig.Dev) (stop func(), err error) {
	bin, err := rig.Darkd()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, "fsck", "--data", d.Dir)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}, nil
}
