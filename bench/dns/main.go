// Command dns measures a real edge, which follows a control node, beside Knot and NSD on
// the same zone in the same run: what each costs while nobody asks, then dnsperf at full
// load and at two fixed rates, in interleaved rounds. The CPU of each server's processes
// is taken from /proc, user and system apart.
//
//	go run ./bench/dns [-names 100000] [-seconds 4] [-rounds 3]
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dark-ecosystem/dark/bench/rig"
)

const apex = "bench.test"

func main() {
	names := flag.Int("names", 100_000, "names in the zone")
	seconds := flag.Int("seconds", 4, "seconds of each measurement")
	rounds := flag.Int("rounds", 3, "interleaved rounds; 0 measures the start and the memory alone")
	flag.Parse()
	if err := measure(context.Background(), *names, *seconds, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// server is one of those compared.
type server struct {
	name string
	at   netip.AddrPort
	cmd  *exec.Cmd // of a peer
	pid  int
	idle time.Duration    // CPU a second while nobody asks
	runs map[string][]run // by load
}

// run is one measurement.
type run struct {
	qps, user, sys float64 // user and sys are microseconds a query
	completed      float64 // percent
}

func measure(ctx context.Context, names, seconds, rounds int) (err error) {
	dir, err := os.MkdirTemp("", "dark-bench-dns")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeZone(filepath.Join(dir, "zone"), names); err != nil {
		return err
	}
	queries := filepath.Join(dir, "queries")
	if err := writeQueries(queries, names); err != nil {
		return err
	}
	edge, control, err := startDark(ctx, filepath.Join(dir, "zone"))
	if err != nil {
		return fmt.Errorf("dark: %w", err)
	}
	defer func() { err = errors.Join(err, control.rig.Close()) }()
	servers := []*server{edge}
	for _, name := range []string{"knot", "nsd"} {
		s, err := startPeer(ctx, name, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer s.stop()
		servers = append(servers, s)
	}
	measureIdle(append(servers, control.server), time.Duration(seconds)*2*time.Second)
	for range rounds {
		for _, l := range loads {
			for _, s := range servers {
				r, err := s.run(ctx, queries, l.rate, seconds)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				s.runs[l.name] = append(s.runs[l.name], r)
			}
		}
	}
	fmt.Println(rig.Machine())
	printRounds(servers, names, rounds, seconds)
	printMemory(append(servers, control.server), names)
	return nil
}

// measureIdle lets what a start began come to rest, and then takes each server's CPU.
func measureIdle(servers []*server, d time.Duration) {
	<-time.After(d)
	before := make([]time.Duration, len(servers))
	for i, s := range servers {
		before[i] = rig.CPU(s.pids()...)
	}
	<-time.After(d)
	for i, s := range servers {
		s.idle = (rig.CPU(s.pids()...) - before[i]) / (d / time.Second)
	}
}

// loads are the rates of questions; 0 is as many as the server takes.
var loads = []struct {
	name string
	rate int
}{{"full", 0}, {"20000/s", 20000}, {"1000/s", 1000}}

func printRounds(servers []*server, names, rounds, seconds int) {
	fmt.Printf("%d names, %d rounds of %d s, medians (least–most of the sum)\n\n", names, rounds, seconds)
	fmt.Println("| server | load | queries/s | completed % | user µs | system µs | both µs | of the cheaper peer |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, l := range loads {
		best := min(servers[1].median(l.name), servers[2].median(l.name))
		for _, s := range servers {
			s.print(l.name, best)
		}
	}
	fmt.Println()
}

// median is what a question costs a server, in microseconds.
func (s *server) median(load string) float64 {
	var v []float64
	for _, r := range s.runs[load] {
		v = append(v, r.user+r.sys)
	}
	return median(v)
}

func (s *server) print(load string, best float64) {
	pick := func(f func(run) float64) (v []float64) {
		for _, r := range s.runs[load] {
			v = append(v, f(r))
		}
		return v
	}
	both := pick(func(r run) float64 { return r.user + r.sys })
	fmt.Printf("| %s | %s | %.0f | %.2f | %.2f | %.2f | %.2f (%.2f–%.2f) | %.2f |\n", s.name, load,
		median(pick(func(r run) float64 { return r.qps })), median(pick(func(r run) float64 { return r.completed })),
		median(pick(func(r run) float64 { return r.user })), median(pick(func(r run) float64 { return r.sys })),
		median(both), least(both), most(both), median(both)/best)
}

func printMemory(servers []*server, names int) {
	fmt.Printf("%d names\n\n| server | idle: ms of CPU a second | resident MiB | octets a name |\n|---|---|---|---|\n",
		names)
	for _, s := range servers {
		rss := resident(s.pids())
		fmt.Printf("| %s | %.1f | %d | %d |\n", s.name, float64(s.idle.Microseconds())/1000, rss>>20, rss/int64(names))
	}
}

func writeZone(path string, names int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "$ORIGIN %s.\n$TTL 300\n@ 3600 IN SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\nlast "+
		"TXT here\n", apex)
	for i := range names {
		fmt.Fprintf(w, "host%07d A 10.%d.%d.%d\n", i, i>>16&255, i>>8&255, i&255)
	}
	return errors.Join(w.Flush(), f.Close())
}

// writeQueries makes nine questions for names that exist and one for one that does not.
func writeQueries(path string, names int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 100_000 {
		no := ""
		if i%10 == 0 {
			no = "no"
		}
		fmt.Fprintf(w, "%shost%07d.%s A\n", no, r.IntN(names), apex)
	}
	return errors.Join(w.Flush(), f.Close())
}
