// Command s3 measures Dark's S3 endpoint beside versitygw on the same work in the same
// run, in interleaved rounds: clients with signed requests and connections that stay
// open, the server's CPU an operation taken from /proc. Dark encrypts and syncs;
// versitygw does neither.
//
//	go run ./bench/s3 [-seconds 4] [-rounds 3] [-keys 10000] [-only REGEXP] [-versitygw PATH]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
	"github.com/dark-ecosystem/dark/bench/s3client"
)

const bucket = "bench-bucket"

func main() {
	seconds := flag.Float64("seconds", 4, "seconds of each measurement")
	rounds := flag.Int("rounds", 3, "interleaved rounds")
	keys := flag.Int("keys", 10_000, "keys in the bucket that is listed")
	versity := flag.String("versitygw", "", "path of versitygw; none is compared when empty")
	only := flag.String("only", "", "measure work whose name this regular expression finds")
	flag.Parse()
	wanted, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "-only:", err)
		os.Exit(2)
	}
	d := time.Duration(*seconds * float64(time.Second))
	if err := measure(context.Background(), d, *rounds, *keys, wanted, *versity); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, d time.Duration, rounds, keys int, only *regexp.Regexp, versity string) error {
	dir, err := os.MkdirTemp("", "dark-bench-s3")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	dark, err := startDark(ctx, dir, "127.0.0.77")
	if err != nil {
		return err
	}
	defer dark.stop()
	servers := []*server{dark}
	if versity != "" {
		v, err := startVersity(ctx, dir, versity, "127.0.0.77")
		if err != nil {
			return err
		}
		defer v.stop()
		servers = append(servers, v)
	}
	for _, s := range servers {
		if err := s.fill(ctx, keys); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	fmt.Printf("%s; %d keys, %s a measurement, %d rounds\n\n", rig.Machine(), keys, d, rounds)
	fmt.Println("| work | server | CPU each | rate | p50 | p99 | spread of rates | completed | CPU ratio |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
	for _, w := range works(keys) {
		if !only.MatchString(w.name) {
			continue
		}
		if err := w.compare(ctx, servers, d, rounds); err != nil {
			return err
		}
	}
	fmt.Println()
	for _, s := range servers {
		peak, err := rig.PeakMemory(s.cmd.Process.Pid)
		if err != nil {
			return err
		}
		fmt.Printf("%s: peak memory %d MiB\n", s.name, peak>>20)
	}
	return nil
}

// fill makes the bucket with what is read.
func (s *server) fill(ctx context.Context, keys int) error {
	c := s3client.New(s.host, s.who)
	defer c.Close()
	if _, err := c.Do(ctx, "PUT", "/"+bucket, "", s3client.Body{}); err != nil {
		return err
	}
	for key, size := range map[string]int{"small": 4 << 10, "large": 16 << 20} {
		if _, err := c.Do(ctx, "PUT", "/"+bucket+"/"+key, "", s3client.Signed(random(size))); err != nil {
			return err
		}
	}
	return s.list(ctx, keys)
}

// compare runs one kind of work on each server in turn and prints a line for each.
func (w work) compare(ctx context.Context, servers []*server, d time.Duration, rounds int) error {
	if w.alone {
		servers = servers[:1]
	}
	all := make([]rig.Series, len(servers))
	for range rounds {
		for i, s := range servers {
			all[i] = append(all[i], w.run(ctx, s, d))
		}
	}
	base := all[0].Median().CPU
	for i, s := range servers {
		m := all[i].Median()
		ratio := ""
		if i > 0 {
			ratio = fmt.Sprintf("%.2f", float64(base)/float64(max(1, m.CPU)))
		}
		fmt.Printf("| %s | %s | %s | %.0f/s | %s | %s | %s | %.2f%% | %s |\n", w.name, s.name, short(m.CPU), m.Rate,
			short(m.P50), short(m.P99), all[i].Spread(), 100*all[i].Completed(), ratio)
		if err := all[i].Err(); err != nil {
			fmt.Fprintf(os.Stderr, "%s, %s: %s\n", w.name, s.name, strings.TrimSpace(err.Error()))
		}
	}
	return nil
}

func short(d time.Duration) string {
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%d us", d.Microseconds())
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
