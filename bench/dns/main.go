// Command dns measures Dark's DNS server beside Knot and NSD on the same zones in the
// same run: dnsperf at full load and at two fixed rates, in interleaved rounds, the
// servers' CPU a query taken from /proc, user and system apart.
//
//	go run ./bench/dns [-names 100000] [-seconds 4] [-rounds 3]
//
// With -rounds 0 it only starts them, and says how long that took and how much memory
// each holds.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
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
	name  string
	port  int
	cmd   *exec.Cmd
	start time.Duration
	rss   int64
	runs  map[string][]run // by load
}

// run is one measurement.
type run struct {
	qps, user, sys float64 // user and sys are microseconds a query
	completed      float64 // percent
}

func measure(ctx context.Context, names, seconds, rounds int) error {
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
	servers := []*server{{name: "dark", port: 15353}, {name: "knot", port: 15354}, {name: "nsd", port: 15355}}
	for _, s := range servers {
		s.runs = map[string][]run{}
		if err := s.launch(ctx, dir); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		defer s.stop()
	}
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
	fmt.Printf("load average %s\n\n", loadAverage())
	if rounds > 0 {
		printRounds(servers, names, rounds, seconds)
	}
	fmt.Printf("%d names\n\n| server | first answer after | resident MiB | octets a name |\n|---|---|---|---|\n", names)
	for _, s := range servers {
		fmt.Printf("| %s | %v | %d | %d |\n", s.name, s.start.Round(time.Millisecond), s.rss>>20, s.rss/int64(names))
	}
	return nil
}

// loads are the rates of questions; 0 is as many as the server takes.
var loads = []struct {
	name string
	rate int
}{{"full", 0}, {"20000/s", 20000}, {"tenth", 10000}}

func printRounds(servers []*server, names, rounds, seconds int) {
	fmt.Printf("%d names, %d rounds of %d s, medians (least–most of the sum)\n\n", names, rounds, seconds)
	fmt.Println("| server | load | queries/s | completed % | user µs | system µs | both µs |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, l := range loads {
		for _, s := range servers {
			s.print(l.name)
		}
	}
	fmt.Println()
}

func (s *server) print(load string) {
	pick := func(f func(run) float64) (v []float64) {
		for _, r := range s.runs[load] {
			v = append(v, f(r))
		}
		return v
	}
	both := pick(func(r run) float64 { return r.user + r.sys })
	fmt.Printf("| %s | %s | %.0f | %.2f | %.2f | %.2f | %.2f (%.2f–%.2f) |\n", s.name, load,
		median(pick(func(r run) float64 { return r.qps })), median(pick(func(r run) float64 { return r.completed })),
		median(pick(func(r run) float64 { return r.user })), median(pick(func(r run) float64 { return r.sys })),
		median(both), least(both), most(both))
}

func writeZone(path string, names int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	fmt.Fprintf(w, "$ORIGIN %s.\n$TTL 300\n@ 3600 IN SOA ns h 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n", apex)
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

func (s *server) launch(ctx context.Context, dir string) error {
	sub := filepath.Join(dir, s.name)
	if err := os.Mkdir(sub, 0o755); err != nil {
		return err
	}
	zoneFile, conf := filepath.Join(dir, "zone"), filepath.Join(sub, "conf")
	var text string
	switch s.name {
	case "dark":
		bin := filepath.Join(sub, "dark")
		build := exec.CommandContext(ctx, "go", "build", "-o", bin, "./dataplane/dns/standalone")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build (run this in the repository's root): %w\n%s", err, out)
		}
		s.cmd = exec.CommandContext(ctx, bin, strconv.Itoa(s.port), apex, zoneFile)
		s.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	case "knot":
		text = fmt.Sprintf("server:\n    rundir: %s\n    listen: 127.0.0.1@%d\n    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\ndatabase:\n    storage: %s\nlog:\n  - target: stderr\n    any: error\nzone:\n  - domain: %s\n    file: %s\n    semantic-checks: off\n    zonefile-sync: -1\n    journal-content: none\n", sub, s.port, sub, apex, zoneFile)
		s.cmd = exec.CommandContext(ctx, "/usr/sbin/knotd", "-c", conf)
	case "nsd":
		text = fmt.Sprintf("server:\n    ip-address: 127.0.0.1@%d\n    username: \"\"\n    chroot: \"\"\n    database: \"\"\n    pidfile: %s/pid\n    zonelistfile: %s/zones\n    xfrdfile: %s/xfrd\n    xfrdir: %s\n    minimal-responses: yes\n    rrl-ratelimit: 0\n    server-count: 1\nremote-control:\n    control-enable: no\nzone:\n    name: %s\n    zonefile: %s\n", s.port, sub, sub, sub, sub, apex, zoneFile)
		s.cmd = exec.CommandContext(ctx, "/usr/sbin/nsd", "-d", "-c", conf)
	}
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return err
	}
	s.cmd.Stderr = os.Stderr
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := s.firstAnswer(ctx, began); err != nil {
		return err
	}
	s.rss = resident(s.pids())
	return nil
}

// firstAnswer asks until the zone is served.
func (s *server) firstAnswer(ctx context.Context, began time.Time) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp4", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		return err
	}
	defer c.Close()
	q := []byte("\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02ns\x05bench\x04test\x00\x00\x01\x00\x01")
	buf := make([]byte, 512)
	for time.Since(began) < time.Minute {
		if _, err := c.Write(q); err == nil {
			if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
				return err
			}
			if n, err := c.Read(buf); err == nil && n > 12 && buf[7] == 1 {
				s.start = time.Since(began)
				return nil
			}
		}
		// A port that nobody has yet refuses at once: asking without a pause would take
		// the processor from who loads.
		<-time.After(5 * time.Millisecond)
	}
	return errors.New("no answer in a minute")
}

func (s *server) stop() {
	_ = s.cmd.Process.Signal(os.Interrupt)
	_ = s.cmd.Wait()
}
