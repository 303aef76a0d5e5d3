// Command store measures what the store does below S3: listing 1,000 keys of a bucket
// with 10,000 and with many keys through the S3 handler, with and without a delimiter,
// and scrubbing from the page cache. Keys are loaded through the store's batches.
//
//	go run ./bench/store [-keys 10000,10000000] [-seconds 4] [-scrub 1024]
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/bench/s3client"
)

const listen = "127.0.0.78:9000"

func main() {
	keys := flag.String("keys", "10000,10000000", "sizes of buckets to list, in keys")
	seconds := flag.Float64("seconds", 4, "seconds of each measurement")
	scrub := flag.Int("scrub", 1024, "MiB to scrub")
	serve := flag.Int("serve", 0, "be the server of a bucket with so many keys (for the bench itself)")
	flag.Parse()
	ctx := context.Background()
	err := func() error {
		if *serve > 0 {
			return serveKeys(ctx, *serve)
		}
		return measure(ctx, strings.Split(*keys, ","), time.Duration(*seconds*float64(time.Second)), *scrub)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, sizes []string, d time.Duration, scrub int) error {
	fmt.Printf("%s\n\n", rig.Machine())
	fmt.Println("| keys | work | CPU each | rate | p50 | p99 | server's peak memory |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, size := range sizes {
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		if err := measureKeys(ctx, n, d); err != nil {
			return fmt.Errorf("%d keys: %w", n, err)
		}
	}
	fmt.Println()
	return measureScrub(ctx, scrub)
}

// works are queries of one listing each.
var works = []struct{ name, query string }{
	{"LIST 1,000 keys, from the first", "list-type=2"},
	{"LIST 1,000 keys, from the middle", "list-type=2&start-after=d05%2F"},
	{"LIST 10 prefixes by delimiter", "delimiter=%2F&list-type=2"},
}

// measureKeys starts a server with a bucket of n keys and lists it.
func measureKeys(ctx context.Context, n int, d time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-serve", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server did not begin: %w", err)
	}
	fmt.Fprint(os.Stderr, line)
	for _, w := range works {
		clients := []*s3client.Client{s3client.New(listen, who), s3client.New(listen, who)}
		l := rig.Run(ctx, len(clients), d, []int{cmd.Process.Pid}, func(ctx context.Context, client, _ int) error {
			_, err := clients[client].Do(ctx, "GET", "/"+bucket, w.query, s3client.Body{})
			return err
		})
		for _, c := range clients {
			c.Close()
		}
		if l.Failed > 0 {
			return l.Err
		}
		peak, err := rig.PeakMemory(cmd.Process.Pid)
		if err != nil {
			return err
		}
		fmt.Printf("| %d | %s | %d us | %.0f/s | %d us | %d us | %d MiB |\n", n, w.name, l.CPU.Microseconds(), l.Rate,
			l.P50.Microseconds(), l.P99.Microseconds(), peak>>20)
	}
	return nil
}
